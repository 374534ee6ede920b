// SPDX-License-Identifier: Apache-2.0
// Whatever is decoded of any bytes encodes to the same bytes: there is one encoding for one value.
#include "core/base/check.h"
#include "core/repo/change_cache.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto row = cairn::DecodeCacheRow({data, size});
  if (row.ok()) CHECK(cairn::EncodeCacheRow(*row) == cairn::Bytes(data, data + size));
  return 0;
}
