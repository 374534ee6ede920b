// SPDX-License-Identifier: Apache-2.0
// A file that is read without damage is the one that its value encodes to.
#include "core/base/check.h"
#include "core/store/twin.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const cairn::ByteSpan file(data, size);
  auto decoded = cairn::DecodeTwin(cairn::RepositoryKeys(), cairn::kRecordMagic, file, "input");
  if (decoded.ok() && decoded->damage.empty()) {
    CHECK(cairn::EncodeTwin(cairn::RepositoryKeys(), decoded->twin) ==
          cairn::Bytes(data, data + size));
  }
  return 0;
}
