// SPDX-License-Identifier: Apache-2.0
// Blobs and their ids: what every layer above base shares.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "core/base/blake3.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/status.h"

namespace cairn {

// Part of the format (docs/format.md): values are never changed or reused.
enum class BlobKind : uint8_t {
  kChunk = 1,  // file content; also an extended attribute's value, or a snapshot's long lists
  kTree = 2,   // a directory, or a part of a large one
  kList = 3,   // a part of a long chunk list
  kLinks = 4,  // a part of the table of hard-link groups
  kRoot = 5,   // what a snapshot points to
};
inline constexpr int kBlobKinds = 5;

inline bool IsBlobKind(uint64_t value) { return value >= 1 && value <= kBlobKinds; }
inline bool IsNode(BlobKind kind) { return kind != BlobKind::kChunk; }
const char* BlobKindName(BlobKind kind);

// No blob is larger, so that a frame's raw size bounds what a reader allocates.
inline constexpr uint64_t kMaxBlobBytes = 4 * kMiB;

struct BlobRef {
  BlobKind kind = BlobKind::kChunk;
  BlobId id;
  friend bool operator==(const BlobRef&, const BlobRef&) = default;
};

// id = BLAKE3 keyed by the kind, so that a file with the bytes of a node does not have the node's
// id. The keys derive from the repository's id key, which is all zeros where it is not encrypted:
// equal content then has equal ids in every unencrypted repository. Immutable, thread-safe.
class BlobHasher {
 public:
  BlobHasher() : BlobHasher(HashKey{}) {}
  explicit BlobHasher(const HashKey& id_key);

  BlobId Hash(BlobKind kind, ByteSpan bytes) const;

 private:
  friend class BlobBatch;
  std::array<HashKey, kBlobKinds + 1> keys_;
};

// Blobs that are hashed together, which takes less time than one by one (Blake3Many). Keeps its
// memory. Thread-compatible.
class BlobBatch {
 public:
  // `hasher` must outlive it.
  explicit BlobBatch(const BlobHasher& hasher) : hasher_(hasher) {}

  // `bytes` must be there until Hash.
  void Add(BlobKind kind, ByteSpan bytes);
  // The ids of what was added, in that order, valid until the next call; then the batch is empty.
  std::span<const BlobId> Hash();

 private:
  struct OfKind {
    std::vector<ByteSpan> inputs;
    std::vector<size_t> positions;  // of each in the whole batch
  };

  const BlobHasher& hasher_;
  std::array<OfKind, kBlobKinds + 1> kinds_;
  size_t count_ = 0;
  Blake3Many hashes_;
  std::vector<BlobId> ids_;
};

// Where the tree layer and the operations read blobs from.
class BlobSource {
 public:
  virtual ~BlobSource() = default;

  // The blob's bytes, verified against `ref.id`. NOT_FOUND if nothing holds it, DATA_LOSS if what
  // holds it is damaged. Thread-safe.
  virtual StatusOr<Bytes> ReadBlob(const BlobRef& ref) = 0;
};

// Where they write to.
class BlobSink {
 public:
  virtual ~BlobSink() = default;

  // Stores `bytes` unless the repository has them, and returns their id. Thread-safe.
  virtual StatusOr<BlobId> WriteBlob(BlobKind kind, ByteSpan bytes) = 0;
};

}  // namespace cairn
