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

void BlobBatch::Add(BlobKind kind, ByteSpan bytes) {
  OfKind& of_kind = kinds_[static_cast<size_t>(kind)];
  of_kind.inputs.push_back(bytes);
  of_kind.positions.push_back(count_++);
}

std::span<const BlobId> BlobBatch::Hash() {
  ids_.resize(count_);
  for (size_t kind = 1; kind < kinds_.size(); ++kind) {
    OfKind& of_kind = kinds_[kind];
    const std::span<const Hash256> hashes = hashes_.Hash(hasher_.keys_[kind], of_kind.inputs);
    for (size_t i = 0; i < hashes.size(); ++i) ids_[of_kind.positions[i]] = BlobId{hashes[i]};
    of_kind.inputs.clear();
    of_kind.positions.clear();
  }
  count_ = 0;
  return ids_;
}

}  // namespace cairn
