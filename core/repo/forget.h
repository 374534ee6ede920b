// SPDX-License-Identifier: Apache-2.0
// Records that change what snapshots are kept and what is said of them: forget, hold, release, tag.
// None of them needs the index, or room in the index, so they work on a full disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/repo/repository.h"

namespace cairn {

struct ForgetResult {
  std::vector<SnapshotId> forgotten;
  std::vector<SnapshotId> held;  // were not forgotten, because they are held
};

// One record for all of them. A snapshot that somebody holds meanwhile stays; one that is gone
// already is no error.
StatusOr<ForgetResult> ForgetSnapshots(Repository& repository,
                                       const std::vector<SnapshotId>& snapshots);

Status HoldSnapshots(Repository& repository, const std::vector<SnapshotId>& snapshots, bool hold);

struct TagChange {
  bool replace = false;  // `add` instead of what is there
  std::vector<std::string> add;
  std::vector<std::string> remove;
};
Status TagSnapshots(Repository& repository, const std::vector<SnapshotId>& snapshots,
                    const TagChange& change);

// The space kept for them on a full disk: made when there is room, given up when there is none.
inline constexpr uint64_t kReserveBytes = 16 * kMiB;
Status EnsureReserve(Repository& repository);
// True if there was one.
StatusOr<bool> GiveUpReserve(Repository& repository);

}  // namespace cairn
