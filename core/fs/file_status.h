// SPDX-License-Identifier: Apache-2.0
// What one statx says of a file of the live file system.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/tree/entry.h"

namespace cairn {

struct FileStatus {
  EntryType type = EntryType::kFile;
  uint32_t mode = 0;  // & 07777; 0 for a symlink, as in an entry
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;  // of 512 bytes
  uint64_t inode = 0;
  uint64_t device = 0;  // st_dev of the file system; means nothing after a reboot
  uint64_t mount = 0;   // id of the mount; 0 where the kernel does not say
  uint32_t links = 0;
  uint32_t device_major = 0;  // of a device node
  uint32_t device_minor = 0;
  Timestamp mtime;
  Timestamp ctime;
  Timestamp btime;  // zeros where the file system has none
};

// Never follows a symlink at `name`, never triggers an automount there. One system call. `name` ""
// means what `directory` itself refers to, which may then be a file. NOT_FOUND if it vanished,
// UNIMPLEMENTED for a type of file that cairn does not know. Thread-safe.
StatusOr<FileStatus> StatAt(int directory, const char* name);

// What is known of the file system that a descriptor lies on. An unknown kind gets the cautious
// answer to each question, except for inodes.
struct FileSystemTraits {
  bool known_good = false;    // ext4, XFS, btrfs, tmpfs: SEEK_HOLE is believed, ns are kept
  bool stable_inodes = true;  // false on FUSE, CIFS, FAT: inode numbers are no part of a witness
  bool own_clock = true;      // false on network file systems and FUSE: times are a server's
  bool tmpfs = false;         // or another one without writeback
  bool leases_tell = true;    // false on overlayfs, which grants leases on files that are mapped
};
// Of what cannot be looked at.
inline constexpr FileSystemTraits kUnknownTraits{.own_clock = false};
StatusOr<FileSystemTraits> TraitsOf(int descriptor);

}  // namespace cairn
