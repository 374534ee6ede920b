// SPDX-License-Identifier: Apache-2.0
#include "core/fs/file_status.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <array>
#include <optional>

#include "absl/strings/str_format.h"
#include "core/base/unique_fd.h"

namespace cairn {
namespace {

std::optional<EntryType> TypeOf(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return EntryType::kFile;
    case S_IFDIR:
      return EntryType::kDirectory;
    case S_IFLNK:
      return EntryType::kSymlink;
    case S_IFIFO:
      return EntryType::kFifo;
    case S_IFSOCK:
      return EntryType::kSocket;
    case S_IFCHR:
      return EntryType::kCharacterDevice;
    case S_IFBLK:
      return EntryType::kBlockDevice;
    default:
      return std::nullopt;
  }
}

Timestamp ToTimestamp(const statx_timestamp& time) { return {time.tv_sec, time.tv_nsec}; }

struct KnownFileSystem {
  uint32_t magic;
  FileSystemTraits traits;
};

constexpr FileSystemTraits kGood{.known_good = true};
constexpr FileSystemTraits kMemory{.known_good = true, .tmpfs = true};
constexpr FileSystemTraits kLocal{};
constexpr FileSystemTraits kLocalUnstable{.stable_inodes = false};
constexpr FileSystemTraits kRemoteUnstable{.stable_inodes = false, .own_clock = false};

// Magic numbers that <linux/magic.h> of the oldest supported kernel does not have are from the file
// systems' own sources.
constexpr std::array kKnown{
    KnownFileSystem{EXT4_SUPER_MAGIC, kGood},  // ext2 and ext3 too
    KnownFileSystem{XFS_SUPER_MAGIC, kGood},
    KnownFileSystem{BTRFS_SUPER_MAGIC, kGood},
    KnownFileSystem{TMPFS_MAGIC, kMemory},
    KnownFileSystem{RAMFS_MAGIC, FileSystemTraits{.tmpfs = true}},
    KnownFileSystem{OVERLAYFS_SUPER_MAGIC, FileSystemTraits{.leases_tell = false}},
    KnownFileSystem{F2FS_SUPER_MAGIC, kLocal},
    KnownFileSystem{0x2FC12FC1, kLocal},  // ZFS
    KnownFileSystem{0xCA451A4E, kLocal},  // bcachefs
    KnownFileSystem{0x3153464A, kLocal},  // JFS
    KnownFileSystem{NILFS_SUPER_MAGIC, kLocal},
    KnownFileSystem{REISERFS_SUPER_MAGIC, kLocal},
    KnownFileSystem{SQUASHFS_MAGIC, kLocal},
    KnownFileSystem{0xE0F5E1E2, kLocal},  // EROFS
    KnownFileSystem{ISOFS_SUPER_MAGIC, kLocal},
    KnownFileSystem{UDF_SUPER_MAGIC, kLocal},
    KnownFileSystem{0x7366746E, kLocal},                 // NTFS (ntfs3)
    KnownFileSystem{MSDOS_SUPER_MAGIC, kLocalUnstable},  // all FAT
    KnownFileSystem{0x2011BAB0, kLocalUnstable},         // exFAT
    KnownFileSystem{FUSE_SUPER_MAGIC, kRemoteUnstable},
    KnownFileSystem{0xFF534D42, kRemoteUnstable},  // CIFS
    KnownFileSystem{0xFE534D42, kRemoteUnstable},  // SMB 2 and later
    KnownFileSystem{SMB_SUPER_MAGIC, kRemoteUnstable},
};

}  // namespace

StatusOr<FileStatus> StatAt(int directory, const char* name) {
  struct statx stat;
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name == '\0' ? AT_EMPTY_PATH : 0);
  const unsigned mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
  if (RetryOnEintr([&] { return ::statx(directory, name, flags, mask, &stat); }) != 0) {
    return ErrnoError(errno, "stat", name);
  }
  const std::optional<EntryType> type = TypeOf(stat.stx_mode);
  if (!type) {
    return Unimplemented(
        absl::StrFormat("stat %s: unknown type of file, mode %o", name, stat.stx_mode));
  }
  FileStatus status;
  status.type = *type;
  status.mode = *type == EntryType::kSymlink ? 0 : stat.stx_mode & 07777;
  status.uid = stat.stx_uid;
  status.gid = stat.stx_gid;
  status.size = stat.stx_size;
  status.blocks = stat.stx_blocks;
  status.inode = stat.stx_ino;
  status.device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
  if (stat.stx_mask & STATX_MNT_ID) status.mount = stat.stx_mnt_id;
  status.links = stat.stx_nlink;
  status.device_major = stat.stx_rdev_major;
  status.device_minor = stat.stx_rdev_minor;
  status.mtime = ToTimestamp(stat.stx_mtime);
  status.ctime = ToTimestamp(stat.stx_ctime);
  if (stat.stx_mask & STATX_BTIME) status.btime = ToTimestamp(stat.stx_btime);
  return status;
}

StatusOr<FileSystemTraits> TraitsOf(int descriptor) {
  struct statfs stat;
  if (RetryOnEintr([&] { return ::fstatfs(descriptor, &stat); }) != 0) {
    return ErrnoError(errno, "statfs", "");
  }
  const uint32_t magic = static_cast<uint32_t>(stat.f_type);
  for (const KnownFileSystem& known : kKnown) {
    if (known.magic == magic) return known.traits;
  }
  // NFS, 9p, Ceph, AFS, and whatever comes: a clock that may not be ours.
  return kUnknownTraits;
}

}  // namespace cairn
