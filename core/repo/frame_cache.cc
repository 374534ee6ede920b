// SPDX-License-Identifier: Apache-2.0
#include "core/repo/frame_cache.h"

#include <utility>

namespace cairn {
namespace {

// Smaller ones are not worth keeping.
constexpr size_t kMinSpareBytes = kMiB;

}  // namespace

Bytes SpareFrames::Take() {
  MutexLock lock(mutex_);
  if (spare_.empty()) return {};
  Bytes bytes = std::move(spare_.back());
  spare_.pop_back();
  return bytes;
}

void SpareFrames::Give(Bytes bytes) {
  if (bytes.capacity() < kMinSpareBytes) return;
  MutexLock lock(mutex_);
  if (spare_.size() < kMost) spare_.push_back(std::move(bytes));
}

FrameCache::Frame FrameCache::Find(const PackName& pack, uint32_t frame) {
  MutexLock lock(mutex_);
  const auto it = by_key_.find(Key(pack, frame));
  if (it == by_key_.end()) return nullptr;
  slots_.splice(slots_.begin(), slots_, it->second);
  return it->second->bytes;
}

std::shared_ptr<Bytes> FrameCache::NewFrame() {
  auto* bytes = new Bytes(spare_->Take());
  return std::shared_ptr<Bytes>(bytes, [spare = spare_](Bytes* unused) {
    spare->Give(std::move(*unused));
    delete unused;
  });
}

void FrameCache::Insert(const PackName& pack, uint32_t frame, std::shared_ptr<Bytes> bytes) {
  MutexLock lock(mutex_);
  const Key key(pack, frame);
  if (by_key_.contains(key)) return;
  used_bytes_ += bytes->capacity();
  slots_.push_front(Slot{key, std::move(bytes)});
  by_key_[key] = slots_.begin();
  while (used_bytes_ > limit_bytes_ && slots_.size() > 1) {
    used_bytes_ -= slots_.back().bytes->capacity();
    by_key_.erase(slots_.back().key);
    slots_.pop_back();
  }
}

}  // namespace cairn
