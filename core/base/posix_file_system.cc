// SPDX-License-Identifier: Apache-2.0
// FileSystem on the system calls of Linux.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "core/base/check.h"
#include "core/base/file_system.h"
#include "core/base/unique_fd.h"

namespace cairn {
namespace {

// pread and pwrite may move less than they are asked for; none of these takes more than 2 GiB.
StatusOr<size_t> ReadFully(int fd, uint64_t offset, MutableByteSpan out, std::string_view name) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = RetryOnEintr([&] {
      return ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    });
    if (got < 0) return ErrnoError(errno, "read", name);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

Status WriteFully(int fd, ByteSpan bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t put = RetryOnEintr([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (put < 0) return ErrnoError(errno, "write", name);
    if (put == 0) return ErrnoError(EIO, "write", name);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return OkStatus();
}

Status NotRegular(std::string_view name) {
  return DataLoss(std::string("open ").append(name).append(": not a regular file"));
}

class PosixRandomAccessFile : public RandomAccessFile {
 public:
  PosixRandomAccessFile(UniqueFd fd, std::string name)
      : fd_(std::move(fd)), name_(std::move(name)) {}

  StatusOr<size_t> ReadAt(uint64_t offset, MutableByteSpan out) const override {
    return ReadFully(fd_.get(), offset, out, name_);
  }
  StatusOr<uint64_t> Size() const override {
    struct stat st {};
    if (::fstat(fd_.get(), &st) != 0) return ErrnoError(errno, "stat", name_);
    return static_cast<uint64_t>(st.st_size);
  }

 private:
  const UniqueFd fd_;
  const std::string name_;
};

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Status Append(ByteSpan bytes) override {
    RETURN_IF_ERROR(CheckUsable("write"));
    Status status = WriteFully(fd_.get(), bytes, name_);
    failed_ = !status.ok();
    return status;
  }

  Status Sync() override {
    RETURN_IF_ERROR(CheckUsable("sync"));
    if (RetryOnEintr([&] { return ::fdatasync(fd_.get()); }) == 0) return OkStatus();
    failed_ = true;
    return ErrnoError(errno, "sync", name_);
  }

 private:
  // Linux reports a failed write-back once and forgets it: a second fdatasync would succeed.
  Status CheckUsable(std::string_view operation) const {
    if (!failed_) return OkStatus();
    return FailedPrecondition(
        std::string(operation).append(" ").append(name_).append(": an earlier write failed"));
  }

  const UniqueFd fd_;
  const std::string name_;
  bool failed_ = false;
};

class PosixFileLock : public FileLock {
 public:
  // `root` is duplicated by the caller: a lock may outlive its file system.
  PosixFileLock(UniqueFd fd, UniqueFd root, std::string path, std::string name)
      : fd_(std::move(fd)),
        root_(std::move(root)),
        path_(std::move(path)),
        name_(std::move(name)) {}

  Status WriteContent(ByteSpan content) override {
    if (RetryOnEintr([&] { return ::ftruncate(fd_.get(), 0); }) != 0) {
      return ErrnoError(errno, "truncate", name_);
    }
    if (::lseek(fd_.get(), 0, SEEK_SET) != 0) return ErrnoError(errno, "seek", name_);
    return WriteFully(fd_.get(), content, name_);
  }

  // By name, not by link count: NFS keeps a removed file that is open, under another name.
  StatusOr<bool> StillLinked() const override {
    struct stat locked {};
    struct stat named {};
    if (::fstat(fd_.get(), &locked) != 0) return ErrnoError(errno, "stat", name_);
    if (::fstatat(root_.get(), path_.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return false;
      return ErrnoError(errno, "stat", name_);
    }
    return locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
  }

 private:
  const UniqueFd fd_;
  const UniqueFd root_;
  const std::string path_;
  const std::string name_;
};

class PosixFileSystem : public FileSystem {
 public:
  PosixFileSystem(UniqueFd root, std::string root_name, bool shared_with_group)
      : root_(std::move(root)),
        root_name_(std::move(root_name)),
        shared_with_group_(shared_with_group) {}

  StatusOr<std::unique_ptr<RandomAccessFile>> OpenRead(const std::string& path) override;
  StatusOr<std::unique_ptr<WritableFile>> CreateNew(const std::string& path) override;
  Status RenameNoReplace(const std::string& from, const std::string& to) override;
  Status RenameReplace(const std::string& from, const std::string& to) override;
  Status Unlink(const std::string& path) override;
  Status CreateDirectory(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  StatusOr<std::vector<std::string>> List(const std::string& path) override;
  StatusOr<uint64_t> FileSize(const std::string& path) override;
  StatusOr<std::unique_ptr<FileLock>> TryLock(const std::string& path, bool create) override;
  StatusOr<uint64_t> FreeBytes() override;

 private:
  // What the system calls take for `path`.
  static const char* At(const std::string& path) {
    DCHECK(path.empty() || path.front() != '/');
    return path.empty() ? "." : path.c_str();
  }
  // What messages call `path`.
  std::string Name(const std::string& path) const {
    return path.empty() ? root_name_ : root_name_ + "/" + path;
  }
  // An existing regular file.
  StatusOr<UniqueFd> OpenFile(const std::string& path, int flags) const;
  // A file that is not there yet, with its mode.
  StatusOr<UniqueFd> CreateFile(const std::string& path, int flags) const;
  StatusOr<UniqueFd> OpenDirectory(const std::string& path) const;
  // Adds `bits` to the mode of what `fd` has open.
  Status AddMode(int fd, mode_t bits, const std::string& path) const;

  const UniqueFd root_;
  const std::string root_name_;
  const bool shared_with_group_;
};

StatusOr<UniqueFd> PosixFileSystem::OpenFile(const std::string& path, int flags) const {
  // O_NONBLOCK: a FIFO that somebody put there must not stop us. It means nothing for files.
  UniqueFd fd(RetryOnEintr([&] {
    return ::openat(root_.get(), At(path), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  }));
  if (!fd.valid()) {
    if (errno == ELOOP || errno == EISDIR || errno == ENXIO) return NotRegular(Name(path));
    return ErrnoError(errno, "open", Name(path));
  }
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return ErrnoError(errno, "stat", Name(path));
  if (!S_ISREG(st.st_mode)) return NotRegular(Name(path));
  return fd;
}

StatusOr<UniqueFd> PosixFileSystem::CreateFile(const std::string& path, int flags) const {
  const mode_t mode = shared_with_group_ ? 0666 : 0600;
  UniqueFd fd(RetryOnEintr([&] {
    return ::openat(root_.get(), At(path), flags | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  }));
  if (!fd.valid()) return ErrnoError(errno, "create", Name(path));
  if (shared_with_group_) {
    if (Status status = AddMode(fd.get(), 0060, path); !status.ok()) {
      ::unlinkat(root_.get(), At(path), 0);
      return status;
    }
  }
  return fd;
}

StatusOr<UniqueFd> PosixFileSystem::OpenDirectory(const std::string& path) const {
  UniqueFd fd(RetryOnEintr(
      [&] { return ::openat(root_.get(), At(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.valid()) return ErrnoError(errno, "open directory", Name(path));
  return fd;
}

Status PosixFileSystem::AddMode(int fd, mode_t bits, const std::string& path) const {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return ErrnoError(errno, "stat", Name(path));
  if ((st.st_mode & bits) == bits) return OkStatus();
  if (::fchmod(fd, (st.st_mode & 07777) | bits) != 0) {
    return ErrnoError(errno, "change the mode of", Name(path));
  }
  return OkStatus();
}

StatusOr<std::unique_ptr<RandomAccessFile>> PosixFileSystem::OpenRead(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY));
  return std::make_unique<PosixRandomAccessFile>(std::move(fd), Name(path));
}

StatusOr<std::unique_ptr<WritableFile>> PosixFileSystem::CreateNew(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, CreateFile(path, O_WRONLY));
  return std::make_unique<PosixWritableFile>(std::move(fd), Name(path));
}

Status PosixFileSystem::RenameNoReplace(const std::string& from, const std::string& to) {
  if (RetryOnEintr([&] {
        return ::renameat2(root_.get(), At(from), root_.get(), At(to), RENAME_NOREPLACE);
      }) == 0) {
    return OkStatus();
  }
  const std::string what = "rename " + Name(from) + " to";
  if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
    return ErrnoError(errno, what, Name(to));
  }
  // NFS and some others do not know the flag.
  if (RetryOnEintr([&] { return ::linkat(root_.get(), At(from), root_.get(), At(to), 0); }) != 0) {
    return ErrnoError(errno, what, Name(to));
  }
  // The file stands at its place: an error now would deny that. What stays behind is a second name,
  // which is removed as any leftover of an interrupted process is.
  ::unlinkat(root_.get(), At(from), 0);
  return OkStatus();
}

Status PosixFileSystem::RenameReplace(const std::string& from, const std::string& to) {
  if (RetryOnEintr([&] { return ::renameat(root_.get(), At(from), root_.get(), At(to)); }) != 0) {
    return ErrnoError(errno, "rename " + Name(from) + " to", Name(to));
  }
  return OkStatus();
}

Status PosixFileSystem::Unlink(const std::string& path) {
  if (RetryOnEintr([&] { return ::unlinkat(root_.get(), At(path), 0); }) != 0) {
    return ErrnoError(errno, "remove", Name(path));
  }
  return OkStatus();
}

Status PosixFileSystem::CreateDirectory(const std::string& path) {
  const mode_t mode = shared_with_group_ ? 0777 : 0700;
  if (RetryOnEintr([&] { return ::mkdirat(root_.get(), At(path), mode); }) != 0) {
    return ErrnoError(errno, "create directory", Name(path));
  }
  if (!shared_with_group_) return OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenDirectory(path));
  return AddMode(fd.get(), 02070, path);
}

Status SyncOpenDirectory(int fd, std::string_view name) {
  if (RetryOnEintr([&] { return ::fsync(fd); }) == 0) return OkStatus();
  // File systems that have nothing to sync in a directory (CIFS, some of FUSE) say so in this way.
  if (errno == EINVAL || errno == EOPNOTSUPP) return OkStatus();
  return ErrnoError(errno, "sync directory", name);
}

Status PosixFileSystem::SyncDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenDirectory(path));
  return SyncOpenDirectory(fd.get(), Name(path));
}

StatusOr<std::vector<std::string>> PosixFileSystem::List(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenDirectory(path));
  DIR* const stream = ::fdopendir(fd.get());
  if (stream == nullptr) return ErrnoError(errno, "list", Name(path));
  static_cast<void>(fd.Release());
  const absl::Cleanup closer = [stream] { ::closedir(stream); };
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(stream);
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return ErrnoError(errno, "list", Name(path));
  return names;
}

StatusOr<uint64_t> PosixFileSystem::FileSize(const std::string& path) {
  struct stat st {};
  if (::fstatat(root_.get(), At(path), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoError(errno, "stat", Name(path));
  }
  if (!S_ISREG(st.st_mode)) return NotRegular(Name(path));
  return static_cast<uint64_t>(st.st_size);
}

StatusOr<std::unique_ptr<FileLock>> PosixFileSystem::TryLock(const std::string& path, bool create) {
  StatusOr<UniqueFd> fd = OpenFile(path, O_RDWR);
  // Others create and remove it at the same time; more than a few rounds are somebody's bug.
  for (int round = 0; create && round < 100 && absl::IsNotFound(fd.status()); ++round) {
    fd = CreateFile(path, O_RDWR);
    if (absl::IsAlreadyExists(fd.status()))
      fd = OpenFile(path, O_RDWR);
    else
      break;
  }
  if (!fd.ok()) return std::move(fd).status();
  if (RetryOnEintr([&] { return ::flock(fd->get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno == EWOULDBLOCK) return Aborted("lock " + Name(path) + ": another process has it");
    return ErrnoError(errno, "lock", Name(path));
  }
  UniqueFd root(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 0));
  if (!root.valid()) return ErrnoError(errno, "lock", Name(path));
  return std::make_unique<PosixFileLock>(*std::move(fd), std::move(root), path, Name(path));
}

StatusOr<uint64_t> PosixFileSystem::FreeBytes() {
  struct statvfs st {};
  if (RetryOnEintr([&] { return ::fstatvfs(root_.get(), &st); }) != 0) {
    return ErrnoError(errno, "ask for the free space of", root_name_);
  }
  return static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  const size_t end = path.find_last_not_of('/', slash);
  return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

// As mkdir -p; what it makes is durable.
Status MakeDirectories(const std::string& path, mode_t mode) {
  int result = RetryOnEintr([&] { return ::mkdir(path.c_str(), mode); });
  if (result != 0 && errno == ENOENT && ParentOf(path) != path) {
    RETURN_IF_ERROR(MakeDirectories(ParentOf(path), 0777));
    result = RetryOnEintr([&] { return ::mkdir(path.c_str(), mode); });
  }
  if (result != 0) {
    return errno == EEXIST ? OkStatus() : ErrnoError(errno, "create directory", path);
  }
  const std::string parent = ParentOf(path);
  const UniqueFd fd(
      RetryOnEintr([&] { return ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.valid()) return ErrnoError(errno, "open directory", parent);
  return SyncOpenDirectory(fd.get(), parent);
}

}  // namespace

StatusOr<std::unique_ptr<FileSystem>> OpenPosixFileSystem(const std::string& root, bool create) {
  std::string name = root.empty() ? "." : root;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  const auto open_root = [&] {
    return UniqueFd(
        RetryOnEintr([&] { return ::open(name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }));
  };
  UniqueFd fd = open_root();
  if (!fd.valid() && errno == ENOENT && create) {
    RETURN_IF_ERROR(MakeDirectories(name, 0700));
    fd = open_root();
  }
  if (!fd.valid()) return ErrnoError(errno, "open directory", name);
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return ErrnoError(errno, "stat", name);
  constexpr mode_t kShared = S_ISGID | S_IWGRP;
  return std::make_unique<PosixFileSystem>(std::move(fd), std::move(name),
                                           (st.st_mode & kShared) == kShared);
}

}  // namespace cairn
