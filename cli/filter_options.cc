// SPDX-License-Identifier: Apache-2.0
#include "cli/filter_options.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "cli/arguments.h"
#include "cli/error.h"
#include "cli/source_paths.h"

namespace cairn {

void FilterOptions::Declare(CLI::App& command) {
  const char* group = "Which snapshots are looked at (an id means the one that has it)";
  AddList(command, "--host", "HOST", hosts_, "Those of this host; again for another one")
      ->group(group);
  AddList(command, "--tag", "TAG[,TAG]", tags_,
          "Those that have all these tags; again for others;\n'' is those without tags")
      ->group(group);
  AddList(command, "--path", "PATH", paths_, "Those made of this path; again for more of them")
      ->group(group);
}

StatusOr<SnapshotFilter> FilterOptions::Filter() const {
  SnapshotFilter filter;
  filter.hosts = hosts_;
  for (const std::string& text : tags_) {
    StatusOr<TagList> list = ParseTagList(text);
    if (!list.ok()) return AsUsage(list.status(), "--tag");
    filter.tags.push_back(*std::move(list));
  }
  for (const std::string& path : paths_) {
    StatusOr<std::string> absolute = AbsolutePath(path);
    if (!absolute.ok()) return AsUsage(absolute.status(), "--path");
    filter.paths.push_back(*std::move(absolute));
  }
  return filter;
}

std::vector<SnapshotInfo> Matching(std::vector<SnapshotInfo> snapshots,
                                   const SnapshotFilter& filter) {
  std::erase_if(snapshots,
                [&](const SnapshotInfo& snapshot) { return !MatchesFilter(snapshot, filter); });
  return snapshots;
}

}  // namespace cairn
