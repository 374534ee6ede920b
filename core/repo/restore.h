// SPDX-License-Identifier: Apache-2.0
// Putting a snapshot, or a part of it, back into the live file system.
//
// What stands in the way. A file, link or device is replaced by one rename, as the policy allows. A
// directory gives way to something else only if it is empty, or with `delete_extra` if nothing in
// it is spared; otherwise that is an error, and it stays. Anything else gives way to a directory, a
// symlink too, which is never followed; not so where the snapshot knows the directory by name only
// (on the way to a source).
//
// Directories that are there already get the snapshot's attributes, except under kNever and, if
// they are not older, under kIfNewer. The target itself gets those of `path` only if it was made or
// empty, or with `delete_extra`. Directories above what is included are made where something needs
// them, and are else left alone.
//
// `delete_extra` removes only in directories that are restored themselves. Spared is what the
// snapshot's own rules leave out (also what was made since), what it noted as unreadable or
// skipped, other mounts, what `include` and `exclude` do not take, and everything in a directory
// whose list of entries is damaged or unread. The repository itself is never touched.
//
// A file whose content is missing or damaged is not put in place: what was there stays. Hard links
// are made again; a name whose file was kept as it was gets a file of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/fs/exclude.h"
#include "core/repo/repository.h"

namespace cairn {

enum class OverwritePolicy {
  kAlways,       // whatever is there is replaced
  kIfChanged,    // files whose size and mtime are those of the snapshot are left as they are
  kIfDifferent,  // files are read and compared; those of equal content only get their attributes
  kIfNewer,      // files are replaced only if the snapshot's mtime is newer
  kNever,        // what is there stays
};

enum class RestoreAction { kRestored, kUpdated, kUnchanged, kDeleted };

// Counts while it runs. Thread-safe.
struct RestoreProgress {
  std::atomic<uint64_t> total_files{0};  // 0 while unknown
  std::atomic<uint64_t> total_bytes{0};
  std::atomic<uint64_t> files{0};    // regular files made or updated
  std::atomic<uint64_t> entries{0};  // all other entries made or updated
  std::atomic<uint64_t> unchanged{0};
  std::atomic<uint64_t> deleted{0};
  std::atomic<uint64_t> bytes{0};  // of content written
  std::atomic<uint64_t> errors{0};
};

struct RestoreOptions {
  PatternList include;  // empty: everything
  PatternList exclude;
  OverwritePolicy overwrite = OverwritePolicy::kAlways;
  bool delete_extra = false;  // what the snapshot lacks, but never what it did not look at
  bool dry_run = false;
  bool verify = false;  // reads back what was written and compares
  int threads = 0;
  const StopFlag* stop = nullptr;
  RestoreProgress* progress = nullptr;
  // From several threads.
  std::function<void(const std::string& path, RestoreAction)> on_entry;
  std::function<void(const std::string& path, const std::string& problem)> on_problem;
};

struct RestoreResult {
  uint64_t files = 0;
  uint64_t entries = 0;
  uint64_t unchanged = 0;
  uint64_t deleted = 0;
  uint64_t bytes = 0;
  uint64_t verified = 0;  // files read back
  // Content that is missing or damaged, or could not be written: the exit code is 1.
  uint64_t errors = 0;
  // Attributes that this user may not set: said, and no error.
  uint64_t owners_not_set = 0;
  uint64_t xattrs_not_set = 0;
  uint64_t specials_not_made = 0;   // devices
  uint64_t unread_in_snapshot = 0;  // entries whose content the snapshot could not read
};

// What is to be restored, and where it goes.
struct RestorePlace {
  SnapshotId snapshot;
  // Absolute path in the snapshot; empty: all of it.
  std::string path;
  // If set, `path`'s own contents land in this directory (a file under its own name), or for the
  // whole snapshot its paths are rebuilt from '/' below it.
  std::string target;
  // Instead of a target: everything goes back to where it was.
  bool in_place = false;
};

// What can be restored is restored; the result says what could not. Errors end it: the snapshot or
// the path is not there, the target cannot be opened, a stop.
StatusOr<RestoreResult> Restore(Repository& repository, const RestorePlace& place,
                                const RestoreOptions& options);

}  // namespace cairn
