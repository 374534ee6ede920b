// SPDX-License-Identifier: Apache-2.0
#include "core/store/local_folders.h"

#include <utility>

namespace cairn {

std::string FolderOf(const std::string& name) {
  const size_t slash = name.rfind('/');
  return slash == std::string::npos ? "" : name.substr(0, slash);
}

Status LocalFolders::Ensure(const std::string& folder) {
  if (folder.empty()) return OkStatus();
  {
    MutexLock lock(mutex_);
    if (known_.contains(folder)) return OkStatus();
  }
  const std::string parent = FolderOf(folder);
  RETURN_IF_ERROR(Ensure(parent));
  const Status made = fs_.CreateDirectory(folder);
  bool durable = false;
  if (made.code() == StatusCode::kAlreadyExists) {
    ASSIGN_OR_RETURN(const std::vector<std::string> entries, fs_.List(folder));
    durable = !entries.empty();
  } else {
    RETURN_IF_ERROR(made);
  }
  if (!durable) RETURN_IF_ERROR(Sync(parent));
  MutexLock lock(mutex_);
  known_.insert(folder);
  return OkStatus();
}

Status LocalFolders::EnsureVolatile(const std::string& folder) {
  {
    MutexLock lock(mutex_);
    if (known_.contains(folder)) return OkStatus();
  }
  const Status made = fs_.CreateDirectory(folder);
  if (made.code() != StatusCode::kAlreadyExists) RETURN_IF_ERROR(made);
  MutexLock lock(mutex_);
  known_.insert(folder);
  return OkStatus();
}

void LocalFolders::MarkDirty(const std::string& folder) {
  MutexLock lock(mutex_);
  dirty_.insert(folder);
}

Status LocalFolders::SyncAll() {
  MutexLock sync_lock(sync_mutex_);
  std::set<std::string> folders;
  {
    MutexLock lock(mutex_);
    folders = std::exchange(dirty_, {});
  }
  Status first_error;
  for (const std::string& folder : folders) {
    Status synced = SyncNow(folder);
    if (first_error.ok()) first_error = std::move(synced);
  }
  if (first_error.ok() && !broken_.empty()) {
    return Unavailable("sync names: folder \"" + *broken_.begin() +
                       "\" could not be synced before, so nothing in it can be relied on");
  }
  return first_error;
}

Status LocalFolders::Sync(const std::string& folder) {
  MutexLock sync_lock(sync_mutex_);
  return SyncNow(folder);
}

Status LocalFolders::SyncNow(const std::string& folder) {
  if (broken_.contains(folder)) {
    return Unavailable("sync folder \"" + folder + "\": it failed before, and is not tried again");
  }
  Status synced = fs_.SyncDirectory(folder);
  if (!synced.ok()) broken_.insert(folder);
  return synced;
}

}  // namespace cairn
