// SPDX-License-Identifier: Apache-2.0
// A Bloom filter of blobs, for a writer of many new ones: whether the index has a blob costs one
// cache line here, and a descent of some microseconds in an index that fits into no cache. Of the
// form of Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007: all
// bits of an id lie in one word.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "core/base/ids.h"

namespace cairn {

// Thread-safe.
class BlobFilter {
 public:
  // With up to `capacity` blobs some 1 in 100 that were not added is taken for one that was; with
  // more, more of them. 12 bits of memory for each.
  explicit BlobFilter(uint64_t capacity);

  void Add(const BlobId& id);
  // False: it was not added by what happened before this call.
  bool MayHave(const BlobId& id) const;

  uint64_t capacity() const { return capacity_; }

 private:
  const uint64_t capacity_;
  const uint64_t words_;
  const std::unique_ptr<std::atomic<uint64_t>[]> bits_;
};

}  // namespace cairn
