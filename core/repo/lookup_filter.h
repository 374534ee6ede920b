// SPDX-License-Identifier: Apache-2.0
// Spares a writer of many new blobs most of the look-ups that find nothing: where the index has
// millions of rows, they are what a tiny file costs most.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/status.h"
#include "core/index/blob_filter.h"
#include "core/repo/repository.h"

namespace cairn {

// Thread-safe but for Follow.
class LookupFilter {
 public:
  // False: the index lacks the blob, or another process has added it since the last Follow; to
  // store it once more is harmless then (as two writers do that meet no earlier).
  bool MayHave(const BlobId& id) const {
    const BlobFilter* const filter = filter_.load(std::memory_order_acquire);
    return filter == nullptr || filter->MayHave(id);
  }
  // A look into the index was in vain.
  void CountMiss() { misses_.fetch_add(1, std::memory_order_relaxed); }

  // After the index has got `named`, and before MayHave is asked for what is in it. Looks through
  // the whole index where that is likely to be worth it. After an error every blob may be there.
  // One call at a time.
  Status Follow(Index& index, const Repository::KnownFooters& named);

 private:
  Status Update(Index& index, const Repository::KnownFooters& named);
  Status Fill(IndexReader& reader);

  // The last one, and smaller ones before it, into which threads may still look.
  std::vector<std::unique_ptr<BlobFilter>> filters_;
  std::atomic<BlobFilter*> filter_{nullptr};  // the last one while it has all that the index has
  uint64_t places_ = 0;                       // that the index had at the last Follow
  std::atomic<uint64_t> misses_{0};           // since a filter was filled
};

}  // namespace cairn
