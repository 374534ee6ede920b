// SPDX-License-Identifier: Apache-2.0
#include "core/repo/walk_report.h"

#include <algorithm>
#include <utility>

#include "core/repo/snapshot_object.h"

namespace cairn {
namespace {

std::vector<PathNote> SortedByPath(std::vector<PathNote> notes) {
  std::sort(notes.begin(), notes.end(),
            [](const PathNote& a, const PathNote& b) { return a.path < b.path; });
  return notes;
}

}  // namespace

void WalkReport::AddProblem(const std::string& path, std::string text) {
  ++progress_.errors;
  if (options_.on_problem) options_.on_problem(path, text);
  MutexLock lock(mutex_);
  if (++problem_count_ <= kMaxPathNotes) problems_.push_back({path, std::move(text)});
}

void WalkReport::AddSkipped(const std::string& path, std::string reason) {
  MutexLock lock(mutex_);
  if (skipped_.size() < kMaxPathNotes) skipped_.push_back({path, std::move(reason)});
}

uint64_t WalkReport::problems() const {
  MutexLock lock(mutex_);
  return problem_count_;
}

std::vector<PathNote> WalkReport::TakeProblems() {
  MutexLock lock(mutex_);
  return SortedByPath(std::move(problems_));
}

std::vector<PathNote> WalkReport::TakeSkipped() {
  MutexLock lock(mutex_);
  return SortedByPath(std::move(skipped_));
}

void WalkReport::Fail(Status status) {
  MutexLock lock(mutex_);
  if (failure_.ok()) failure_ = std::move(status);
  failed_ = true;
}

bool WalkReport::Stopping() {
  if (failed_) return true;
  Status status = CheckStop(options_.stop);
  if (status.ok()) return false;
  Fail(std::move(status));
  return true;
}

Status WalkReport::Failure() const {
  MutexLock lock(mutex_);
  return failure_;
}

}  // namespace cairn
