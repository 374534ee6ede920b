// SPDX-License-Identifier: Apache-2.0
// Whatever is decoded of any bytes encodes to the same bytes: there is one encoding for one value.
#include "core/base/check.h"
#include "core/store/pack.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto footer = cairn::DecodePackFooter({data, size}, 0);
  if (footer.ok()) CHECK(cairn::EncodePackFooter(*footer) == cairn::Bytes(data, data + size));
  return 0;
}
