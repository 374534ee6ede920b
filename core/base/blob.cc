// SPDX-License-Identifier: Apache-2.0
#include "core/base/blob.h"

namespace cairn {

const char* BlobKindName(BlobKind kind) {
  switch (kind) {
    case BlobKind::kChunk:
      return "chunk";
    case BlobKind::kTree:
      return "tree";
    case BlobKind::kList:
      return "list";
    case BlobKind::kLinks:
      return "links";
    case BlobKind::kRoot:
      return "root";
  }
  return "unknown";
}

BlobHasher::BlobHasher(const HashKey& id_key) {
  keys_[0] = HashKey{};  // no kind has the number 0
  keys_[1] = Blake3DeriveKey("cairn v1 blob chunk", id_key);
  keys_[2] = Blake3DeriveKey("cairn v1 blob tree", id_key);
  keys_[3] = Blake3DeriveKey("cairn v1 blob list", id_key);
  keys_[4] = Blake3DeriveKey("cairn v1 blob links", id_key);
  keys_[5] = Blake3DeriveKey("cairn v1 blob root", id_key);
}

BlobId BlobHasher::Hash(BlobKind kind, ByteSpan bytes) const {
  return BlobId{Blake3Keyed(keys_[static_cast<size_t>(kind)], bytes)};
}

}  // namespace cairn
