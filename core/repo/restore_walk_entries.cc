// SPDX-License-Identifier: Apache-2.0
// What is no directory in a restore's walk: files, links, and special files.
#include <utility>

#include "core/repo/restore_attributes.h"
#include "core/repo/restore_content.h"
#include "core/repo/restore_walk.h"

namespace cairn {

Status RestoreWalk::EnterOther(const std::string& path, const Entry& entry) {
  FileToRestore file;
  file.path = SnapshotPath(path);
  file.entry = entry;
  if (entry.unread) {
    context_.report.Unread(file.path);
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const bool opened, OpenInnermost());
  if (!opened) return OkStatus();
  file.directory = levels_.back().directory;
  if (file.directory == nullptr) return Restore(std::move(file));

  // Names in a tree differ: nothing can be there yet in a directory that is new.
  StatusOr<std::optional<FileStatus>> status =
      file.directory->MadeHere() ? std::optional<FileStatus>() : file.directory->Stat(entry.name);
  StatusOr<Decision> decision = status.ok() ? Decide(file, *status) : status.status();
  if (!decision.ok()) {
    context_.report.Problem(file.path, Message(decision.status()));
    return OkStatus();
  }
  if (status->has_value()) file.action = RestoreAction::kUpdated;
  if (*decision == Decision::kKeep) {
    context_.report.Done(file.path, entry.type, RestoreAction::kUnchanged);
    return OkStatus();
  }
  if (followers_ != nullptr) {
    ASSIGN_OR_RETURN(const std::string* leader, followers_->LeaderOf(path));
    if (leader != nullptr) {
      waiting_bytes_ += file.path.size() + leader->size() + AttributeBytes(entry);
      links_.push_back({std::move(file), *leader});
      return SettleIfMany();
    }
  }
  return *decision == Decision::kWrite ? Restore(std::move(file))
                                       : Update(std::move(file), **status);
}

StatusOr<RestoreWalk::Decision> RestoreWalk::Decide(const FileToRestore& file,
                                                    const std::optional<FileStatus>& status) const {
  if (!status) return Decision::kWrite;
  switch (context_.options.overwrite) {
    case OverwritePolicy::kAlways:
      break;
    case OverwritePolicy::kNever:
      return Decision::kKeep;
    case OverwritePolicy::kIfNewer:
      if (file.entry.mtime <= status->mtime) return Decision::kKeep;
      break;
    case OverwritePolicy::kIfChanged:
      if (LooksTheSame(*status, file.entry)) return Decision::kSetAttributes;
      break;
    case OverwritePolicy::kIfDifferent: {
      ASSIGN_OR_RETURN(const bool same, HasSameContent(file, *status));
      if (same) return Decision::kSetAttributes;
      break;
    }
  }
  if (status->type == EntryType::kDirectory) {
    RETURN_IF_ERROR(context_.files.CheckDirectoryMayGo(*file.directory, file.entry.name));
  }
  return Decision::kWrite;
}

StatusOr<bool> RestoreWalk::HasSameContent(const FileToRestore& file,
                                           const FileStatus& status) const {
  const Entry& entry = file.entry;
  if (entry.type == EntryType::kSymlink) {
    if (status.type != EntryType::kSymlink) return false;
    ASSIGN_OR_RETURN(const std::string target, file.directory->ReadLink(entry.name));
    return target == entry.target;
  }
  // The rest is as cheap to make anew as to compare.
  if (entry.type != EntryType::kFile) return LooksTheSame(status, entry);
  if (status.type != EntryType::kFile || status.size != entry.size) return false;
  ASSIGN_OR_RETURN(const Descriptor opened, file.directory->OpenForRead(entry.name));
  const Status same = VerifyContent(context_.repository, entry, opened.get());
  if (same.code() == StatusCode::kDataLoss) return false;
  RETURN_IF_ERROR(same);
  return true;
}

// Its content is taken for what the snapshot has.
Status RestoreWalk::Update(FileToRestore file, const FileStatus& status) {
  const std::string& name = file.entry.name;
  const auto update = [&]() -> StatusOr<bool> {
    ASSIGN_OR_RETURN(const bool differs,
                     AttributesDiffer(*file.directory, name, status, file.entry));
    if (!differs) file.action = RestoreAction::kUnchanged;
    if (!differs || context_.options.dry_run) return true;
    // Other names of the inode, which the snapshot may not know, are not to change with it.
    if (status.links > 1) return false;
    const Attributes attributes =
        AttributesOf(context_.repository, file.entry, file.path, context_.report);
    StatusOr<AttributeReport> report = file.directory->SetAttributes(name, attributes);
    if (report.status().code() == StatusCode::kFailedPrecondition) return false;
    RETURN_IF_ERROR(report.status());
    context_.report.NotSet(*report);
    return true;
  };
  const StatusOr<bool> done = update();
  if (!done.ok()) {
    context_.report.Problem(file.path, Message(done.status()));
  } else if (!*done) {
    return Restore(std::move(file));
  } else {
    context_.report.Done(file.path, file.entry.type, file.action);
  }
  return OkStatus();
}

Status RestoreWalk::Restore(FileToRestore file) {
  if (context_.options.dry_run) {
    RETURN_IF_ERROR(PretendToClear(file));
    if (file.entry.type == EntryType::kFile) context_.report.Wrote(file.entry.size);
    context_.report.Done(file.path, file.entry.type, file.action);
    return OkStatus();
  }
  if (file.entry.type == EntryType::kFile) return context_.files.Add(std::move(file));
  const Status made = MakeSpecial(file);
  if (made.ok()) {
    context_.report.Done(file.path, file.entry.type, file.action);
    return OkStatus();
  }
  const bool is_device =
      file.entry.type == EntryType::kCharacterDevice || file.entry.type == EntryType::kBlockDevice;
  if (is_device && made.code() == StatusCode::kPermissionDenied) {
    context_.report.SpecialNotMade(file.path, Message(made));
  } else {
    RETURN_IF_ERROR(CheckStop(context_.options.stop));
    context_.report.Problem(file.path, Message(made));
  }
  return OkStatus();
}

// Counts what is in a directory that stands in the way of something else.
Status RestoreWalk::PretendToClear(const FileToRestore& file) {
  if (context_.remover == nullptr || file.directory == nullptr) return OkStatus();
  const std::string& name = file.entry.name;
  const StatusOr<std::optional<FileStatus>> status = file.directory->Stat(name);
  if (!status.ok() || !*status || (*status)->type != EntryType::kDirectory) return OkStatus();
  return context_.remover->RemoveTree(*file.directory, name, file.path).status();
}

Status RestoreWalk::MakeSpecial(const FileToRestore& file) {
  const std::string& name = file.entry.name;
  ASSIGN_OR_RETURN(const auto status, file.directory->Stat(name));
  if (status && status->type == EntryType::kDirectory) {
    RETURN_IF_ERROR(context_.files.RemoveDirectory(*file.directory, name, file.path));
  }
  const Attributes attributes =
      AttributesOf(context_.repository, file.entry, file.path, context_.report);
  ASSIGN_OR_RETURN(const AttributeReport report,
                   file.directory->CreateSpecial(file.entry, attributes));
  context_.report.NotSet(report);
  return OkStatus();
}

Status RestoreWalk::MakeLink(WaitingLink link) {
  RETURN_IF_ERROR(CheckStop(context_.options.stop));
  const StatusOr<bool> linked = TryLink(link);
  // Whatever is wrong with the link, the content may well be restored.
  if (!linked.ok() || !*linked) return Restore(std::move(link.file));
  context_.report.Done(link.file.path, link.file.entry.type, link.file.action);
  return OkStatus();
}

StatusOr<bool> RestoreWalk::TryLink(WaitingLink& link) {
  FileToRestore& file = link.file;
  const std::string& name = file.entry.name;
  const std::string leader = link.leader.substr(link.leader.rfind('/') + 1);
  ASSIGN_OR_RETURN(const auto directory, LeaderDirectory(link.leader));
  ASSIGN_OR_RETURN(const auto leader_status, directory->Stat(leader));
  // It may have been left as it was, or could not be restored.
  if (!leader_status || !IsAsRestored(*leader_status, file.entry)) return false;
  ASSIGN_OR_RETURN(const auto status, file.directory->Stat(name));
  if (status && status->type == EntryType::kDirectory) {
    RETURN_IF_ERROR(context_.files.RemoveDirectory(*file.directory, name, file.path));
  } else if (status && status->inode == leader_status->inode &&
             status->device == leader_status->device) {
    file.action = RestoreAction::kUnchanged;
    return true;
  }
  const Status linked = file.directory->Link(name, *directory, leader);
  if (linked.code() == StatusCode::kFailedPrecondition) return false;
  RETURN_IF_ERROR(linked);
  return true;
}

StatusOr<std::shared_ptr<TargetDirectory>> RestoreWalk::LeaderDirectory(const std::string& leader) {
  const size_t slash = leader.rfind('/');
  const std::string path = slash == std::string::npos ? "" : leader.substr(0, slash);
  if (leader_directory_ != nullptr && path == leader_path_) return leader_directory_;
  std::shared_ptr<TargetDirectory> directory = top_directory_;
  if (directory == nullptr) return NotFound("the directory of " + leader + " is not there");
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    ASSIGN_OR_RETURN(directory, directory->ExistingDirectory(path.substr(at, end - at)));
    at = end + 1;
  }
  leader_path_ = path;
  leader_directory_ = directory;
  return directory;
}

}  // namespace cairn
