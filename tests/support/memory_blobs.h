// SPDX-License-Identifier: Apache-2.0
// Blobs in memory, with counts of what was read and written.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "core/base/blob.h"
#include "core/base/mutex.h"

namespace cairn::testing {

// Thread-safe.
class MemoryBlobs : public BlobSource, public BlobSink {
 public:
  StatusOr<Bytes> ReadBlob(const BlobRef& ref) override;
  StatusOr<BlobId> WriteBlob(BlobKind kind, ByteSpan bytes) override;

  // From now on the blob is missing.
  void Remove(const BlobRef& ref);
  // From now on reads of the blob give `bytes`, whatever their hash: a hostile store.
  void Replace(const BlobRef& ref, Bytes bytes);
  // From now on every write fails with this code (kOk: succeeds again).
  void FailWrites(StatusCode code);

  bool Has(const BlobRef& ref) const;
  std::vector<BlobRef> All() const;

  // Calls since the last ResetCounts, failed ones included.
  size_t reads() const;
  size_t writes() const;
  // Blobs that were not there before, and their bytes.
  size_t new_blobs() const;
  size_t new_bytes() const;
  // In the order of the first writes since the last ResetCounts.
  std::vector<BlobRef> new_refs() const;
  void ResetCounts();

 private:
  using Key = std::pair<BlobKind, BlobId>;

  const BlobHasher hasher_;
  mutable Mutex mutex_;
  std::map<Key, Bytes> blobs_ ABSL_GUARDED_BY(mutex_);
  StatusCode write_error_ ABSL_GUARDED_BY(mutex_) = StatusCode::kOk;
  size_t reads_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t writes_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t new_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<BlobRef> new_refs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::testing
