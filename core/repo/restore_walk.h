// SPDX-License-Identifier: Apache-2.0
// The walk of a restore: decides for each entry, makes directories and special files as they come,
// hands files to the FileRestorer, and does at *settling points* what must wait for them: hard
// links, then the attributes of directories, children before parents. Entries that wait are few,
// so that memory is bounded, and no second walk is needed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/fs/target.h"
#include "core/repo/repository.h"
#include "core/repo/restore.h"
#include "core/repo/restore_files.h"
#include "core/repo/restore_filter.h"
#include "core/repo/restore_links.h"
#include "core/repo/restore_place.h"
#include "core/repo/restore_remove.h"
#include "core/repo/restore_report.h"
#include "core/repo/restore_spared.h"
#include "core/tree/entry.h"
#include "core/tree/walk.h"

namespace cairn {

// Thread-compatible; used once.
class RestoreWalk {
 public:
  struct Context {
    Repository& repository;
    const RestoreOptions& options;
    const RestoreFilter& filter;
    RestoreReport& report;
    FileRestorer& files;
    // Both null if nothing is to be deleted.
    const SparedPaths* spared = nullptr;
    const ExtraRemover* remover = nullptr;
  };
  // What the context refers to outlives the walk.
  RestoreWalk(const Context& context, RestoreStart start);

  // Errors are those that end the restore.
  Status Run();

 private:
  // A directory on the way to where the walk is.
  struct Level {
    enum class State {
      kUnopened,  // nothing below it was restored yet
      kOpen,
      kAbsent,  // a dry run would make it
      kClosed,  // skipped, or it could not be opened, which was reported
    };
    State state = State::kUnopened;
    Pick pick = Pick::kTake;
    Entry entry;
    std::string path;  // in the snapshot
    std::shared_ptr<TargetDirectory> directory;
    bool spared = false;  // the snapshot does not know all that is in it
    bool made = false;
    bool differs = false;
    bool sets_attributes = false;
  };
  // A directory whose children have all been met.
  struct LeftDirectory {
    std::shared_ptr<TargetDirectory> directory;
    Entry entry;
    std::string path;
    RestoreAction action = RestoreAction::kUnchanged;
    bool sets_attributes = false;
  };
  struct WaitingLink {
    FileToRestore file;  // or special file
    std::string leader;  // relative to the walk's top
  };
  enum class Decision { kWrite, kSetAttributes, kKeep };

  static constexpr size_t kMaxWaiting = 2048;
  static constexpr size_t kMaxWaitingBytes = 8 * kMiB;

  void PrepareTop();
  Status LoadLinks();
  StatusOr<WalkStep> Enter(const std::string& path, const Entry& entry);
  Status Leave();
  Status Unreadable(const std::string& path, const Status& error);
  std::string SnapshotPath(const std::string& path) const;

  StatusOr<WalkStep> EnterDirectory(const std::string& path, const Entry& entry, Pick pick);
  // Opens, or makes, the innermost directory and those above it. False if that cannot be.
  StatusOr<bool> OpenInnermost();
  Status OpenLevel(Level& level, Level& above);
  Status ClearForDirectory(const Level& level, Level& above, const FileStatus& status);
  // Of a directory that is there already: what is to be done with it.
  Status UseExisting(Level& level, const FileStatus& status);
  Status FinishLevel(Level level);
  Status SettleIfMany();

  Status EnterOther(const std::string& path, const Entry& entry);
  StatusOr<Decision> Decide(const FileToRestore& file,
                            const std::optional<FileStatus>& status) const;
  // Whether what is there has the entry's content: of a file every byte is compared.
  StatusOr<bool> HasSameContent(const FileToRestore& file, const FileStatus& status) const;
  Status Update(FileToRestore file, const FileStatus& status);
  Status Restore(FileToRestore file);
  Status PretendToClear(const FileToRestore& file);
  Status MakeSpecial(const FileToRestore& file);

  Status Settle();
  Status MakeLink(WaitingLink link);
  // False if it cannot be a link, and must be a file of its own.
  StatusOr<bool> TryLink(WaitingLink& link);
  StatusOr<std::shared_ptr<TargetDirectory>> LeaderDirectory(const std::string& leader);
  void SetDirectoryAttributes(const LeftDirectory& left);

  const Context context_;
  RestoreStart start_;
  std::vector<Level> levels_;  // the target first
  size_t top_level_ = 0;       // of the walk's top, if that is a directory
  std::unique_ptr<LinkFollowers> followers_;

  std::vector<LeftDirectory> left_directories_;
  std::vector<WaitingLink> links_;
  size_t waiting_bytes_ = 0;
  // Of the walk's top, for links; and the directory that was needed last.
  std::shared_ptr<TargetDirectory> top_directory_;
  std::string leader_path_;
  std::shared_ptr<TargetDirectory> leader_directory_;
};

}  // namespace cairn
