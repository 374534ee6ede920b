// SPDX-License-Identifier: Apache-2.0
// Decoded frames that were used lately, bounded in bytes; and the memory of former ones, as memory
// that is touched for the first time costs as much as decoding into it. Thread-safe.
#pragma once

#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"

namespace cairn {

// Memory of frames that nobody reads any more. Thread-safe.
class SpareFrames {
 public:
  // Empty if there is none.
  Bytes Take();
  // Keeps few, and only large ones.
  void Give(Bytes bytes);

 private:
  static constexpr size_t kMost = 2;

  Mutex mutex_;
  std::vector<Bytes> spare_ ABSL_GUARDED_BY(mutex_);
};

class FrameCache {
 public:
  // Shared by the cache and by whoever reads from the frame at the moment.
  using Frame = std::shared_ptr<const Bytes>;

  explicit FrameCache(size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  Frame Find(const PackName& pack, uint32_t frame);
  // Some bytes to decode into: of no certain content, nor length. Their memory is used again once
  // the cache and all who read from them have let go.
  std::shared_ptr<Bytes> NewFrame();
  void Insert(const PackName& pack, uint32_t frame, std::shared_ptr<Bytes> bytes);

 private:
  using Key = std::pair<PackName, uint32_t>;
  struct Slot {
    Key key;
    std::shared_ptr<Bytes> bytes;
  };

  Mutex mutex_;
  const size_t limit_bytes_;
  size_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<Slot> slots_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  absl::flat_hash_map<Key, std::list<Slot>::iterator> by_key_ ABSL_GUARDED_BY(mutex_);
  // Shared with the frames, which may outlive the cache.
  const std::shared_ptr<SpareFrames> spare_ = std::make_shared<SpareFrames>();
};

}  // namespace cairn
