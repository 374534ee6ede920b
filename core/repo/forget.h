// SPDX-License-Identifier: Apache-2.0
// Records that change what snapshots are kept and what is said of them: forget, hold, release, tag.
// None of them needs the index, or room in the index, and for the record itself there is the
// reserve (reserve.h), so they work on a full disk. The index follows where it can.
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

// Sets or clears the mark that keeps forget away. NOT_FOUND, and nothing is changed, if one of them
// is not there. What is as asked already needs no record.
Status HoldSnapshots(Repository& repository, const std::vector<SnapshotId>& snapshots, bool hold);

struct TagChange {
  bool replace = false;  // `add` instead of what is there
  std::vector<std::string> add;
  std::vector<std::string> remove;
};
// As HoldSnapshots; INVALID_ARGUMENT for a tag that is empty or longer than 1,024 bytes, and where
// a snapshot would have more than 1,024 of them.
Status TagSnapshots(Repository& repository, const std::vector<SnapshotId>& snapshots,
                    const TagChange& change);

}  // namespace cairn
