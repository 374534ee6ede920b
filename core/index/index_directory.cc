// SPDX-License-Identifier: Apache-2.0
#include "core/index/index_directory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/base/ids.h"
#include "core/base/random.h"
#include "core/index/index_row.h"

namespace cairn {
namespace {

namespace stdfs = std::filesystem;

constexpr std::string_view kDiscarded = "discarded-";
constexpr std::string_view kNew = "new-";

Status FromErrorCode(const std::error_code& error, std::string_view operation,
                     std::string_view object) {
  return error ? ErrnoError(error.value(), operation, object) : OkStatus();
}

Status MakeDirectories(const stdfs::path& path) {
  if (path.has_parent_path() && path.parent_path() != path) {
    std::error_code error;
    if (!stdfs::exists(path.parent_path(), error)) {
      RETURN_IF_ERROR(MakeDirectories(path.parent_path()));
    }
  }
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return OkStatus();
  return ErrnoError(errno, "create directory", path.native());
}

// Not told from others here: network file systems on FUSE.
bool IsNetworkFileSystem(const struct statfs& stat) {
  switch (static_cast<uint32_t>(stat.f_type)) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case AFS_SUPER_MAGIC:
    case AFS_FS_MAGIC:
    case CODA_SUPER_MAGIC:
    case NCP_SUPER_MAGIC:
    case CEPH_SUPER_MAGIC:
      return true;
    default:
      return false;
  }
}

Status CheckOwnAndClosed(int fd, const std::string& path) {
  struct stat stat;
  if (fstat(fd, &stat) != 0) return ErrnoError(errno, "stat", path);
  if (stat.st_uid != geteuid()) {
    return FailedPrecondition(
        absl::StrFormat("%s: the index directory belongs to user %d, not to user %d, who runs this",
                        path, stat.st_uid, geteuid()));
  }
  if ((stat.st_mode & 022) != 0) {
    return FailedPrecondition(absl::StrFormat(
        "%s: other users can write to the index directory (mode %03o)", path, stat.st_mode & 0777));
  }
  if ((stat.st_mode & 0777) != 0700 && fchmod(fd, 0700) != 0) {
    return ErrnoError(errno, "close to other users", path);
  }
  return OkStatus();
}

// Who can write to a directory above can put another one in its place. Users' own directories are
// theirs to arrange; root must not be led to the files of one.
Status CheckParentsForRoot(const std::string& path) {
  std::error_code error;
  stdfs::path parent = stdfs::canonical(path, error);
  RETURN_IF_ERROR(FromErrorCode(error, "resolve", path));
  while (parent.has_relative_path()) {
    parent = parent.parent_path();
    struct stat stat;
    if (lstat(parent.c_str(), &stat) != 0) return ErrnoError(errno, "stat", parent.native());
    const bool others_write = (stat.st_mode & 022) != 0 && (stat.st_mode & S_ISVTX) == 0;
    if (stat.st_uid == 0 && !others_write) continue;
    return FailedPrecondition(
        absl::StrFormat("%s: root uses no index that others can write, and they can write to %s",
                        path, parent.native()));
  }
  return OkStatus();
}

Status CheckFileSystem(int fd, const std::string& path) {
  struct statfs stat;
  if (fstatfs(fd, &stat) != 0) return ErrnoError(errno, "stat the file system of", path);
  if (!IsNetworkFileSystem(stat)) return OkStatus();
  return FailedPrecondition(
      absl::StrFormat("%s: an index does not work on a network file system", path));
}

StatusOr<bool> IsSameDirectory(int fd, const std::string& path) {
  struct stat opened;
  struct stat named;
  if (fstat(fd, &opened) != 0) return ErrnoError(errno, "stat", path);
  if (lstat(path.c_str(), &named) != 0) {
    if (errno == ENOENT) return false;
    return ErrnoError(errno, "stat", path);
  }
  return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

Status RemoveTree(const std::string& path) {
  std::error_code error;
  stdfs::remove_all(path, error);
  return FromErrorCode(error, "remove", path);
}

Status Lock(int fd, const std::string& path, std::chrono::milliseconds patience) {
  for (Patience waiting(patience); flock(fd, LOCK_EX | LOCK_NB) != 0;) {
    if (errno != EWOULDBLOCK && errno != EINTR) return ErrnoError(errno, "lock", path);
    if (waiting.Sleep(0)) continue;
    return Unavailable(
        absl::StrFormat("%s: another process has locked it, and does not get on", path));
  }
  return OkStatus();
}

}  // namespace

IndexDirectory::IndexDirectory(std::string path, UniqueFd fd)
    : path_(std::move(path)),
      environment_(absl::StrFormat("%s/index-%d", path_, kIndexSchema)),
      fd_(std::move(fd)) {}

StatusOr<IndexDirectory> IndexDirectory::Open(const std::string& path,
                                              std::chrono::milliseconds patience) {
  for (;;) {
    RETURN_IF_ERROR(MakeDirectories(path));
    UniqueFd fd(RetryOnEintr(
        [&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }));
    if (!fd.valid()) return ErrnoError(errno, "open directory", path);
    RETURN_IF_ERROR(CheckOwnAndClosed(fd.get(), path));
    if (geteuid() == 0) RETURN_IF_ERROR(CheckParentsForRoot(path));
    RETURN_IF_ERROR(CheckFileSystem(fd.get(), path));
    RETURN_IF_ERROR(Lock(fd.get(), path, patience));
    // While this waited for the lock, somebody may have deleted the directory.
    ASSIGN_OR_RETURN(const bool is_current, IsSameDirectory(fd.get(), path));
    if (!is_current) continue;
    IndexDirectory directory(path, std::move(fd));
    RETURN_IF_ERROR(directory.RemoveLeftovers());
    return directory;
  }
}

Status IndexDirectory::RemoveLeftovers() {
  std::error_code error;
  std::vector<std::string> leftovers;
  for (stdfs::directory_iterator entry(path_, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.starts_with(kDiscarded) || name.starts_with(kNew)) leftovers.push_back(entry->path());
  }
  RETURN_IF_ERROR(FromErrorCode(error, "list", path_));
  for (const std::string& leftover : leftovers) RETURN_IF_ERROR(RemoveTree(leftover));
  return OkStatus();
}

std::string IndexDirectory::NewName(const char* prefix) const {
  return absl::StrFormat("%s/%s%s", path_, prefix, RandomId<SessionId>().ShortHex());
}

Status IndexDirectory::CreateEnvironment() {
  if (mkdir(environment_.c_str(), 0700) == 0 || errno == EEXIST) return OkStatus();
  return ErrnoError(errno, "create directory", environment_);
}

Status IndexDirectory::DiscardEnvironment() {
  const std::string discarded = NewName(kDiscarded.data());
  if (rename(environment_.c_str(), discarded.c_str()) != 0) {
    return errno == ENOENT ? OkStatus() : ErrnoError(errno, "rename", environment_);
  }
  return RemoveTree(discarded);
}

StatusOr<std::string> IndexDirectory::CreateReplacement() {
  std::string replacement = NewName(kNew.data());
  if (mkdir(replacement.c_str(), 0700) != 0) {
    return ErrnoError(errno, "create directory", replacement);
  }
  return replacement;
}

Status IndexDirectory::Replace(const std::string& replacement) {
  if (renameat2(AT_FDCWD, replacement.c_str(), AT_FDCWD, environment_.c_str(), RENAME_EXCHANGE) ==
      0) {
    return RemoveTree(replacement);
  }
  // No exchange on this file system. Nobody looks while the directory is locked, and an index that
  // is missing after a crash is made anew.
  RETURN_IF_ERROR(DiscardEnvironment());
  if (rename(replacement.c_str(), environment_.c_str()) == 0) return OkStatus();
  return ErrnoError(errno, "rename", replacement);
}

}  // namespace cairn
