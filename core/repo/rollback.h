// SPDX-License-Identifier: Apache-2.0
// Putting a path back as it was in a snapshot, after a *safety snapshot* of what is there now: a
// restore in place that deletes what the snapshot lacks, and a snapshot like any other before it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/status.h"
#include "core/repo/repository.h"
#include "core/repo/restore.h"
#include "core/repo/snapshot.h"
#include "core/repo/snapshot_selector.h"

namespace cairn {

// Safety snapshots have this tag, by which FindRollbackSnapshot passes them over.
inline constexpr char kSafetyTag[] = "rollback";

// The newest snapshot of those that `filter` takes in which `path` is, and that is no safety
// snapshot. NOT_FOUND if there is none.
StatusOr<SnapshotView> FindRollbackSnapshot(Repository& repository, const std::string& path,
                                            const SnapshotFilter& filter);

// What a rollback would do, found by a dry run.
struct RollbackPlan {
  uint64_t made = 0;         // are not there now
  uint64_t replaced = 0;     // are no directories, and differ in content or attributes
  uint64_t deleted = 0;      // the snapshot does not have them
  uint64_t directories = 0;  // of which only attributes change
  uint64_t unchanged = 0;
  uint64_t bytes = 0;   // of content that is written
  uint64_t errors = 0;  // what could not be looked at

  bool IsEmpty() const { return made + replaced + deleted + directories + errors == 0; }
  bool LosesSomething() const { return replaced + deleted > 0; }
};

struct RollbackOptions {
  // Labels, and which files are cairn's own. Its tags and its message are set here, and so are the
  // patterns by which the snapshot left things out: a rollback does not touch these.
  SnapshotOptions safety;
  // What is overwritten, and whether things are deleted, is set here.
  RestoreOptions restore;
  bool dry_run = false;  // ends with the plan
  // Goes on where something cannot be looked at, or where the safety snapshot lacks something; and
  // does not ask.
  bool force = false;
  // Asked, without `force`, if something is replaced or deleted; an error ends the rollback before
  // anything is done.
  std::function<Status(const RollbackPlan&)> confirm;
  // The safety snapshot has been made, and the restore begins.
  std::function<void(const SnapshotId&)> on_safety;
};

struct RollbackResult {
  RollbackPlan plan;
  // Nothing if nothing had to be done, for a dry run, and if there was nothing at the path.
  std::optional<SnapshotId> safety;
  RestoreResult restore;  // its errors: the path is not, or not wholly, as it was
};

// `path` is absolute and clean. Nothing is changed before on_safety is called. FAILED_PRECONDITION
// if the snapshot has only parts of the path or could not read it, or without `force` as above.
// Files of equal content are not written anew; names that have been linked together since stay so
// where their content is equal.
StatusOr<RollbackResult> Rollback(Repository& repository, const SnapshotView& snapshot,
                                  const std::string& path, const RollbackOptions& options);

}  // namespace cairn
