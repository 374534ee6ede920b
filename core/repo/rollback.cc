// SPDX-License-Identifier: Apache-2.0
#include "core/repo/rollback.h"

#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/base/mutex.h"
#include "core/repo/browse.h"
#include "core/repo/snapshot_object.h"

namespace cairn {
namespace {

// Whether it can be put back as a whole.
Status CheckEntry(const Entry& entry, const SnapshotId& snapshot, const std::string& path) {
  const std::string in_snapshot = path + " in snapshot " + snapshot.ShortHex();
  if (entry.type == EntryType::kPartialDirectory) {
    return FailedPrecondition(in_snapshot + " is only on the way to what it holds: name that");
  }
  if (entry.unread) {
    return FailedPrecondition(in_snapshot + " could not be read when the snapshot was made");
  }
  return OkStatus();
}

// The rules are a line each; those that begin with "# " are no patterns (docs/format.md).
Status AddPatternsOf(Repository& repository, const SnapshotObject& object, PatternList& patterns) {
  ASSIGN_OR_RETURN(const Bytes rules, ReadLongList(object.excludes, repository));
  for (std::string_view rest = AsText(rules); !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    if (!line.empty() && !line.starts_with("# ")) RETURN_IF_ERROR(patterns.Add(line));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return OkStatus();
}

class RollbackRun {
 public:
  RollbackRun(Repository& repository, const SnapshotView& snapshot, const std::string& path,
              const RollbackOptions& options)
      : repository_(repository), snapshot_(snapshot), path_(path), options_(options) {}

  StatusOr<RollbackResult> Run();

 private:
  RestorePlace Place() const {
    return {.snapshot = snapshot_.info.id, .path = path_, .target = "", .in_place = true};
  }
  RestoreOptions Options(bool dry_run) const;
  StatusOr<RollbackPlan> Plan();
  void Count(const std::string& path, RestoreAction action);
  Status MayGoOn(const RollbackPlan& plan);
  Status TakeSafetySnapshot();

  Repository& repository_;
  const SnapshotView& snapshot_;
  const std::string& path_;
  const RollbackOptions& options_;
  RollbackResult result_;

  Mutex mutex_;
  RollbackPlan plan_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, std::string>> problems_ ABSL_GUARDED_BY(mutex_);
};

RestoreOptions RollbackRun::Options(bool dry_run) const {
  RestoreOptions options = options_.restore;
  options.overwrite = OverwritePolicy::kIfDifferent;
  options.delete_extra = true;
  options.dry_run = dry_run;
  return options;
}

void RollbackRun::Count(const std::string& path, RestoreAction action) {
  if (options_.dry_run && options_.restore.on_entry) options_.restore.on_entry(path, action);
  struct stat now {};
  const bool is_there = ::lstat(path.c_str(), &now) == 0;
  MutexLock lock(mutex_);
  if (action == RestoreAction::kUnchanged) {
    ++plan_.unchanged;
  } else if (action == RestoreAction::kDeleted) {
    ++plan_.deleted;
  } else if (!is_there) {
    ++plan_.made;
  } else if (S_ISDIR(now.st_mode)) {
    // Something else that takes its place is counted by what is deleted with it.
    ++plan_.directories;
  } else {
    ++plan_.replaced;
  }
}

StatusOr<RollbackPlan> RollbackRun::Plan() {
  RestoreOptions options = Options(/*dry_run=*/true);
  options.progress = nullptr;
  options.on_entry = [this](const std::string& path, RestoreAction action) { Count(path, action); };
  options.on_problem = [this](const std::string& path, const std::string& problem) {
    MutexLock lock(mutex_);
    problems_.emplace_back(path, problem);
  };
  ASSIGN_OR_RETURN(const RestoreResult found, Restore(repository_, Place(), options));
  MutexLock lock(mutex_);
  plan_.bytes = found.bytes;
  plan_.errors = found.errors;
  return plan_;
}

Status RollbackRun::MayGoOn(const RollbackPlan& plan) {
  if (options_.force) return OkStatus();
  if (plan.errors > 0) {
    MutexLock lock(mutex_);
    for (const auto& [path, problem] : problems_) {
      if (options_.restore.on_problem) options_.restore.on_problem(path, problem);
    }
    return FailedPrecondition(absl::StrFormat(
        "nothing was changed, as %d entries of %s could not be looked at; --force goes on "
        "with what can be done",
        plan.errors, path_));
  }
  return plan.LosesSomething() && options_.confirm ? options_.confirm(plan) : OkStatus();
}

Status RollbackRun::TakeSafetySnapshot() {
  struct stat now {};
  if (::lstat(path_.c_str(), &now) != 0) return OkStatus();
  SnapshotOptions options = options_.safety;
  options.labels.tags = {kSafetyTag};
  options.labels.message =
      absl::StrFormat("before the rollback of %s to %s", path_, snapshot_.info.id.ShortHex());
  RETURN_IF_ERROR(AddPatternsOf(repository_, snapshot_.object, options.rules.excludes));
  StatusOr<SnapshotResult> taken = TakeSnapshot(repository_, {path_}, options);
  if (!taken.ok()) {
    return Annotate(taken.status(), "nothing was changed: taking the safety snapshot");
  }
  result_.safety = taken->id;
  ASSIGN_OR_RETURN(const SnapshotView view, repository_.FindSnapshot(*taken->id));
  RETURN_IF_ERROR(FindInSnapshot(repository_, view, path_).status());
  if (taken->problems > 0 && !options_.force) {
    return FailedPrecondition(
        absl::StrFormat("nothing was changed, as the safety snapshot %s lacks what could not be "
                        "read (%d entries); --force goes on without",
                        taken->id->ShortHex(), taken->problems));
  }
  if (options_.on_safety) options_.on_safety(*taken->id);
  return OkStatus();
}

StatusOr<RollbackResult> RollbackRun::Run() {
  ASSIGN_OR_RETURN(const LocatedEntry located, FindInSnapshot(repository_, snapshot_, path_));
  RETURN_IF_ERROR(CheckEntry(located.entry, snapshot_.info.id, path_));
  ASSIGN_OR_RETURN(result_.plan, Plan());
  if (options_.dry_run || result_.plan.IsEmpty()) return std::move(result_);
  RETURN_IF_ERROR(MayGoOn(result_.plan));
  RETURN_IF_ERROR(TakeSafetySnapshot());
  ASSIGN_OR_RETURN(result_.restore, Restore(repository_, Place(), Options(/*dry_run=*/false)));
  return std::move(result_);
}

}  // namespace

StatusOr<SnapshotView> FindRollbackSnapshot(Repository& repository, const std::string& path,
                                            const SnapshotFilter& filter) {
  ASSIGN_OR_RETURN(std::vector<SnapshotView> snapshots, repository.Snapshots());
  std::ranges::sort(snapshots, [](const SnapshotView& a, const SnapshotView& b) {
    return IsOlder(b.info, a.info);
  });
  for (SnapshotView& snapshot : snapshots) {
    if (!MatchesFilter(snapshot.info, filter)) continue;
    if (std::ranges::count(snapshot.info.tags, kSafetyTag) > 0) continue;
    const StatusOr<LocatedEntry> found = FindInSnapshot(repository, snapshot, path);
    if (found.status().code() == StatusCode::kNotFound) continue;
    RETURN_IF_ERROR(found.status());
    if (found->entry.type != EntryType::kPartialDirectory) return std::move(snapshot);
  }
  return NotFound("no snapshot holds " + path);
}

StatusOr<RollbackResult> Rollback(Repository& repository, const SnapshotView& snapshot,
                                  const std::string& path, const RollbackOptions& options) {
  return RollbackRun(repository, snapshot, path, options).Run();
}

}  // namespace cairn
