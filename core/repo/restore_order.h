// SPDX-License-Identifier: Apache-2.0
// In what order chunks are best read: the frames that hold them one after another, each delta frame
// behind what it is based on, so that a frame is decoded once for all that needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/base/blob.h"
#include "core/base/ids.h"
#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/index/index.h"

namespace cairn {

// Only an order of work rests on what it says: who does not find a blob where it was said to be
// looks it up again. Thread-compatible.
class ReadOrder {
 public:
  static constexpr uint32_t kNoFrame = UINT32_MAX;

  // Where a chunk lies; nowhere, as far as is known, if the frame is kNoFrame.
  struct Spot {
    uint32_t frame = kNoFrame;  // of frame()
    uint32_t offset = 0;        // in the raw frame
  };
  struct Frame {
    PackName pack;
    uint32_t number = 0;
    FrameInfo info;
  };

  // A place of `bytes` bytes, in a live pack if there is one.
  StatusOr<Spot> Find(IndexReader& reader, const BlobRef& ref, uint64_t bytes);
  // Puts the frames that were found into their order. The reader is one for all calls.
  Status Arrange(IndexReader& reader);

  const Frame& frame(const Spot& spot) const { return frames_[spot.frame]; }
  // After Arrange. Ascending in the order of reading; spots without a frame come last.
  std::pair<uint32_t, uint32_t> Rank(const Spot& spot) const {
    return {spot.frame == kNoFrame ? kNoFrame : ranks_[spot.frame], spot.offset};
  }
  // Whether two spots are best read by one thread: in one frame, or in frames of a common base.
  bool AreTogether(const Spot& a, const Spot& b) const {
    return a.frame != kNoFrame && b.frame != kNoFrame && leaders_[a.frame] == leaders_[b.frame];
  }

 private:
  using Address = std::pair<PackNumber, uint32_t>;

  StatusOr<const IndexPack*> FindPack(IndexReader& reader, PackNumber number);
  StatusOr<uint32_t> FindFrame(IndexReader& reader, const Address& address);

  absl::flat_hash_map<PackNumber, IndexPack> packs_;
  absl::flat_hash_map<Address, uint32_t> numbers_;  // in frames_
  std::vector<Frame> frames_;
  std::vector<Address> addresses_;  // of each frame
  std::vector<Address> leaders_;    // of each frame: its first base's frame, or itself
  std::vector<uint32_t> ranks_;     // of each frame
};

}  // namespace cairn
