// SPDX-License-Identifier: Apache-2.0
#include "core/fs/target_remove.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/fs/file_status.h"
#include "core/fs/open_beneath.h"
#include "core/fs/target_place.h"
#include "core/tree/entry.h"

namespace cairn {
namespace {

constexpr size_t kMaxOpenLevels = 32;
constexpr size_t kListingBytes = 32 * 1024;
// A directory that still has entries after that many readings is being filled by somebody else.
constexpr int kMaxPasses = 16;
constexpr int kRemovalFlags = O_RDONLY | O_DIRECTORY | O_NONBLOCK;

Status OtherMount(const std::string& name) {
  return FailedPrecondition("remove " + name + ": it is on another file system or mount");
}

bool SameMount(const FileStatus& a, const FileStatus& b) {
  return a.device == b.device && a.mount == b.mount;
}

UniqueFd OpenDirectory(int parent, const char* name) {
  UniqueFd fd(OpenBeneath(parent, name, kRemovalFlags));
  if (!fd.valid() && errno == EACCES) {
    if (GrantToOwner(parent, name)) {
      fd.Reset(OpenBeneath(parent, name, kRemovalFlags));
    } else {
      errno = EACCES;
    }
  }
  return fd;
}

class TreeRemover {
 public:
  TreeRemover(int directory, const std::string& name) : top_(directory), top_name_(name) {}

  Status Run() {
    ASSIGN_OR_RETURN(above_, StatAt(top_, ""));
    RETURN_IF_ERROR(Descend(top_, above_, top_name_));
    while (!levels_.empty()) {
      ASSIGN_OR_RETURN(std::optional<std::string> child, EmptyUpToDirectory());
      if (child) {
        const FileStatus status = levels_.back().status;
        RETURN_IF_ERROR(Descend(levels_.back().fd.get(), status, *child));
      } else {
        RETURN_IF_ERROR(Ascend());
      }
    }
    return OkStatus();
  }

 private:
  struct Level {
    UniqueFd fd;  // closed while more than kMaxOpenLevels are below
    FileStatus status;
    std::string name;
    int passes = 0;
  };

  // Goes into the directory `name` of `parent`.
  Status Descend(int parent, const FileStatus& parent_status, const std::string& name) {
    ASSIGN_OR_RETURN(const FileStatus seen, StatAt(parent, name.c_str()));
    if (seen.type != EntryType::kDirectory) return RemoveFile(parent, name);
    if (!SameMount(seen, parent_status)) return OtherMount(name);
    Level level;
    level.fd = OpenDirectory(parent, name.c_str());
    if (!level.fd.valid()) return ErrnoError(errno, "open", name);
    ASSIGN_OR_RETURN(level.status, StatAt(level.fd.get(), ""));
    if (!SameMount(level.status, parent_status)) return OtherMount(name);
    if (level.status.uid == ::geteuid() && (level.status.mode & S_IRWXU) != S_IRWXU) {
      ::fchmod(level.fd.get(), level.status.mode | S_IRWXU);
    }
    level.name = name;
    levels_.push_back(std::move(level));
    if (levels_.size() > kMaxOpenLevels) levels_[levels_.size() - 1 - kMaxOpenLevels].fd.Reset();
    return OkStatus();
  }

  // Removes what is no directory in the deepest level, from where it was read to. Returns the first
  // directory that is met; nothing at the end.
  StatusOr<std::optional<std::string>> EmptyUpToDirectory() {
    Level& level = levels_.back();
    while (true) {
      const long got = ::syscall(SYS_getdents64, level.fd.get(), buffer_.data(), buffer_.size());
      if (got < 0) return ErrnoError(errno, "read directory", level.name);
      if (got == 0) return std::nullopt;
      for (long at = 0; at < got;) {
        // The kernel aligns each record to 8 bytes, and so does the buffer.
        const auto* entry = reinterpret_cast<const dirent64*>(buffer_.data() + at);
        at += entry->d_reclen;
        const char* name = entry->d_name;
        if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
        if (::unlinkat(level.fd.get(), name, 0) == 0 || errno == ENOENT) continue;
        if (errno != EISDIR && errno != EPERM) return FileError(errno, name);
        if (errno == EPERM && !IsDirectory(level.fd.get(), name)) return FileError(EPERM, name);
        // Goes on after this entry when its directory is gone.
        ::lseek(level.fd.get(), entry->d_off, SEEK_SET);
        return std::string(name);
      }
    }
  }

  // Removes the deepest level's directory, which has been read to its end, and goes up.
  Status Ascend() {
    Level& level = levels_.back();
    ASSIGN_OR_RETURN(const int parent, ParentOfDeepest());
    if (::unlinkat(parent, level.name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
      levels_.pop_back();
      return OkStatus();
    }
    if ((errno == ENOTEMPTY || errno == EEXIST) && ++level.passes < kMaxPasses) {
      ::lseek(level.fd.get(), 0, SEEK_SET);
      return OkStatus();
    }
    return errno == EBUSY ? OtherMount(level.name) : ErrnoError(errno, "remove", level.name);
  }

  // Directories that were closed are opened again from the top down, by name, and must be the same.
  // Never by "..": that leads out of the tree if one was moved meanwhile.
  StatusOr<int> ParentOfDeepest() {
    const size_t count = levels_.size() - 1;
    UniqueFd passing;
    int at = top_;
    const FileStatus* above = &above_;
    for (size_t i = 0; i < count; ++i) {
      Level& level = levels_[i];
      if (!level.fd.valid()) {
        UniqueFd fd = OpenDirectory(at, level.name.c_str());
        if (!fd.valid()) return ErrnoError(errno, "open", level.name);
        ASSIGN_OR_RETURN(const FileStatus status, StatAt(fd.get(), ""));
        if (status.inode != level.status.inode || !SameMount(status, *above)) {
          return FailedPrecondition("remove " + level.name + ": it was moved meanwhile");
        }
        const bool keep = i + kMaxOpenLevels > count;
        UniqueFd& holder = keep ? level.fd : passing;
        holder = std::move(fd);
        at = holder.get();
      } else {
        at = level.fd.get();
      }
      above = &level.status;
    }
    return at;
  }

  static bool IsDirectory(int directory, const char* name) {
    const StatusOr<FileStatus> status = StatAt(directory, name);
    return status.ok() && status->type == EntryType::kDirectory;
  }

  static Status RemoveFile(int directory, const std::string& name) {
    if (::unlinkat(directory, name.c_str(), 0) == 0) return OkStatus();
    return FileError(errno, name);
  }

  static Status FileError(int error, const std::string& name) {
    return error == EBUSY ? OtherMount(name) : ErrnoError(error, "remove", name);
  }

  const int top_;
  const std::string& top_name_;
  FileStatus above_;
  std::vector<Level> levels_;
  std::vector<char> buffer_ = std::vector<char>(kListingBytes);
};

}  // namespace

Status RemoveTree(int directory, const std::string& name) {
  // Whoever calls has checked it; but "/" or ".." would remove what is outside of the target, so
  // nothing less than a second check will do.
  if (!IsValidName(name)) return InvalidArgument("remove: not a name: " + name);
  return TreeRemover(directory, name).Run();
}

}  // namespace cairn
