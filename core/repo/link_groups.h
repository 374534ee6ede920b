// SPDX-License-Identifier: Apache-2.0
// Hard links: which paths of a snapshot are one inode, sorted externally so that millions of them
// cost no memory.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/blob.h"
#include "core/base/external_sorter.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/tree/entry.h"

namespace cairn {

class LinkGroups {
 public:
  LinkGroups();

  // A path (relative to the root) of an inode with several links, and the entry that the tree has
  // there. Where the inode changed between two of its names the entries differ, and then so do
  // their groups. Thread-safe.
  Status Add(uint64_t device, uint64_t inode, std::string_view path, const Entry& entry);

  // Writes the table of all that were added under two or more paths as one; nothing if there is
  // none. Once.
  StatusOr<std::optional<BlobId>> Finish(BlobSink& sink);

 private:
  // From (inode, path) to (first path of the group, path), groups of one left out.
  Status SortGroups(ExternalSorter& by_first_path);

  Mutex mutex_;
  ExternalSorter by_inode_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn
