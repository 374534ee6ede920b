// SPDX-License-Identifier: Apache-2.0
// How people name a snapshot, or a path in one:
//
//   latest, latest~2   the newest, the second before it
//   1f3a...            an id, or a unique prefix of it of at least 4 hex digits
//   @TIME              the newest taken at or before TIME (time_spec.h)
//   SNAPSHOT:PATH      a file or folder in it, by its original absolute path
//
// PATH begins after the first `:`, after @TIME at the first `:/` (a time has colons of its own).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/repo/snapshot_info.h"
#include "core/repo/tag_list.h"

namespace cairn {

struct SnapshotSelector {
  enum class Kind { kLatest, kIdPrefix, kAsOf };

  Kind kind = Kind::kLatest;
  uint64_t back = 0;                // kLatest: how many before the newest
  std::string id_prefix;            // kIdPrefix: 4 to 64 lower-case hex digits
  Timestamp as_of;                  // kAsOf
  std::optional<std::string> path;  // absolute, without "//", "." and a slash at its end
  std::string text;                 // as written, without the path; for messages
};

// `--host`, `--tag` and `--path`. An empty list narrows nothing.
struct SnapshotFilter {
  std::vector<std::string> hosts{};  // any of them
  std::vector<TagList> tags{};       // any of the lists
  std::vector<std::string> paths{};  // all of them are sources of the snapshot, compared as bytes

  bool IsEmpty() const { return hosts.empty() && tags.empty() && paths.empty(); }
};

bool MatchesFilter(const SnapshotInfo& snapshot, const SnapshotFilter& filter);

// `now` is what relative times count from. INVALID_ARGUMENT, saying what may be written, for what
// names nothing, and for a path where `path_allowed` is false.
StatusOr<SnapshotSelector> ParseSnapshotSelector(std::string_view text, const Timestamp& now,
                                                 bool path_allowed);

// The snapshot that `selector` names. `filter` narrows `latest` and `@TIME`
// only: an id means the snapshot that has it. NOT_FOUND if there is none, INVALID_ARGUMENT for an
// ambiguous prefix; the message lists candidates, and says what to do.
StatusOr<SnapshotInfo> SelectSnapshot(const SnapshotSelector& selector, SnapshotFinder& snapshots,
                                      const SnapshotFilter& filter);

}  // namespace cairn
