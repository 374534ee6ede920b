// SPDX-License-Identifier: Apache-2.0
#include "core/fs/target_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "core/base/unique_fd.h"
#include "core/fs/file_status.h"
#include "core/fs/open_beneath.h"
#include "core/fs/target_attributes.h"
#include "core/tree/entry.h"

namespace cairn {
namespace {

// From here on blocks are asked for in advance: pieces of a large file come in any order, and the
// file system would otherwise scatter them.
constexpr uint64_t kPreallocatedBytes = 4 * kMiB;

// Returns an errno; 0 is success.
int Preallocate(int fd, uint64_t bytes) {
  const StatusOr<FileSystemTraits> traits = TraitsOf(fd);
  if (!traits.ok() || !traits->tmpfs) {
    return ::fallocate(fd, 0, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  }
  // In memory nothing is scattered, and all pages would be made here, by one thread.
  struct statvfs stat;
  if (::fstatvfs(fd, &stat) != 0) return errno;
  const bool is_limited = stat.f_blocks > 0;
  return is_limited && bytes / stat.f_bsize > stat.f_bavail ? ENOSPC : 0;
}

// Whether a descriptor may be linked as it is: by root (CAP_DAC_READ_SEARCH). Shorter than the way
// through /proc.
std::atomic<bool> links_descriptors{true};

std::string ProcPath(int fd) { return absl::StrFormat("/proc/self/fd/%d", fd); }

class PosixTargetFile : public TargetFile {
 public:
  // An empty `temporary` says that the file has no name yet.
  PosixTargetFile(TargetHandle handle, bool gets_acls, std::string name, UniqueFd fd,
                  std::string temporary)
      : handle_(std::move(handle)),
        gets_acls_(gets_acls),
        name_(std::move(name)),
        fd_(std::move(fd)),
        temporary_(std::move(temporary)) {}

  ~PosixTargetFile() override {
    if (temporary_.empty()) return;
    StatusOr<SourceDirectory::Pin> directory = handle_.directory->Open();
    if (directory.ok()) ::unlinkat(directory->descriptor(), temporary_.c_str(), 0);
  }

  Status SetSize(uint64_t bytes, bool sparse) override {
    if (bytes > kMaxFileBytes) {
      return InvalidArgument(absl::StrFormat("create %s: no file has %u bytes", name_, bytes));
    }
    size_ = bytes;
    if (sparse || bytes < kPreallocatedBytes) return OkStatus();
    const int error = Preallocate(fd_.get(), bytes);
    if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
      return ResourceExhausted(Message(ErrnoError(error, "allocate", name_)));
    }
    return OkStatus();
  }

  Status WriteAt(uint64_t offset, ByteSpan bytes) override {
    if (offset > kMaxFileBytes || bytes.size() > kMaxFileBytes - offset) {
      return InvalidArgument(absl::StrFormat("write %s: offset %u is too large", name_, offset));
    }
    while (!bytes.empty()) {
      const ssize_t put = RetryOnEintr([&] {
        return ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      });
      if (put < 0) return ErrnoError(errno, "write", name_);
      if (put == 0) return ErrnoError(EIO, "write", name_);
      bytes = bytes.subspan(static_cast<size_t>(put));
      offset += static_cast<uint64_t>(put);
    }
    uint64_t end = end_.load(std::memory_order_relaxed);
    while (end < offset && !end_.compare_exchange_weak(end, offset, std::memory_order_relaxed)) {
    }
    return OkStatus();
  }

  StatusOr<AttributeReport> Commit(const Attributes& attributes) override {
    CHECK(fd_.valid());
    RETURN_IF_ERROR(ReachSize());
    ASSIGN_OR_RETURN(AttributeReport report,
                     gets_acls_ ? ApplyAttributes(fd_.get(), attributes, name_)
                                : ApplyAttributesToNewFile(fd_.get(), attributes, name_));
    ASSIGN_OR_RETURN(const SourceDirectory::Pin directory, handle_.directory->Open());
    if (temporary_.empty()) {
      RETURN_IF_ERROR(GiveName(directory.descriptor()));
    } else {
      RETURN_IF_ERROR(MoveIntoPlace(directory.descriptor(), std::exchange(temporary_, ""), name_));
    }
    fd_.Reset();
    return report;
  }

 private:
  Status ReachSize() {
    if (end_.load(std::memory_order_relaxed) >= size_) return OkStatus();
    if (RetryOnEintr([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size_)); }) != 0) {
      return ErrnoError(errno, "set the size of", name_);
    }
    return OkStatus();
  }

  Status GiveName(int directory) {
    const auto link = [&](const char* name) {
      if (links_descriptors.load(std::memory_order_relaxed)) {
        const int result = ::linkat(fd_.get(), "", directory, name, AT_EMPTY_PATH);
        if (result == 0 || errno != ENOENT) return result;
        links_descriptors.store(false, std::memory_order_relaxed);
      }
      return ::linkat(AT_FDCWD, ProcPath(fd_.get()).c_str(), directory, name, AT_SYMLINK_FOLLOW);
    };
    return LinkIntoPlace(directory, name_, link,
                         [&](int error) { return ErrnoError(error, "create", name_); });
  }

  const TargetHandle handle_;
  const bool gets_acls_;
  const std::string name_;
  UniqueFd fd_;
  std::string temporary_;
  uint64_t size_ = 0;
  std::atomic<uint64_t> end_{0};  // of what was written
};

}  // namespace

NewFileTraits NewFileTraitsOf(int directory) {
  const bool no_acls = ::fgetxattr(directory, "system.posix_acl_default", nullptr, 0) < 0 &&
                       (errno == ENODATA || errno == EOPNOTSUPP);
  // An unnamed file may have to get its name through /proc.
  return {.get_acls = !no_acls, .may_be_unnamed = ::access("/proc/self/fd", X_OK) == 0};
}

StatusOr<std::unique_ptr<TargetFile>> CreateTargetFile(TargetHandle handle, int directory,
                                                       const NewFileTraits& traits,
                                                       std::string name) {
  constexpr int kFlags = O_WRONLY;
  constexpr mode_t kMode = 0600;
  UniqueFd fd;
  std::string temporary;
  if (traits.may_be_unnamed) fd.Reset(OpenBeneath(directory, ".", kFlags | O_TMPFILE, kMode));
  if (!fd.valid()) {
    ASSIGN_OR_RETURN(
        temporary, MakeTemporary(name, [&](const char* candidate) {
          fd.Reset(OpenBeneath(directory, candidate, kFlags | O_CREAT | O_EXCL, kMode));
          return fd.get();
        }));
  }
  return std::make_unique<PosixTargetFile>(std::move(handle), traits.get_acls, std::move(name),
                                           std::move(fd), std::move(temporary));
}

}  // namespace cairn
