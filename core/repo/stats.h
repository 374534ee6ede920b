// SPDX-License-Identifier: Apache-2.0
// How large a repository or a snapshot is, and what it shares.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/repo/repository.h"
#include "core/store/sessions.h"

namespace cairn {

// Bytes of packs by when they were last read back whole by `check` and found right, as this user's
// index remembers it (verified_times.h).
struct VerifiedBytes {
  static constexpr std::array<int, 4> kDays = {1, 7, 30, 90};
  std::array<uint64_t, 4> within{};  // the last so many days; each includes the ones before
  uint64_t longer_ago = 0;
  uint64_t never = 0;
};

struct RepositoryStats {
  uint64_t snapshots = 0;
  uint64_t held = 0;
  uint64_t logical_bytes = 0;  // of all snapshots' files, as their statistics say
  uint64_t logical_files = 0;
  uint64_t unique_bytes = 0;  // raw bytes of distinct blobs that are stored
  uint64_t stored_bytes = 0;  // of pack files
  uint64_t blobs = 0;
  uint64_t chunks = 0;
  uint64_t nodes = 0;
  uint64_t frames = 0;
  uint64_t delta_frames = 0;  // of them
  uint64_t delta_bytes = 0;   // stored bytes of these
  uint64_t packs = 0;
  uint64_t condemned_packs = 0;
  uint64_t condemned_bytes = 0;
  uint64_t parity_files = 0;
  uint64_t parity_bytes = 0;     // not among stored_bytes
  VerifiedBytes verified;        // of stored_bytes
  uint64_t journal_records = 0;  // number of the head
  uint64_t journal_bytes = 0;
  uint64_t index_bytes = 0;
  std::vector<SessionInfo> sessions;
};
StatusOr<RepositoryStats> StatsOfRepository(Repository& repository);

struct SnapshotStats {
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t others = 0;
  uint64_t logical_bytes = 0;
  uint64_t unique_bytes = 0;  // raw bytes of its distinct blobs
  uint64_t stored_bytes = 0;  // of the frames that hold them
  uint64_t blobs = 0;
  // Of blobs that no other snapshot reaches: what forgetting it would let prune drop at most.
  uint64_t own_bytes = 0;
};
StatusOr<SnapshotStats> StatsOfSnapshot(Repository& repository, const SnapshotId& snapshot,
                                        const StopFlag* stop);

}  // namespace cairn
