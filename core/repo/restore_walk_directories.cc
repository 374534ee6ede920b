// SPDX-License-Identifier: Apache-2.0
// The directories of a restore's walk: made, or found, when the first thing in them is restored.
#include <utility>

#include "core/repo/restore_attributes.h"
#include "core/repo/restore_walk.h"

namespace cairn {

StatusOr<bool> RestoreWalk::OpenInnermost() {
  size_t at = levels_.size() - 1;
  while (levels_[at].state == Level::State::kUnopened) --at;
  for (; levels_[at].state != Level::State::kClosed && at + 1 < levels_.size(); ++at) {
    Level& level = levels_[at + 1];
    if (Status status = OpenLevel(level, levels_[at]); !status.ok()) {
      RETURN_IF_ERROR(CheckStop(context_.options.stop));
      context_.report.Problem(level.path, Message(status));
      level.state = Level::State::kClosed;
    }
  }
  for (; at < levels_.size() && levels_[at].state == Level::State::kClosed; ++at) {
    if (at + 1 < levels_.size()) levels_[at + 1].state = Level::State::kClosed;
  }
  if (levels_.size() > top_level_) top_directory_ = levels_[top_level_].directory;
  return levels_.back().state != Level::State::kClosed;
}

Status RestoreWalk::OpenLevel(Level& level, Level& above) {
  const bool dry_run = context_.options.dry_run;
  const std::string& name = level.entry.name;
  if (above.state == Level::State::kAbsent) {
    level.state = Level::State::kAbsent;
    return OkStatus();
  }
  if (start_.in_place && level.entry.type == EntryType::kPartialDirectory) {
    ASSIGN_OR_RETURN(level.directory, OpenRestoreTarget(level.path, dry_run));
    level.state = level.directory == nullptr ? Level::State::kAbsent : Level::State::kOpen;
    return OkStatus();
  }
  ASSIGN_OR_RETURN(std::optional<FileStatus> status, above.directory->Stat(name));
  if (status && status->type != EntryType::kDirectory) {
    RETURN_IF_ERROR(ClearForDirectory(level, above, *status));
    status.reset();
  }
  if (!status && dry_run) {
    level.state = Level::State::kAbsent;
    return OkStatus();
  }
  ASSIGN_OR_RETURN(level.directory, dry_run ? above.directory->ExistingDirectory(name)
                                            : above.directory->Directory(name));
  level.state = Level::State::kOpen;
  if (status) return UseExisting(level, *status);
  level.made = true;
  level.sets_attributes = true;
  return OkStatus();
}

// Something that is no directory stands where one shall be.
Status RestoreWalk::ClearForDirectory(const Level& level, Level& above, const FileStatus& status) {
  const std::string what =
      std::string("a ") + EntryTypeName(status.type) + " stands where a directory shall be";
  if (level.entry.type == EntryType::kPartialDirectory) return FailedPrecondition(what);
  switch (context_.options.overwrite) {
    case OverwritePolicy::kNever:
      return FailedPrecondition(what + ", and is not to be overwritten");
    case OverwritePolicy::kIfNewer:
      if (status.mtime < level.entry.mtime) break;
      return FailedPrecondition(what + ", and is not older");
    case OverwritePolicy::kAlways:
    case OverwritePolicy::kIfChanged:
    case OverwritePolicy::kIfDifferent:
      break;
  }
  return context_.options.dry_run ? OkStatus() : above.directory->Remove(level.entry.name);
}

Status RestoreWalk::UseExisting(Level& level, const FileStatus& status) {
  if (HoldsRepository(*level.directory, context_.repository.config().id)) {
    return FailedPrecondition("the repository itself lies here, and is left alone");
  }
  const Entry& entry = level.entry;
  if (entry.type != EntryType::kDirectory || level.pick != Pick::kTake) return OkStatus();
  const OverwritePolicy policy = context_.options.overwrite;
  const bool kept = policy == OverwritePolicy::kNever ||
                    (policy == OverwritePolicy::kIfNewer && entry.mtime <= status.mtime);
  level.sets_attributes = level.made || !kept;
  if (level.sets_attributes) {
    ASSIGN_OR_RETURN(level.differs, AttributesDiffer(*level.directory, "", status, entry));
  }
  if (context_.remover == nullptr || level.spared || entry.unread) return OkStatus();
  return context_.remover->RemoveExtras(context_.repository, entry.node, *level.directory,
                                        level.path);
}

}  // namespace cairn
