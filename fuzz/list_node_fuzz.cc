// SPDX-License-Identifier: Apache-2.0
// Whatever is decoded of any bytes encodes to the same bytes: there is one encoding for one value.
#include "core/base/check.h"
#include "core/tree/node.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const cairn::ByteSpan bytes(data, size);
  const auto node = cairn::DecodeListNode(bytes);
  CHECK(node.ok() == cairn::NodeReferences(cairn::BlobKind::kList, bytes).ok());
  if (node.ok()) CHECK(cairn::EncodeListNode(*node) == cairn::Bytes(data, data + size));
  return 0;
}
