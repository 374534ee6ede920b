// SPDX-License-Identifier: Apache-2.0
// Removing what a snapshot lacks (`--delete`), and what stands where something else shall be.
#pragma once

#include <memory>
#include <string>

#include "core/base/blob.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/fs/target.h"
#include "core/repo/restore_filter.h"
#include "core/repo/restore_report.h"
#include "core/repo/restore_spared.h"

namespace cairn {

// Spared, with the directories that lead to it: what the snapshot's rules leave out or its notes
// name, what the filter does not take, other mounts, and the repository itself. Thread-safe.
class ExtraRemover {
 public:
  struct Context {
    const SparedPaths& spared;
    const RestoreFilter& filter;
    RestoreReport& report;
    RepositoryId repository;
    bool dry_run = false;
    const StopFlag* stop = nullptr;
  };
  // What the context refers to outlives the remover.
  explicit ExtraRemover(const Context& context) : context_(context) {}

  // Removes from `directory`, which is at `path` in the snapshot, all that its tree `node` lacks.
  // Nothing if a part of the tree cannot be read. What cannot be removed is a problem in the
  // report; errors are those that end the restore (a stop).
  Status RemoveExtras(BlobSource& source, const BlobId& node, TargetDirectory& directory,
                      const std::string& path) const;

  // Removes `name`, at `path`, with all that is in it. False if something is spared, or could not
  // be removed, which is reported.
  StatusOr<bool> RemoveTree(TargetDirectory& directory, const std::string& name,
                            const std::string& path) const;

 private:
  struct Level;
  class Removal;

  StatusOr<bool> IsSpared(TargetDirectory& directory, const std::string& name,
                          const std::string& path, const FileStatus& status,
                          const FileStatus& above) const;

  const Context context_;
};

}  // namespace cairn
