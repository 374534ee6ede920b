// SPDX-License-Identifier: Apache-2.0
// From what is asked for to where a restore begins: an entry of the snapshot, and a directory of
// the live file system.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/fs/target.h"
#include "core/repo/repository.h"
#include "core/repo/restore.h"
#include "core/tree/entry.h"

namespace cairn {

struct RestoreStart {
  Entry top;              // what is restored
  std::string path;       // where the snapshot has it: absolute
  std::string link_path;  // the same as the link table names it, relative to the root
  std::optional<BlobId> links;

  // Null if it is not there (dry runs only).
  std::shared_ptr<TargetDirectory> directory;
  // Directories on the way from `directory` to where `top` goes, with their paths in the snapshot.
  struct Step {
    std::string name;
    std::string path;
  };
  std::vector<Step> steps;
  // `directory` is the place of `top` itself, which then is a directory and has no name.
  bool is_directory_itself = false;
  // Such a directory was made for the restore, or was empty.
  bool is_fresh = false;
  // Partial directories are opened by their paths in the live file system, which may lead over
  // symlinks, as they did when the snapshot was made.
  bool in_place = false;
};

// NOT_FOUND if the path is not in the snapshot; INVALID_ARGUMENT if the place is not clear; errors
// of opening the target. Makes the target directory, unless `dry_run`.
StatusOr<RestoreStart> FindRestoreStart(Repository& repository, const SnapshotView& snapshot,
                                        const RestorePlace& place, bool dry_run);

// Opens, or makes unless `dry_run`, the directory at `path`; null if a dry run finds none.
StatusOr<std::shared_ptr<TargetDirectory>> OpenRestoreTarget(const std::string& path, bool dry_run);

}  // namespace cairn
