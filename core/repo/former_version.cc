// SPDX-License-Identifier: Apache-2.0
#include "core/repo/former_version.h"

#include <algorithm>
#include <utility>

namespace cairn {
namespace {

// How far ahead the two versions may stand at the same point again, in bytes of the former one.
constexpr uint64_t kLookAhead = 4 * kMiB;
// What lies so far behind is given up.
constexpr uint64_t kLookBack = 64 * kMiB;
// What corresponds by its offset alone may have shifted by so much.
constexpr uint64_t kShift = 64 * kKiB;

// A long run of zeros counts as a shorter one, in both versions.
uint64_t LengthOf(const ContentItem& item) { return std::min(item.bytes, kLookBack); }

}  // namespace

void FormerVersion::Fill() {
  while (!at_end_ && ahead_bytes_ < gap_bytes_ + kLookAhead) {
    const StatusOr<std::optional<ContentItem>> item = items_.Next();
    if (!item.ok() || !item->has_value()) {
      at_end_ = true;
      return;
    }
    // Of equal chunks the first counts.
    if (!(*item)->zero) numbers_.try_emplace((*item)->id, dropped_ + ahead_.size());
    ahead_bytes_ += LengthOf(**item);
    ahead_.push_back(**item);
  }
}

void FormerVersion::Drop(size_t count) {
  for (; count > 0; --count) {
    const ContentItem& item = ahead_.front();
    if (!item.zero) {
      const auto found = numbers_.find(item.id);
      if (found != numbers_.end() && found->second == dropped_) numbers_.erase(found);
    }
    ahead_bytes_ -= LengthOf(item);
    ahead_.pop_front();
    ++dropped_;
  }
}

// What ends before item `end` was replaced, as far as the frame at work goes back. Where that is
// much more than what is stored, its beginning and its end resemble it most.
void FormerVersion::Replace(size_t end, std::vector<BlobRef>& replaced) {
  if (gap_stored_ == 0) return;
  size_t begin = 0;
  const uint64_t from = gap_before_frame_ - std::min(gap_before_frame_, kShift);
  for (uint64_t offset = 0; begin < end; ++begin) {
    offset += LengthOf(ahead_[begin]);
    if (offset > from) break;
  }
  const uint64_t limit = gap_stored_ + kShift;
  const auto take = [&](size_t i, uint64_t& bytes) {
    if (!ahead_[i].zero) bytes += ahead_[i].bytes;
    return bytes <= limit;
  };
  size_t head_end = begin;
  for (uint64_t bytes = 0; head_end < end && take(head_end, bytes);) ++head_end;
  size_t tail_begin = end;
  for (uint64_t bytes = 0; tail_begin > head_end && take(tail_begin - 1, bytes);) --tail_begin;
  for (size_t i = begin; i < end; ++i) {
    if (i == head_end) i = tail_begin;
    if (i < end && !ahead_[i].zero) replaced.push_back({BlobKind::kChunk, ahead_[i].id});
  }
}

void FormerVersion::Follow(const ContentItem& item, bool stored, std::vector<BlobRef>& replaced) {
  Fill();
  const auto found = item.zero ? numbers_.end() : numbers_.find(item.id);
  if (found != numbers_.end()) {
    const auto index = static_cast<size_t>(found->second - dropped_);
    Replace(index, replaced);
    Drop(index + 1);
    gap_bytes_ = gap_before_frame_ = gap_stored_ = 0;
    return;
  }
  gap_bytes_ += LengthOf(item);
  if (stored) gap_stored_ += item.bytes;
  if (gap_bytes_ <= kLookBack) return;
  size_t count = 0;
  for (uint64_t bytes = 0; count < ahead_.size(); ++count) {
    bytes += LengthOf(ahead_[count]);
    if (bytes > gap_bytes_ - kLookBack) break;
  }
  const uint64_t before = ahead_bytes_;
  Drop(count);
  const uint64_t given_up = before - ahead_bytes_;
  gap_bytes_ -= given_up;
  gap_before_frame_ -= std::min(gap_before_frame_, given_up);
}

void FormerVersion::EndFrame(std::vector<BlobRef>& replaced) {
  Fill();
  size_t end = 0;
  for (uint64_t offset = 0; end < ahead_.size() && offset < gap_bytes_ + kShift; ++end) {
    offset += LengthOf(ahead_[end]);
  }
  Replace(end, replaced);
  gap_before_frame_ = gap_bytes_;
  gap_stored_ = 0;
}

void FormerVersion::EndFile(std::vector<BlobRef>& replaced) {
  Fill();
  Replace(ahead_.size(), replaced);
  gap_stored_ = 0;
}

}  // namespace cairn
