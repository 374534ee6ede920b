// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_remove.h"

#include <utility>
#include <vector>

#include "core/tree/reader.h"

namespace cairn {
namespace {

bool IsMountPoint(const FileStatus& status, const FileStatus& above) {
  return status.device != above.device || status.mount != above.mount;
}

// The names in `directory` that the tree lacks.
StatusOr<std::vector<std::string>> ExtraNames(BlobSource& source, const BlobId& node,
                                              TargetDirectory& directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  std::vector<std::string> extra;
  if (names.empty()) return extra;
  DirectoryReader reader(source, node);
  ASSIGN_OR_RETURN(const Entry* entry, reader.Next());
  for (const std::string& name : names) {
    while (entry != nullptr && entry->name < name) {
      ASSIGN_OR_RETURN(entry, reader.Next());
    }
    if (entry == nullptr || entry->name != name) extra.push_back(name);
  }
  return extra;
}

}  // namespace

StatusOr<bool> ExtraRemover::IsSpared(TargetDirectory& directory, const std::string& name,
                                      const std::string& path, const FileStatus& status,
                                      const FileStatus& above) const {
  const bool is_directory = status.type == EntryType::kDirectory;
  if (IsMountPoint(status, above)) return true;
  if (context_.filter.Choose(path, is_directory, Pick::kTake) != Pick::kTake) return true;
  return context_.spared.LeavesOut(directory, name, path, status);
}

// Depth first, without recursion: what is in the way may be nested however deeply.
struct ExtraRemover::Level {
  std::shared_ptr<TargetDirectory> directory;
  std::string name;  // in the level above
  FileStatus status;
  std::vector<std::string> names;
  size_t next = 0;
  bool kept = false;  // something in it stays
};

class ExtraRemover::Removal {
 public:
  Removal(const ExtraRemover& remover, TargetDirectory& top, std::string path)
      : remover_(remover), context_(remover.context_), top_(top), path_(std::move(path)) {}

  StatusOr<bool> Run(const std::string& name) {
    ASSIGN_OR_RETURN(const FileStatus above, top_.OwnStatus());
    ASSIGN_OR_RETURN(bool gone, Enter(top_, name, above));
    while (!levels_.empty()) {
      RETURN_IF_ERROR(CheckStop(context_.stop));
      Level& level = levels_.back();
      if (level.next < level.names.size()) {
        const size_t path_bytes = path_.size();
        const size_t depth = levels_.size();
        const std::string child = level.names[level.next++];
        path_ = JoinPath(path_, child);
        ASSIGN_OR_RETURN(const bool child_gone, Enter(*level.directory, child, level.status));
        if (levels_.size() > depth) continue;
        path_.resize(path_bytes);
        if (!child_gone) level.kept = true;
        continue;
      }
      gone = Leave();
      if (!levels_.empty()) {
        path_.resize(path_.rfind('/'));
        if (!gone) levels_.back().kept = true;
      }
    }
    return gone;
  }

 private:
  // Removes what is no directory; of a directory only makes a level.
  StatusOr<bool> Enter(TargetDirectory& directory, const std::string& name,
                       const FileStatus& above) {
    StatusOr<std::optional<FileStatus>> status = directory.Stat(name);
    if (!status.ok()) return Report(status.status());
    if (!status->has_value()) return true;
    StatusOr<bool> spared = remover_.IsSpared(directory, name, path_, **status, above);
    if (!spared.ok()) return Report(spared.status());
    if (*spared) return false;
    if ((*status)->type != EntryType::kDirectory) return Remove(directory, name);
    auto child = context_.dry_run ? directory.ExistingDirectory(name) : directory.Directory(name);
    if (!child.ok()) return Report(child.status());
    if (HoldsRepository(**child, context_.repository)) return false;
    StatusOr<std::vector<std::string>> names = (*child)->List();
    if (!names.ok()) return Report(names.status());
    levels_.push_back({*std::move(child), name, **status, *std::move(names)});
    return true;
  }

  // The directory of the last level, whose entries have all been looked at.
  bool Leave() {
    const Level level = std::move(levels_.back());
    levels_.pop_back();
    if (level.kept) return false;
    TargetDirectory& above = levels_.empty() ? top_ : *levels_.back().directory;
    return Remove(above, level.name);
  }

  bool Remove(TargetDirectory& directory, const std::string& name) {
    if (!context_.dry_run) {
      const Status status = directory.Remove(name);
      if (!status.ok() && status.code() != StatusCode::kNotFound) return Report(status);
    }
    context_.report.Deleted(path_);
    return true;
  }

  bool Report(const Status& status) {
    context_.report.Problem(path_, Message(status));
    return false;
  }

  const ExtraRemover& remover_;
  const Context& context_;
  TargetDirectory& top_;
  std::string path_;  // of what is looked at
  std::vector<Level> levels_;
};

StatusOr<bool> ExtraRemover::RemoveTree(TargetDirectory& directory, const std::string& name,
                                        const std::string& path) const {
  return Removal(*this, directory, path).Run(name);
}

Status ExtraRemover::RemoveExtras(BlobSource& source, const BlobId& node,
                                  TargetDirectory& directory, const std::string& path) const {
  const StatusOr<std::vector<std::string>> extra = ExtraNames(source, node, directory);
  if (!extra.ok()) {
    context_.report.Problem(path,
                            "nothing is deleted here: " + std::string(Message(extra.status())));
    return OkStatus();
  }
  for (const std::string& name : *extra) {
    RETURN_IF_ERROR(RemoveTree(directory, name, JoinPath(path, name)).status());
  }
  return OkStatus();
}

}  // namespace cairn
