// SPDX-License-Identifier: Apache-2.0
// Snapshots in groups that are a history of one thing each: for keep rules and for lists.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/repo/snapshot_info.h"

namespace cairn {

// Which properties must be equal within a group; with none, all snapshots are one group.
struct GroupBy {
  bool host = true;
  bool paths = true;
  bool tags = false;
};

// "host,paths,tags" in any choice and order; "" is none of them. Their other number ("path") is
// understood. INVALID_ARGUMENT for other words.
StatusOr<GroupBy> ParseGroupBy(std::string_view text);

// What the snapshots of a group share. Empty where it was not asked for; lists are sorted, and an
// element stands in them once, for `/a /b` and `/b /a` are the same sources.
struct SnapshotGroupKey {
  std::string host;
  std::vector<std::string> paths;
  std::vector<std::string> tags;
  friend auto operator<=>(const SnapshotGroupKey&, const SnapshotGroupKey&) = default;
};

// "host a, paths /b /c, tags d": raw bytes, for messages. "all snapshots" for an empty key.
std::string FormatGroupKey(const SnapshotGroupKey& key);

struct SnapshotGroup {
  SnapshotGroupKey key;
  std::vector<SnapshotInfo> snapshots;  // newest first (IsOlder); never empty
};

// Groups in order of their keys.
std::vector<SnapshotGroup> GroupSnapshots(std::vector<SnapshotInfo> snapshots,
                                          const GroupBy& group_by);

}  // namespace cairn
