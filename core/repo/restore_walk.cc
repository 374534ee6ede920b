// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_walk.h"

#include <utility>

#include "core/repo/restore_attributes.h"

namespace cairn {

RestoreWalk::RestoreWalk(const Context& context, RestoreStart start)
    : context_(context), start_(std::move(start)) {}

std::string RestoreWalk::SnapshotPath(const std::string& path) const {
  return path.empty() ? start_.path : JoinPath(start_.path, path);
}

Status RestoreWalk::Run() {
  PrepareTop();
  if (IsAnyDirectory(start_.top.type) && !context_.options.dry_run) RETURN_IF_ERROR(LoadLinks());
  WalkCallbacks callbacks;
  callbacks.enter = [this](const std::string& path, const Entry& entry) {
    return Enter(path, entry);
  };
  callbacks.leave = [this](const std::string&, const Entry&) { return Leave(); };
  callbacks.unreadable = [this](const std::string& path, const Entry&, const Status& error) {
    return Unreadable(path, error);
  };
  RETURN_IF_ERROR(WalkTree(context_.repository, start_.top, callbacks));
  while (levels_.size() > 1) RETURN_IF_ERROR(Leave());
  return Settle();
}

// The directories that are there before the walk begins, or lead to its top.
void RestoreWalk::PrepareTop() {
  const auto add = [this](const std::string& name, const std::string& path) {
    Level& level = levels_.emplace_back();
    level.pick = Pick::kPassage;
    level.entry.type = EntryType::kPartialDirectory;
    level.entry.name = name;
    level.path = path;
  };
  add("", "");
  levels_.front().directory = start_.directory;
  levels_.front().state = start_.directory != nullptr ? Level::State::kOpen : Level::State::kAbsent;
  for (const RestoreStart::Step& step : start_.steps) add(step.name, step.path);
  levels_.back().pick = context_.filter.Above(start_.path);
  top_level_ = levels_.size();
}

Status RestoreWalk::LoadLinks() {
  LinkFollowers::Options options;
  options.stop = context_.options.stop;
  options.place = [this](const std::string& link_path) -> std::optional<std::string> {
    std::string path = link_path;
    if (!start_.link_path.empty()) {
      if (!path.starts_with(start_.link_path) || path[start_.link_path.size()] != '/') {
        return std::nullopt;
      }
      path.erase(0, start_.link_path.size() + 1);
    }
    if (!context_.filter.Takes(start_.path, SnapshotPath(path))) return std::nullopt;
    return path;
  };
  options.on_damage = [this](const Status& error) {
    context_.report.Problem(start_.path,
                            "some hard links are lost, and restored as files of their "
                            "own: " +
                                std::string(Message(error)));
  };
  ASSIGN_OR_RETURN(followers_, LinkFollowers::Load(context_.repository, start_.links, options));
  return OkStatus();
}

Status RestoreWalk::Unreadable(const std::string& path, const Status& error) {
  RETURN_IF_ERROR(context_.files.CheckSnapshot());
  context_.report.Problem(SnapshotPath(path),
                          "some of what is in it is lost: " + std::string(Message(error)));
  return OkStatus();
}

StatusOr<WalkStep> RestoreWalk::Enter(const std::string& path, const Entry& entry) {
  RETURN_IF_ERROR(CheckStop(context_.options.stop));
  const bool is_directory = IsAnyDirectory(entry.type);
  const Level& above = levels_.back();
  const std::string snapshot_path = SnapshotPath(path);
  Pick pick = Pick::kSkip;
  if (above.state != Level::State::kClosed) {
    pick = context_.filter.Choose(snapshot_path, is_directory, above.pick);
  }
  if (is_directory) return EnterDirectory(snapshot_path, entry, pick);
  if (pick == Pick::kTake) RETURN_IF_ERROR(EnterOther(path, entry));
  return WalkStep::kContinue;
}

StatusOr<WalkStep> RestoreWalk::EnterDirectory(const std::string& path, const Entry& entry,
                                               Pick pick) {
  Level level;
  level.pick = pick;
  level.entry = entry;
  level.path = path;
  level.spared =
      levels_.back().spared || (context_.spared != nullptr && context_.spared->IsNoted(path));
  const bool is_target = start_.is_directory_itself && levels_.size() == top_level_;
  if (pick == Pick::kSkip) level.state = Level::State::kClosed;
  levels_.push_back(std::move(level));
  if (pick == Pick::kSkip) return WalkStep::kSkipChildren;
  if (entry.unread && pick == Pick::kTake) context_.report.Unread(path);

  Level& here = levels_.back();
  if (is_target) {
    here.state = levels_.front().state;
    here.directory = levels_.front().directory;
    here.made = start_.is_fresh;
    if (here.state == Level::State::kOpen) {
      ASSIGN_OR_RETURN(const FileStatus status, here.directory->OwnStatus());
      RETURN_IF_ERROR(UseExisting(here, status));
      // What lands in a directory with a life of its own leaves that one's attributes alone.
      if (!start_.in_place && !start_.is_fresh && !context_.options.delete_extra) {
        here.sets_attributes = false;
      }
    }
  } else if (pick == Pick::kTake && entry.type == EntryType::kDirectory) {
    ASSIGN_OR_RETURN(const bool opened, OpenInnermost());
    if (!opened) return WalkStep::kSkipChildren;
  }
  if (levels_.size() == top_level_ + 1) top_directory_ = here.directory;
  return here.state == Level::State::kClosed ? WalkStep::kSkipChildren : WalkStep::kContinue;
}

Status RestoreWalk::Leave() {
  Level level = std::move(levels_.back());
  levels_.pop_back();
  return FinishLevel(std::move(level));
}

Status RestoreWalk::FinishLevel(Level level) {
  const bool real = level.entry.type == EntryType::kDirectory;
  if (level.state == Level::State::kAbsent && level.pick == Pick::kTake && real) {
    context_.report.Done(level.path, EntryType::kDirectory, RestoreAction::kRestored);
  }
  const bool restored = level.made || (real && level.pick == Pick::kTake);
  if (level.state != Level::State::kOpen || !restored) return OkStatus();
  LeftDirectory left;
  left.directory = std::move(level.directory);
  left.entry = std::move(level.entry);
  left.path = std::move(level.path);
  left.sets_attributes = level.sets_attributes;
  left.action = level.made      ? RestoreAction::kRestored
                : level.differs ? RestoreAction::kUpdated
                                : RestoreAction::kUnchanged;
  waiting_bytes_ += left.path.size() + AttributeBytes(left.entry);
  left_directories_.push_back(std::move(left));
  return SettleIfMany();
}

Status RestoreWalk::SettleIfMany() {
  const size_t waiting = left_directories_.size() + links_.size();
  return waiting >= kMaxWaiting || waiting_bytes_ >= kMaxWaitingBytes ? Settle() : OkStatus();
}

Status RestoreWalk::Settle() {
  RETURN_IF_ERROR(context_.files.Finish());
  for (WaitingLink& link : std::exchange(links_, {})) RETURN_IF_ERROR(MakeLink(std::move(link)));
  // Those that could not be links.
  RETURN_IF_ERROR(context_.files.Finish());
  for (const LeftDirectory& left : std::exchange(left_directories_, {})) {
    SetDirectoryAttributes(left);
  }
  waiting_bytes_ = 0;
  return OkStatus();
}

void RestoreWalk::SetDirectoryAttributes(const LeftDirectory& left) {
  const auto apply = [&]() -> Status {
    if (!left.sets_attributes || context_.options.dry_run) return OkStatus();
    Attributes attributes;
    if (left.entry.type == EntryType::kDirectory) {
      attributes = AttributesOf(context_.repository, left.entry, left.path, context_.report);
    } else {
      ASSIGN_OR_RETURN(attributes, AttributesOfNewDirectory(*left.directory));
    }
    ASSIGN_OR_RETURN(const AttributeReport report, left.directory->SetAttributes("", attributes));
    context_.report.NotSet(report);
    return OkStatus();
  };
  if (const Status status = apply(); !status.ok()) {
    context_.report.Problem(left.path, Message(status));
  } else if (left.entry.type == EntryType::kDirectory) {
    context_.report.Done(left.path, EntryType::kDirectory, left.action);
  }
}

}  // namespace cairn
