// SPDX-License-Identifier: Apache-2.0
// The payload of a key object, in a twin whose hashes hold.
#include <algorithm>

#include "core/base/check.h"
#include "core/store/key_object.h"
#include "core/store/twin.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cairn::Twin twin;
  twin.magic = cairn::kKeyMagic;
  twin.payload.assign(data, data + size);
  const cairn::Bytes file = cairn::EncodeTwin(cairn::RepositoryKeys(), twin);
  const auto key = cairn::DecodeKeyObject(file, "input", nullptr);
  if (!key.ok()) return 0;
  CHECK(cairn::EncodeKeyObject(*key) == file);
  // What costs nothing; that of a password is bounded, and dear all the same.
  if (key->kind != cairn::KeyKind::kKeyFile) return 0;
  const cairn::Credential credential{cairn::KeyKind::kKeyFile,
                                     cairn::SecretBytes(cairn::kKeyFileBytes)};
  CHECK(!cairn::UnwrapMasterKey(*key, credential).ok());
  return 0;
}
