// SPDX-License-Identifier: Apache-2.0
// What a snapshot's walk has to say: the problems it met, what it left out, and why it ended early.
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/repo/snapshot.h"

namespace cairn {

class WalkReport {
 public:
  // Both outlive it.
  WalkReport(const SnapshotOptions& options, SnapshotProgress& progress)
      : options_(options), progress_(progress) {}

  void AddProblem(const std::string& path, std::string text);
  void AddSkipped(const std::string& path, std::string reason);

  // All of them, also those beyond what is listed.
  uint64_t problems() const;
  // Sorted by path, of the first 100,000; once.
  std::vector<PathNote> TakeProblems();
  std::vector<PathNote> TakeSkipped();

  // The first error that ends the snapshot stays.
  void Fail(Status status);
  // Whether the walk has failed or is asked to stop, which is a failure as well.
  bool Stopping();
  Status Failure() const;

 private:
  const SnapshotOptions& options_;
  SnapshotProgress& progress_;

  mutable Mutex mutex_;
  std::vector<PathNote> problems_ ABSL_GUARDED_BY(mutex_);
  uint64_t problem_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<PathNote> skipped_ ABSL_GUARDED_BY(mutex_);
  Status failure_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> failed_{false};
};

}  // namespace cairn
