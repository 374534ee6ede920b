// SPDX-License-Identifier: Apache-2.0
// Decoded frames that were used lately, bounded in bytes. Thread-safe.
#pragma once

#include <list>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"

namespace cairn {

class FrameCache {
 public:
  // Shared by the cache and by whoever reads from the frame at the moment.
  using Frame = std::shared_ptr<const Bytes>;

  explicit FrameCache(size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  Frame Find(const PackName& pack, uint32_t frame);
  void Insert(const PackName& pack, uint32_t frame, Frame bytes);

 private:
  using Key = std::pair<PackName, uint32_t>;
  struct Slot {
    Key key;
    Frame bytes;
  };

  Mutex mutex_;
  const size_t limit_bytes_;
  size_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<Slot> slots_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  absl::flat_hash_map<Key, std::list<Slot>::iterator> by_key_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn
