// SPDX-License-Identifier: Apache-2.0
// Which folders of a local object store are there, and which hold names that are not durable yet.
// Private to local_object_store.cc.
#pragma once

#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/status.h"

namespace cairn {

// The folder of "packs/3f/3f07" is "packs/3f", that of "packs" is "".
std::string FolderOf(const std::string& name);

// Thread-safe.
class LocalFolders {
 public:
  explicit LocalFolders(FileSystem& fs) : fs_(fs) {}

  // `folder` is there, and its own name is durable.
  //
  // Every program makes a folder durable before it places anything in it. So a folder that has
  // entries is durable, and needs no sync of its parent, whoever made it; an empty one may have
  // been made a moment ago by a process that has not synced it yet.
  Status Ensure(const std::string& folder);

  // `folder` is there; it may be gone after a power cut.
  Status EnsureVolatile(const std::string& folder);

  // A name was placed in `folder`. To be called after that (a SyncAll in between would take the
  // mark and miss the name), and before anybody is told of the name.
  void MarkDirty(const std::string& folder);

  // All names that were placed in marked folders before this call are durable.
  Status SyncAll();

  // The same of one folder.
  Status Sync(const std::string& folder);

 private:
  Status SyncNow(const std::string& folder) ABSL_EXCLUSIVE_LOCKS_REQUIRED(sync_mutex_);

  FileSystem& fs_;

  // Held over the syncs of SyncAll, so that a second caller waits for the folders that the first
  // has taken from dirty_ and is still syncing. Taken before mutex_.
  Mutex sync_mutex_;
  // Folders whose sync has failed. What such a folder holds on disk is not known, and a second sync
  // may report success for what the first one lost, so they stay here.
  std::set<std::string> broken_ ABSL_GUARDED_BY(sync_mutex_);

  Mutex mutex_;
  std::set<std::string> known_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> dirty_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn
