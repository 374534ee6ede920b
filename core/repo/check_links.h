// SPDX-License-Identifier: Apache-2.0
// Whether the paths of the link groups are what the groups say: one inode each. Private to check.
#pragma once

#include <string>

#include "core/base/blob.h"
#include "core/base/external_sorter.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/tree/node.h"

namespace cairn {

// Sorts the paths and walks the tree beside them, so that only directories on the way to one are
// read, each once, and memory is bounded. Thread-compatible.
class LinkCheck {
 public:
  // All must outlive it.
  LinkCheck(BlobSource& source, const StopFlag* stop) : source_(source), stop_(stop) {}

  // What is wrong, or nothing. A part of the tree or of the groups that cannot be read is passed
  // over: it is found elsewhere. REQUIRES: root.links is set.
  StatusOr<std::string> FindFault(const Root& root);

 private:
  // From groups to (path, group).
  Status SortPaths(const BlobId& links, ExternalSorter& by_path);
  // From (path, group) and the tree to (group, digest of the entry, path).
  StatusOr<std::string> SortEntries(const Entry& top, ExternalSorter& by_path,
                                    ExternalSorter& by_group);
  StatusOr<std::string> CompareGroups(ExternalSorter& by_group);

  BlobSource& source_;
  const StopFlag* const stop_;
};

}  // namespace cairn
