// SPDX-License-Identifier: Apache-2.0
// Taking a snapshot: walk, read, cut, hash, look up, compress, store, commit.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/fs/file_status.h"
#include "core/repo/repository.h"
#include "core/repo/snapshot_object.h"
#include "core/repo/source_rules.h"

namespace cairn {

// What the snapshot is called and by whom it is made: nothing of it is part of the root's id.
struct SnapshotLabels {
  std::string host;
  std::string user;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string message;
  std::vector<std::string> tags;
  std::optional<Timestamp> time;  // else the clock's, when it begins
  std::string program;            // "cairn 0.1.0"
};

// Counts while it runs, for a progress line. Thread-safe.
struct SnapshotProgress {
  std::atomic<uint64_t> files{0};
  std::atomic<uint64_t> directories{0};
  std::atomic<uint64_t> others{0};
  std::atomic<uint64_t> bytes{0};  // of the files counted
  // That it is likely to count: those of the snapshot that it is compared with; 0 without one.
  std::atomic<uint64_t> bytes_expected{0};
  std::atomic<uint64_t> files_new{0};
  std::atomic<uint64_t> files_changed{0};
  std::atomic<uint64_t> files_unchanged{0};
  std::atomic<uint64_t> bytes_read{0};
  std::atomic<uint64_t> errors{0};
};

enum class FileVerdict { kNew, kChanged, kUnchanged };

struct SnapshotOptions {
  SnapshotLabels labels;
  SourceRules rules;
  int threads = 0;                       // 0: one for each processor, at most 8
  std::optional<int> compression_level;  // else the repository's
  bool rescan = false;                   // trusts no metadata: reads every file
  bool parity = true;                    // for the packs that are written
  bool deltas = true;                    // changed files are compressed against what they were
  bool dry_run = false;
  bool skip_if_unchanged = false;
  // Taken for those of every file system, in place of what they are found to be.
  std::optional<FileSystemTraits> traits;
  const StopFlag* stop = nullptr;
  SnapshotProgress* progress = nullptr;
  // Called from several threads for each file (verdicts) and each problem.
  std::function<void(const std::string& path, FileVerdict)> on_file;
  std::function<void(const std::string& path, const std::string& problem)> on_problem;
};

struct SnapshotResult {
  // Nothing for a dry run, and where nothing had changed and skip_if_unchanged was asked for.
  std::optional<SnapshotId> id;
  std::optional<SnapshotId> parent;
  bool unchanged = false;  // the root is the parent's
  BlobId root;
  SnapshotStatistics statistics;
  uint64_t problems = 0;  // sources that could not be read, vanished or kept changing: exit code 3
  std::vector<std::string> paths;
};

// Snapshots the files and directories at `paths`: made absolute and clean by the caller, which also
// keeps them from being empty. A path below another one is dropped. NOT_FOUND if none of them is
// there; one that is missing among others is a problem, and no part of the snapshot. CANCELLED when
// interrupted: what was stored is named in the journal, so that the next run finds it.
StatusOr<SnapshotResult> TakeSnapshot(Repository& repository, const std::vector<std::string>& paths,
                                      const SnapshotOptions& options);

// Snapshots what `descriptor` gives as the one file "/NAME" (mode 0600, the caller's ids, mtime =
// the snapshot's time). `finish` is called after its end and before the commit: an error (a command
// that failed) makes no snapshot.
StatusOr<SnapshotResult> SnapshotStream(Repository& repository, int descriptor,
                                        const std::string& name, const SnapshotOptions& options,
                                        const std::function<Status()>& finish);

}  // namespace cairn
