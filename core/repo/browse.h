// SPDX-License-Identifier: Apache-2.0
// Looking into snapshots: list, read, find, history, difference. Memory does not grow with the
// tree.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/fs/exclude.h"
#include "core/repo/repository.h"
#include "core/tree/entry.h"
#include "core/tree/walk.h"

namespace cairn {

// An entry and where it is: absolute, as the source had it.
struct LocatedEntry {
  std::string path;
  Entry entry;
};

// The entry at an absolute path of the snapshot; "/" or "" is what holds everything. A path above
// the sources is a partial directory. NOT_FOUND names the part that is missing.
StatusOr<LocatedEntry> FindInSnapshot(Repository& repository, const SnapshotView& snapshot,
                                      const std::string& path);

// Calls `visit` for what is at `path` (for a directory: what is in it; with `recursive` all below),
// in walk order. Returning false stops.
Status ListPath(Repository& repository, const SnapshotView& snapshot, const std::string& path,
                bool recursive, const StopFlag* stop,
                const std::function<StatusOr<bool>(const LocatedEntry&)>& visit);

// Writes a file's bytes in order. FAILED_PRECONDITION if it is no file, or its content could not be
// read when the snapshot was made.
Status ReadFileContent(Repository& repository, const Entry& entry, const StopFlag* stop,
                       const std::function<Status(ByteSpan)>& write);

// Entries whose path or name matches, in each of `snapshots`; a subtree that several of them share
// is walked once.
Status FindEntries(
    Repository& repository, const std::vector<SnapshotView>& snapshots, const PatternList& patterns,
    const StopFlag* stop,
    const std::function<StatusOr<bool>(const SnapshotView&, const LocatedEntry&)>& visit);

// The distinct versions of one path, oldest first, with the snapshots that bear each. A time at
// which it was not there is a version without an entry.
struct PathVersion {
  std::optional<Entry> entry;
  std::vector<SnapshotId> snapshots;
};
StatusOr<std::vector<PathVersion>> PathHistory(Repository& repository,
                                               std::vector<SnapshotView> snapshots,
                                               const std::string& path);

// Differences between two snapshots, or between two paths in them.
Status DiffSnapshots(
    Repository& repository, const SnapshotView& before, const std::string& before_path,
    const SnapshotView& after, const std::string& after_path, const StopFlag* stop,
    const std::function<StatusOr<bool>(const std::string& path, const DiffItem&)>& visit);

}  // namespace cairn
