// SPDX-License-Identifier: Apache-2.0
// What new frames are compressed against: blobs that the new ones replaced, as far as they may
// serve as bases. docs/design.md, "Deltas".
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/repo/place_finder.h"
#include "core/repo/repository.h"

namespace cairn {

// A frame of a pack.
using FrameAddress = std::pair<PackName, uint32_t>;

// How many frames rely on each frame, so that damage to one does not spread without end. Counted by
// this writer, and remembered in the index for the next: what other users write is not seen, so the
// bound is a target. Thread-safe.
class DependentCounts {
 public:
  static constexpr uint32_t kMax = 64;

  // What the index remembers of a frame.
  static StatusOr<uint32_t> Remembered(IndexReader& reader, const FrameAddress& frame);

  // Whether another frame may rely on `frame`, which had so many dependents when this writer began.
  bool HasRoom(const FrameAddress& frame, uint32_t remembered) const;
  void Add(const std::set<FrameAddress>& frames);

  // Adds what was counted to what the index remembers, and begins anew.
  Status Remember(Index& index);
  // The frames of a pack that is gone.
  static Status Forget(IndexWriter& writer, const PackName& pack);

 private:
  mutable Mutex mutex_;
  absl::flat_hash_map<FrameAddress, uint32_t> added_ ABSL_GUARDED_BY(mutex_);
};

// The bases of a frame.
struct ChosenBases {
  std::vector<BaseId> bases;
  // In which they were found: the writer's commit relies on them.
  std::set<PackName> packs;
  std::set<FrameAddress> frames;
  // Of these frames, stored and raw: how well such data compresses plain.
  uint64_t stored_bytes = 0;
  uint64_t raw_bytes = 0;
};

// Chooses the bases of one frame while it is put together: replaced blobs that lie in plain frames
// of live packs. For one that lies in a delta frame, what that frame is based on thereabouts takes
// its place, so that a file that changes in every snapshot stays a delta of what it once was, until
// that no longer pays. Thread-compatible.
class BaseChooser {
 public:
  // A blob that may become a base, at the place where it was found.
  struct Candidate {
    BaseId base;
    uint32_t bytes = 0;
    FrameAddress frame;
    uint32_t frame_stored_bytes = 0;
    uint32_t frame_raw_bytes = 0;
  };

  // For a frame of nodes, or of chunks.
  BaseChooser(Repository& repository, const DependentCounts& counts, bool node);

  // Those that may serve in place of what was replaced, in its order, each once.
  StatusOr<std::vector<Candidate>> Find(std::span<const BlobRef> replaced) const;
  // Whether the frame should take them too: a reader of it should not have to decode many others.
  // If not, it should be closed, and they be given to the next one.
  bool AreNear(std::span<const Candidate> candidates) const;
  // Those for which there is no room, or which are there already, are left out.
  void Add(std::span<const Candidate> candidates);
  // The frame should be closed, near or not.
  bool IsNearlyFull() const;
  ChosenBases Take();

 private:
  Repository& repository_;
  const DependentCounts& counts_;
  const uint64_t near_bytes_;
  ChosenBases chosen_;
  uint64_t bytes_ = 0;
  absl::flat_hash_set<BaseId> known_;  // those chosen
};

}  // namespace cairn
