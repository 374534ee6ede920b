// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string_view>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "core/fs/open_beneath.h"
#include "core/fs/source_file.h"
#include "core/fs/target.h"
#include "core/fs/target_attributes.h"
#include "core/fs/target_file.h"
#include "core/fs/target_place.h"
#include "core/fs/target_remove.h"

namespace cairn {
namespace {

// Larger numbers would be cut by the kernel's encoding, and name another device.
constexpr uint32_t kMaxDeviceMajor = (1U << 12) - 1;
constexpr uint32_t kMaxDeviceMinor = (1U << 20) - 1;

Status CheckName(const std::string& name) {
  if (IsValidName(name)) return OkStatus();
  return InvalidArgument("\"" + name + "\" is no name of an entry");
}

StatusOr<UniqueFd> OpenPathOnly(int directory, const std::string& name) {
  UniqueFd fd(OpenBeneath(directory, name.c_str(), O_PATH));
  if (!fd.valid()) return ErrnoError(errno, "open", name);
  return fd;
}

// Makes the entry's thing under a temporary name. Returns 0, or -1 with errno.
int MakeSpecial(int directory, const char* name, const Entry& entry) {
  constexpr mode_t kMode = 0600;
  switch (entry.type) {
    case EntryType::kSymlink:
      return ::symlinkat(entry.target.c_str(), directory, name);
    case EntryType::kFifo:
      return ::mknodat(directory, name, S_IFIFO | kMode, 0);
    case EntryType::kSocket:
      return ::mknodat(directory, name, S_IFSOCK | kMode, 0);
    case EntryType::kCharacterDevice:
      return ::mknodat(directory, name, S_IFCHR | kMode,
                       makedev(entry.device.major, entry.device.minor));
    case EntryType::kBlockDevice:
      return ::mknodat(directory, name, S_IFBLK | kMode,
                       makedev(entry.device.major, entry.device.minor));
    case EntryType::kFile:
    case EntryType::kDirectory:
    case EntryType::kPartialDirectory:
      break;
  }
  errno = EINVAL;
  return -1;
}

Status CheckSpecial(const Entry& entry) {
  RETURN_IF_ERROR(CheckName(entry.name));
  if (entry.type == EntryType::kSymlink &&
      (entry.target.empty() || entry.target.find('\0') != std::string::npos)) {
    return InvalidArgument("create " + entry.name + ": a symlink cannot have that target");
  }
  if (entry.device.major > kMaxDeviceMajor || entry.device.minor > kMaxDeviceMinor) {
    return InvalidArgument(absl::StrFormat("create %s: there is no device %u:%u", entry.name,
                                           entry.device.major, entry.device.minor));
  }
  return OkStatus();
}

class PosixTargetDirectory : public TargetDirectory {
 public:
  PosixTargetDirectory(TargetHandle handle, bool made_here)
      : handle_(std::move(handle)), made_here_(made_here) {}

  bool MadeHere() const override { return made_here_; }

  StatusOr<std::optional<FileStatus>> Stat(const std::string& name) override {
    if (!name.empty()) RETURN_IF_ERROR(CheckName(name));
    ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, handle_.directory->Open());
    StatusOr<FileStatus> status = StatAt(pin.descriptor(), name.c_str());
    if (status.ok()) return *status;
    if (status.status().code() == StatusCode::kNotFound) return std::nullopt;
    return std::move(status).status();
  }

  StatusOr<FileStatus> OwnStatus() override {
    ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, handle_.directory->Open());
    return StatAt(pin.descriptor(), "");
  }

  StatusOr<std::vector<std::string>> List() override;

  StatusOr<std::unique_ptr<TargetFile>> CreateFile(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, OpenToChange());
    return CreateTargetFile(handle_, pin.descriptor(), FileTraits(pin.descriptor()), name);
  }

  StatusOr<Descriptor> OpenForRead(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, handle_.directory->Open());
    return OpenFileAt(pin.descriptor(), name.c_str());
  }

  StatusOr<std::string> ReadLink(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, handle_.directory->Open());
    return ReadSymlink(pin.descriptor(), name.c_str());
  }

  StatusOr<AttributeReport> CreateSpecial(const Entry& entry,
                                          const Attributes& attributes) override;
  Status Link(const std::string& name, TargetDirectory& existing,
              const std::string& existing_name) override;

  StatusOr<std::shared_ptr<TargetDirectory>> Directory(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, handle_.directory->Open());
    bool made = false;
    if (made_here_ || !StatAt(pin.descriptor(), name.c_str()).ok()) {
      RETURN_IF_ERROR(MakeWritable(pin.descriptor()));
      made = ::mkdirat(pin.descriptor(), name.c_str(), 0700) == 0;
      if (!made && errno != EEXIST) return ErrnoError(errno, "create directory", name);
    }
    StatusOr<std::shared_ptr<TargetDirectory>> child = Child(name, made);
    if (child.status().code() == StatusCode::kPermissionDenied &&
        GrantToOwner(pin.descriptor(), name.c_str())) {
      child = Child(name, made);
    }
    return child;
  }

  StatusOr<std::shared_ptr<TargetDirectory>> ExistingDirectory(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    return Child(name, /*made=*/false);
  }

  Status Remove(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, OpenToChange());
    return RemoveTree(pin.descriptor(), name);
  }

  StatusOr<AttributeReport> SetAttributes(const std::string& name,
                                          const Attributes& attributes) override;

  StatusOr<std::vector<std::pair<std::string, Bytes>>> Xattrs(const std::string& name) override {
    if (!name.empty()) RETURN_IF_ERROR(CheckName(name));
    ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, handle_.directory->Open());
    return ReadXattrs(pin.descriptor(), name.c_str());
  }

 private:
  StatusOr<std::shared_ptr<TargetDirectory>> Child(const std::string& name, bool made) {
    ASSIGN_OR_RETURN(std::shared_ptr<SourceDirectory> child,
                     handle_.pool->OpenChild(handle_.directory, name));
    return std::make_shared<PosixTargetDirectory>(TargetHandle{handle_.pool, std::move(child)},
                                                  made);
  }

  // Asked for once: attributes are set after the children are there.
  const NewFileTraits& FileTraits(int descriptor) {
    std::call_once(file_traits_known_, [&] { file_traits_ = NewFileTraitsOf(descriptor); });
    return file_traits_;
  }

  StatusOr<SourceDirectory::Pin> OpenToChange() {
    ASSIGN_OR_RETURN(SourceDirectory::Pin pin, handle_.directory->Open());
    RETURN_IF_ERROR(MakeWritable(pin.descriptor()));
    return pin;
  }

  // Opens an ordinary user's own directory to him, once.
  Status MakeWritable(int descriptor) {
    if (writable_.load(std::memory_order_relaxed)) return OkStatus();
    if (::geteuid() != 0 && ::faccessat(descriptor, ".", W_OK | X_OK, AT_EACCESS) != 0) {
      ASSIGN_OR_RETURN(const FileStatus status, StatAt(descriptor, ""));
      if (status.uid == ::geteuid() && ::fchmod(descriptor, status.mode | S_IRWXU) != 0) {
        return ErrnoError(errno, "make writable", "the directory");
      }
    }
    writable_.store(true, std::memory_order_relaxed);
    return OkStatus();
  }

  const TargetHandle handle_;
  const bool made_here_;
  std::atomic<bool> writable_ = false;
  std::once_flag file_traits_known_;
  NewFileTraits file_traits_;
};

StatusOr<std::vector<std::string>> PosixTargetDirectory::List() {
  ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, handle_.directory->Open());
  // A descriptor of its own: the pinned one's offset is shared with other threads.
  UniqueFd fd(OpenBeneath(pin.descriptor(), ".", O_RDONLY | O_DIRECTORY));
  if (!fd.valid()) return ErrnoError(errno, "open", "directory");
  DIR* const stream = ::fdopendir(fd.get());
  if (stream == nullptr) return ErrnoError(errno, "read", "directory");
  static_cast<void>(fd.Release());
  const absl::Cleanup close = [stream] { ::closedir(stream); };
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return ErrnoError(errno, "read", "directory");
  std::sort(names.begin(), names.end());
  return names;
}

StatusOr<AttributeReport> PosixTargetDirectory::CreateSpecial(const Entry& entry,
                                                              const Attributes& attributes) {
  RETURN_IF_ERROR(CheckSpecial(entry));
  ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, OpenToChange());
  const int directory = pin.descriptor();
  ASSIGN_OR_RETURN(const std::string temporary,
                   MakeTemporary(entry.name, [&](const char* candidate) {
                     return MakeSpecial(directory, candidate, entry);
                   }));
  absl::Cleanup remove = [&] { ::unlinkat(directory, temporary.c_str(), 0); };
  // Who may write to the directory may have put something else in its place.
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenPathOnly(directory, temporary));
  ASSIGN_OR_RETURN(const FileStatus made, StatAt(fd.get(), ""));
  if (made.type != entry.type || made.links != 1 || made.device_major != entry.device.major ||
      made.device_minor != entry.device.minor) {
    return Aborted("create " + entry.name + ": something else took its place");
  }
  ASSIGN_OR_RETURN(AttributeReport report,
                   ApplyAttributesAt(directory, temporary, fd.get(), attributes, entry.name));
  std::move(remove).Cancel();
  RETURN_IF_ERROR(MoveIntoPlace(directory, temporary, entry.name));
  return report;
}

Status PosixTargetDirectory::Link(const std::string& name, TargetDirectory& existing,
                                  const std::string& existing_name) {
  RETURN_IF_ERROR(CheckName(name));
  RETURN_IF_ERROR(CheckName(existing_name));
  auto& source = static_cast<PosixTargetDirectory&>(existing);
  ASSIGN_OR_RETURN(const SourceDirectory::Pin from, source.handle_.directory->Open());
  ASSIGN_OR_RETURN(const SourceDirectory::Pin to, OpenToChange());
  const auto link = [&](const char* new_name) {
    return ::linkat(from.descriptor(), existing_name.c_str(), to.descriptor(), new_name, 0);
  };
  return LinkIntoPlace(to.descriptor(), name, link, [&](int error) {
    const std::string what = absl::StrFormat("link %s to", name);
    const Status status = ErrnoError(error, what, existing_name);
    const bool impossible = error == EXDEV || error == EMLINK || error == EPERM ||
                            error == EOPNOTSUPP || error == ENOSYS;
    return impossible ? FailedPrecondition(Message(status)) : status;
  });
}

StatusOr<AttributeReport> PosixTargetDirectory::SetAttributes(const std::string& name,
                                                              const Attributes& attributes) {
  ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, handle_.directory->Open());
  if (name.empty()) {
    return ApplyAttributes(pin.descriptor(), attributes, "the directory");
  }
  RETURN_IF_ERROR(CheckName(name));
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenPathOnly(pin.descriptor(), name));
  ASSIGN_OR_RETURN(const FileStatus now, StatAt(fd.get(), ""));
  if (WouldLendRights(now, attributes)) {
    return FailedPrecondition("set attributes of " + name +
                              ": it gains rights while others may write to it");
  }
  return ApplyAttributesAt(pin.descriptor(), name, fd.get(), attributes, name);
}

StatusOr<std::string> Absolute(const std::string& path) {
  if (path.empty()) return InvalidArgument("the target has no path");
  if (path.front() == '/') return path;
  char* const working = ::getcwd(nullptr, 0);
  if (working == nullptr) return ErrnoError(errno, "find", "the working directory");
  const absl::Cleanup release = [working] { ::free(working); };
  return std::string(working) + "/" + path;
}

// Makes the directories of an absolute path that are missing. Step by step: a path may be longer
// than PATH_MAX.
Status MakePath(const std::string& path) {
  UniqueFd fd(RetryOnEintr([] { return ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.valid()) return ErrnoError(errno, "open", "/");
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty()) continue;
    const auto open = [&] {
      return RetryOnEintr(
          [&] { return ::openat(fd.get(), part.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); });
    };
    int next = open();
    if (next < 0 && errno == ENOENT) {
      if (::mkdirat(fd.get(), part.c_str(), 0755) != 0 && errno != EEXIST) {
        return ErrnoError(errno, "create directory", path);
      }
      next = open();
    }
    if (next < 0) {
      return errno == ENOTDIR
                 ? FailedPrecondition("open " + path + ": " + part + " is no directory")
                 : ErrnoError(errno, "open", path);
    }
    fd.Reset(next);
  }
  return OkStatus();
}

StatusOr<std::shared_ptr<TargetDirectory>> OpenAbsolute(const std::string& path) {
  auto pool = std::make_shared<DirectoryPool>();
  // The last part may be a symlink too.
  ASSIGN_OR_RETURN(std::shared_ptr<SourceDirectory> top, pool->OpenTop(path + "/."));
  return std::make_shared<PosixTargetDirectory>(TargetHandle{std::move(pool), std::move(top)},
                                                /*made_here=*/false);
}

}  // namespace

StatusOr<std::shared_ptr<TargetDirectory>> OpenTarget(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string absolute, Absolute(path));
  RETURN_IF_ERROR(MakePath(absolute));
  return OpenAbsolute(absolute);
}

StatusOr<std::shared_ptr<TargetDirectory>> OpenExistingTarget(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string absolute, Absolute(path));
  return OpenAbsolute(absolute);
}

}  // namespace cairn
