// SPDX-License-Identifier: Apache-2.0
// The payload of a configuration, in a twin whose hashes hold.
#include "core/base/check.h"
#include "core/store/config.h"
#include "core/store/twin.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cairn::Twin twin;
  twin.magic = cairn::kConfigMagic;
  twin.payload.assign(data, data + size);
  const cairn::Bytes file = cairn::EncodeTwin(cairn::RepositoryKeys(), twin);
  const auto config = cairn::DecodeConfig(cairn::RepositoryKeys(), file, nullptr);
  if (config.ok()) CHECK(cairn::EncodeConfig(cairn::RepositoryKeys(), *config, twin.nonce) == file);
  return 0;
}
