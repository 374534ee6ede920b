// SPDX-License-Identifier: Apache-2.0
#include "core/repo/snapshot_group.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_format.h"

namespace cairn {
namespace {

std::vector<std::string> SortedOnce(std::vector<std::string> list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  return list;
}

void AppendPart(std::string& text, std::string_view name, const std::vector<std::string>& values) {
  if (values.empty()) return;
  if (!text.empty()) text += ", ";
  text += name;
  for (const std::string& value : values) text.append(" ").append(value);
}

}  // namespace

StatusOr<GroupBy> ParseGroupBy(std::string_view text) {
  GroupBy group_by{.host = false, .paths = false, .tags = false};
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find(',', start), text.size());
    const std::string_view word = text.substr(start, end - start);
    if (word == "host" || word == "hosts") {
      group_by.host = true;
    } else if (word == "paths" || word == "path") {
      group_by.paths = true;
    } else if (word == "tags" || word == "tag") {
      group_by.tags = true;
    } else {
      return InvalidArgument(absl::StrFormat(
          "cannot group by '%s': write any of host,paths,tags, or '' for one group", word));
    }
    start = end + 1;
  }
  return group_by;
}

std::string FormatGroupKey(const SnapshotGroupKey& key) {
  std::string text;
  if (!key.host.empty()) AppendPart(text, "host", {key.host});
  AppendPart(text, "paths", key.paths);
  AppendPart(text, "tags", key.tags);
  return text.empty() ? "all snapshots" : text;
}

std::vector<SnapshotGroup> GroupSnapshots(std::vector<SnapshotInfo> snapshots,
                                          const GroupBy& group_by) {
  std::map<SnapshotGroupKey, std::vector<SnapshotInfo>> by_key;
  for (SnapshotInfo& snapshot : snapshots) {
    SnapshotGroupKey key;
    if (group_by.host) key.host = snapshot.host;
    if (group_by.paths) key.paths = SortedOnce(snapshot.paths);
    if (group_by.tags) key.tags = SortedOnce(snapshot.tags);
    by_key[std::move(key)].push_back(std::move(snapshot));
  }
  std::vector<SnapshotGroup> groups;
  groups.reserve(by_key.size());
  for (auto& [key, members] : by_key) {
    std::sort(members.begin(), members.end(),
              [](const SnapshotInfo& a, const SnapshotInfo& b) { return IsOlder(b, a); });
    groups.push_back({key, std::move(members)});
  }
  return groups;
}

}  // namespace cairn
