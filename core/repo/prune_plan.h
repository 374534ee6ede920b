// SPDX-License-Identifier: Apache-2.0
// What prune would do with each pack, computed from what is reachable. Private to prune.
#pragma once

#include <set>
#include <vector>

#include "core/base/ids.h"
#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/repo/mark.h"
#include "core/repo/prune.h"
#include "core/repo/repository.h"
#include "core/store/journal_state.h"

namespace cairn {

// A live pack and what of it is in use. Bytes are stored bytes of frames: a frame is live as a
// whole while one of its blobs is.
struct PackUse {
  PackInfo info;
  uint64_t named_at = 0;  // record
  // Its session is alive, or its footer cannot be read: it stays as it is, and counts as used.
  bool left_alone = false;
  uint32_t blobs = 0;  // in all; of a pack in which something is reachable
  uint64_t stored_bytes = 0;
  uint64_t live_bytes = 0;
  // About what a rewrite makes of it: frames that are live in part shrink with their blobs.
  uint64_t rewritten_bytes = 0;
  // About what its dead deltas alone hold on to in other packs, for as long as this one stays. It
  // counts as used there.
  uint64_t pinned_bytes = 0;

  uint64_t unused_bytes() const { return stored_bytes - live_bytes; }
  // What is to be gained by rewriting it.
  uint64_t wasted_bytes() const { return unused_bytes() + pinned_bytes; }
};

// The live packs of `state`, ascending by the record that named them. Reads the footers of those
// that are live in part.
StatusOr<std::vector<PackUse>> MeasurePacks(Repository& repository, const JournalState& state,
                                            const ReachableBlobs& reachable,
                                            const std::set<SessionId>& alive, const StopFlag* stop);

struct PrunePlan {
  uint64_t used_bytes = 0;
  uint64_t unused_bytes = 0;
  std::vector<PackUse> drop;     // nothing live in them
  std::vector<PackUse> rewrite;  // in the order of `packs`
};

// The packs of which the largest share is wasted are rewritten, until what remains wasted is within
// the limit on what is unused. Packs under a quarter of `pack_target_bytes`, and of the blobs that
// a pack may have, are merged when there are sixteen of them, or they fill a whole pack together,
// if at most half as many come out of it.
PrunePlan ChoosePacks(const std::vector<PackUse>& packs, const PruneOptions& options,
                      uint64_t pack_target_bytes);

// Those of `replace`, and no others.
PrunePlan ReplacePacks(const std::vector<PackUse>& packs, const std::set<PackName>& replace);

}  // namespace cairn
