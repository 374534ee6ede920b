// SPDX-License-Identifier: Apache-2.0
// Whatever is decoded of any bytes encodes to the same bytes: there is one encoding for one value.
#include "core/base/check.h"
#include "core/tree/node.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const cairn::ByteSpan bytes(data, size);
  const auto root = cairn::DecodeRoot(bytes);
  CHECK(root.ok() == cairn::NodeReferences(cairn::BlobKind::kRoot, bytes).ok());
  if (root.ok()) CHECK(cairn::EncodeRoot(*root) == cairn::Bytes(data, data + size));
  return 0;
}
