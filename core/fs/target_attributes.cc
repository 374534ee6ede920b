// SPDX-License-Identifier: Apache-2.0
#include "core/fs/target_attributes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/fs/source_file.h"
#include "core/tree/xattrs.h"

namespace cairn {
namespace {

constexpr uint32_t kSetIdBits = S_ISUID | S_ISGID;
constexpr std::string_view kCapability = "security.capability";
constexpr uint32_t kNoId = UINT32_MAX;  // to chown it means "leave as it is"

// Errors that say "not here" or "not you" rather than that the disk is broken.
bool IsRefusal(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
    case EOVERFLOW:
    case EDQUOT:
    case EROFS:
      return true;
    default:
      return false;
  }
}

bool IsSecurityLabel(std::string_view name) {
  return name.starts_with("security.") && name != kCapability;
}

bool IsUserXattr(std::string_view name) { return name.starts_with("user."); }

bool WantsCapability(const Attributes& wanted) {
  return std::any_of(wanted.xattrs.begin(), wanted.xattrs.end(),
                     [](const auto& xattr) { return xattr.first == kCapability; });
}

using XattrList = std::vector<std::pair<std::string, Bytes>>;

const Bytes* FindXattr(const XattrList& list, std::string_view name) {
  for (const auto& [key, value] : list) {
    if (key == name) return &value;
  }
  return nullptr;
}

enum class DescriptorKind {
  kOpen,  // for reading or writing
  kPath,  // O_PATH: all that there is for symlinks, devices and files that may not be opened
};

class AttributeSetter {
 public:
  AttributeSetter(int fd, DescriptorKind kind, const Attributes& wanted, const std::string& name)
      : fd_(fd),
        kind_(kind),
        proc_path_(absl::StrFormat("/proc/self/fd/%d", fd)),
        wanted_(wanted),
        name_(name) {}

  StatusOr<AttributeReport> Run(StatusOr<XattrList> present) {
    ASSIGN_OR_RETURN(now_, StatAt(fd_, ""));
    return RunKnowing(std::move(present));
  }

  // Nothing if the file was not what it is taken for here, or something was refused.
  StatusOr<std::optional<AttributeReport>> RunOnNewFile() {
    now_.type = EntryType::kFile;
    now_.mode = 0600;
    now_.uid = ::geteuid();
    now_.gid = ::getegid();
    now_.mtime = {std::numeric_limits<int64_t>::min(), 0};
    ASSIGN_OR_RETURN(AttributeReport report, RunKnowing(XattrList{}));
    const bool as_expected = !owner_refused_ && !report.owner && !report.mode;
    if (!as_expected) return std::optional<AttributeReport>();
    return std::optional<AttributeReport>(std::move(report));
  }

 private:
  StatusOr<AttributeReport> RunKnowing(StatusOr<XattrList> present) {
    if (now_.type != wanted_.type) {
      return FailedPrecondition(absl::StrFormat("set attributes of %s: it is a %s, not a %s", name_,
                                                EntryTypeName(now_.type),
                                                EntryTypeName(wanted_.type)));
    }
    // Values that may not be read are set anew; what else is there stays.
    if (present.ok()) {
      present_ = *std::move(present);
    } else if (present.status().code() != StatusCode::kPermissionDenied) {
      return std::move(present).status();
    }
    RETURN_IF_ERROR(SetOwner());
    RETURN_IF_ERROR(AllowUserXattrs());
    RemoveOtherXattrs();
    // user.* attributes need the right to write, which the mode may take away.
    SetXattrs(true);
    RETURN_IF_ERROR(SetMode());
    SetXattrs(false);
    RETURN_IF_ERROR(SetTimes());
    RETURN_IF_ERROR(CompareWithResult());
    return std::move(report_);
  }

  Status SetOwner() {
    if (now_.uid == wanted_.uid && now_.gid == wanted_.gid) return OkStatus();
    if (wanted_.uid == kNoId || wanted_.gid == kNoId) {
      owner_refused_ = true;
      return OkStatus();
    }
    changed_ = true;
    owner_touched_ = true;
    if (Chown(wanted_.uid, wanted_.gid) == 0) return OkStatus();
    if (!IsRefusal(errno)) return ErrnoError(errno, "set the owner of", name_);
    owner_refused_ = true;
    if (now_.uid != wanted_.uid && now_.gid != wanted_.gid && Chown(kNoId, wanted_.gid) != 0 &&
        !IsRefusal(errno)) {
      return ErrnoError(errno, "set the group of", name_);
    }
    return OkStatus();
  }

  // An ordinary user's own entry must be writable to him for its user.* attributes to change.
  Status AllowUserXattrs() {
    if ((now_.mode & S_IWUSR) != 0 || now_.uid != ::geteuid() || ::geteuid() == 0 ||
        !UserXattrsDiffer()) {
      return OkStatus();
    }
    changed_ = true;
    mode_touched_ = true;
    if (Chmod((now_.mode & 0777) | S_IWUSR) == 0 || IsRefusal(errno)) return OkStatus();
    return ErrnoError(errno, "set the mode of", name_);
  }

  bool UserXattrsDiffer() const {
    for (const auto& [key, value] : wanted_.xattrs) {
      if (!IsUserXattr(key)) continue;
      const Bytes* present = FindXattr(present_, key);
      if (present == nullptr || *present != value) return true;
    }
    return std::any_of(present_.begin(), present_.end(), [&](const auto& xattr) {
      return IsUserXattr(xattr.first) && FindXattr(wanted_.xattrs, xattr.first) == nullptr;
    });
  }

  void RemoveOtherXattrs() {
    for (const auto& [key, value] : present_) {
      if (FindXattr(wanted_.xattrs, key) != nullptr || IsSecurityLabel(key)) continue;
      changed_ = true;
      const int result = kind_ == DescriptorKind::kPath
                             ? ::removexattr(proc_path_.c_str(), key.c_str())
                             : ::fremovexattr(fd_, key.c_str());
      if (result != 0 && errno != ENODATA) report_.xattrs.push_back(key);
    }
  }

  void SetXattrs(bool user) {
    for (const auto& [key, value] : wanted_.xattrs) {
      if (IsUserXattr(key) != user) continue;
      const Bytes* present = FindXattr(present_, key);
      // A change of owner drops capabilities, a change of mode rewrites access control lists.
      const bool touched = !user && (owner_touched_ || mode_touched_);
      if (present != nullptr && *present == value && !touched) continue;
      if (!SetXattr(key, value)) report_.xattrs.push_back(key);
    }
  }

  bool SetXattr(const std::string& key, const Bytes& value) {
    if (!IsKeptXattr(key) || (owner_refused_ && key == kCapability)) return false;
    changed_ = true;
    return (kind_ == DescriptorKind::kPath
                ? ::setxattr(proc_path_.c_str(), key.c_str(), value.data(), value.size(), 0)
                : ::fsetxattr(fd_, key.c_str(), value.data(), value.size(), 0)) == 0;
  }

  Status SetMode() {
    if (now_.type == EntryType::kSymlink) return OkStatus();
    uint32_t mode = wanted_.mode & 07777;
    if (owner_refused_ && now_.type != EntryType::kDirectory) mode &= ~kSetIdBits;
    if (mode == now_.mode && !owner_touched_ && !mode_touched_) return OkStatus();
    changed_ = true;
    mode_touched_ = true;
    if (Chmod(mode) == 0 || IsRefusal(errno)) return OkStatus();
    return ErrnoError(errno, "set the mode of", name_);
  }

  Status SetTimes() {
    if (now_.mtime == wanted_.mtime) return OkStatus();
    changed_ = true;
    timespec times[2] = {};
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = wanted_.mtime.seconds;
    times[1].tv_nsec = wanted_.mtime.nanoseconds;
    const int result = kind_ == DescriptorKind::kPath
                           ? ::utimensat(AT_FDCWD, proc_path_.c_str(), times, 0)
                           : ::futimens(fd_, times);
    if (result == 0 || IsRefusal(errno)) return OkStatus();
    return ErrnoError(errno, "set the times of", name_);
  }

  // The kernel may drop a set-group-id bit, and a file system may cut times, without an error.
  Status CompareWithResult() {
    if (changed_) {
      ASSIGN_OR_RETURN(now_, StatAt(fd_, ""));
    }
    report_.owner = now_.uid != wanted_.uid || now_.gid != wanted_.gid;
    report_.mode = now_.type != EntryType::kSymlink && now_.mode != (wanted_.mode & 07777);
    report_.times = now_.mtime != wanted_.mtime;
    return OkStatus();
  }

  int Chown(uint32_t uid, uint32_t gid) {
    return ::fchownat(fd_, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
  }

  int Chmod(uint32_t mode) {
    return kind_ == DescriptorKind::kPath ? ::chmod(proc_path_.c_str(), mode) : ::fchmod(fd_, mode);
  }

  const int fd_;
  const DescriptorKind kind_;
  const std::string proc_path_;  // names what an O_PATH descriptor holds, symlinks too
  const Attributes& wanted_;
  const std::string& name_;

  FileStatus now_;
  XattrList present_;
  AttributeReport report_;
  bool changed_ = false;
  bool owner_touched_ = false;
  bool mode_touched_ = false;
  bool owner_refused_ = false;
};

}  // namespace

StatusOr<AttributeReport> ApplyAttributes(int descriptor, const Attributes& wanted,
                                          const std::string& label) {
  AttributeSetter setter(descriptor, DescriptorKind::kOpen, wanted, label);
  return setter.Run(ReadXattrs(descriptor, ""));
}

StatusOr<AttributeReport> ApplyAttributesToNewFile(int descriptor, const Attributes& wanted,
                                                   const std::string& label) {
  // Rights are lent only by who is known to be the owner.
  if ((wanted.mode & kSetIdBits) == 0 && !WantsCapability(wanted)) {
    AttributeSetter setter(descriptor, DescriptorKind::kOpen, wanted, label);
    ASSIGN_OR_RETURN(std::optional<AttributeReport> report, setter.RunOnNewFile());
    if (report) return *std::move(report);
  }
  return ApplyAttributes(descriptor, wanted, label);
}

StatusOr<AttributeReport> ApplyAttributesAt(int directory, const std::string& name,
                                            int path_descriptor, const Attributes& wanted,
                                            const std::string& label) {
  AttributeSetter setter(path_descriptor, DescriptorKind::kPath, wanted, label);
  return setter.Run(ReadXattrs(directory, name.c_str()));
}

bool WouldLendRights(const FileStatus& now, const Attributes& wanted) {
  if (now.type != EntryType::kFile) return false;
  const bool same_owner = now.uid == wanted.uid && now.gid == wanted.gid;
  const bool only_owner_writes = same_owner && (now.mode & (S_IWGRP | S_IWOTH)) == 0;
  if (only_owner_writes) return false;
  const bool same_mode = same_owner && now.mode == (wanted.mode & 07777);
  return WantsCapability(wanted) || ((wanted.mode & kSetIdBits) != 0 && !same_mode);
}

}  // namespace cairn
