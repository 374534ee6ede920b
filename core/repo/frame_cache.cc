// SPDX-License-Identifier: Apache-2.0
#include "core/repo/frame_cache.h"

namespace cairn {

FrameCache::Frame FrameCache::Find(const PackName& pack, uint32_t frame) {
  MutexLock lock(mutex_);
  const auto it = by_key_.find(Key(pack, frame));
  if (it == by_key_.end()) return nullptr;
  slots_.splice(slots_.begin(), slots_, it->second);
  return it->second->bytes;
}

void FrameCache::Insert(const PackName& pack, uint32_t frame, Frame bytes) {
  MutexLock lock(mutex_);
  const Key key(pack, frame);
  if (by_key_.contains(key)) return;
  used_bytes_ += bytes->size();
  slots_.push_front(Slot{key, std::move(bytes)});
  by_key_[key] = slots_.begin();
  while (used_bytes_ > limit_bytes_ && slots_.size() > 1) {
    used_bytes_ -= slots_.back().bytes->size();
    by_key_.erase(slots_.back().key);
    slots_.pop_back();
  }
}

}  // namespace cairn
