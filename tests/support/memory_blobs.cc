// SPDX-License-Identifier: Apache-2.0
#include "tests/support/memory_blobs.h"

#include "absl/strings/str_format.h"

namespace cairn::testing {

StatusOr<Bytes> MemoryBlobs::ReadBlob(const BlobRef& ref) {
  MutexLock lock(mutex_);
  ++reads_;
  const auto found = blobs_.find(Key(ref.kind, ref.id));
  if (found == blobs_.end()) {
    return NotFound(absl::StrFormat("%s %s", BlobKindName(ref.kind), ref.id.ShortHex()));
  }
  return found->second;
}

StatusOr<BlobId> MemoryBlobs::WriteBlob(BlobKind kind, ByteSpan bytes) {
  const BlobId id = hasher_.Hash(kind, bytes);
  MutexLock lock(mutex_);
  ++writes_;
  if (write_error_ != StatusCode::kOk) return MakeError(write_error_, "writing a blob");
  if (blobs_.try_emplace(Key(kind, id), bytes.begin(), bytes.end()).second) {
    new_bytes_ += bytes.size();
    new_refs_.push_back({kind, id});
  }
  return id;
}

void MemoryBlobs::Remove(const BlobRef& ref) {
  MutexLock lock(mutex_);
  blobs_.erase(Key(ref.kind, ref.id));
}

void MemoryBlobs::Replace(const BlobRef& ref, Bytes bytes) {
  MutexLock lock(mutex_);
  blobs_[Key(ref.kind, ref.id)] = std::move(bytes);
}

void MemoryBlobs::FailWrites(StatusCode code) {
  MutexLock lock(mutex_);
  write_error_ = code;
}

bool MemoryBlobs::Has(const BlobRef& ref) const {
  MutexLock lock(mutex_);
  return blobs_.count(Key(ref.kind, ref.id)) != 0;
}

std::vector<BlobRef> MemoryBlobs::All() const {
  MutexLock lock(mutex_);
  std::vector<BlobRef> all;
  for (const auto& [key, bytes] : blobs_) all.push_back({key.first, key.second});
  return all;
}

size_t MemoryBlobs::reads() const {
  MutexLock lock(mutex_);
  return reads_;
}

size_t MemoryBlobs::writes() const {
  MutexLock lock(mutex_);
  return writes_;
}

size_t MemoryBlobs::new_blobs() const {
  MutexLock lock(mutex_);
  return new_refs_.size();
}

size_t MemoryBlobs::new_bytes() const {
  MutexLock lock(mutex_);
  return new_bytes_;
}

std::vector<BlobRef> MemoryBlobs::new_refs() const {
  MutexLock lock(mutex_);
  return new_refs_;
}

void MemoryBlobs::ResetCounts() {
  MutexLock lock(mutex_);
  reads_ = writes_ = new_bytes_ = 0;
  new_refs_.clear();
}

}  // namespace cairn::testing
