// SPDX-License-Identifier: Apache-2.0
// The state behind MemoryFileSystem, and the log from which a crash is computed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/memory_file_system.h"
#include "core/base/mutex.h"
#include "core/base/status.h"

namespace cairn {

using InodeId = uint64_t;
inline constexpr InodeId kRootInode = 1;

// A name in a directory, whether or not something has it.
struct DirectorySlot {
  InodeId directory = 0;
  std::string name;
  friend auto operator<=>(const DirectorySlot&, const DirectorySlot&) = default;
};

struct DiskLogEntry {
  DiskOperation operation = {};
  InodeId inode = 0;  // what was created, changed, synced, renamed or removed
  DirectorySlot slot = {};
  DirectorySlot to_slot = {};  // kRename
  Bytes data = {};             // kAppend, kReplaceContent, kDamage
};

// Files with their content, directories with nothing, by path: parents come before children.
using DiskImage = std::map<std::string, std::optional<Bytes>>;

// What a power cut after the operations of `log` leaves of a disk that was empty before them.
DiskImage CrashImage(std::span<const DiskLogEntry> log, const CrashChoices& choices);

// Thread-safe. A "handle" is a file that somebody has open; it keeps the content of the inode.
class MemoryDisk {
 public:
  MemoryDisk();

  StatusOr<InodeId> OpenFile(const std::string& path);    // returns a handle
  StatusOr<InodeId> CreateFile(const std::string& path);  // returns a handle
  StatusOr<InodeId> LockFile(const std::string& path, bool create);
  void CloseHandle(InodeId inode);
  void UnlockHandle(InodeId inode);

  // On handles; `path` is for messages and hooks.
  StatusOr<size_t> ReadAt(InodeId inode, const std::string& path, uint64_t offset,
                          MutableByteSpan out);
  StatusOr<uint64_t> HandleSize(InodeId inode, const std::string& path);
  Status Append(InodeId inode, const std::string& path, ByteSpan bytes);
  Status ReplaceContent(InodeId inode, const std::string& path, ByteSpan content);
  Status SyncFile(InodeId inode, const std::string& path);
  StatusOr<bool> StillLinked(InodeId inode, const std::string& path);

  Status Rename(const std::string& from, const std::string& to, bool replace);
  Status Unlink(const std::string& path);
  Status CreateDirectory(const std::string& path);
  Status SyncDirectory(const std::string& path);
  StatusOr<std::vector<std::string>> List(const std::string& path);
  StatusOr<uint64_t> FileSize(const std::string& path);
  uint64_t FreeBytes();

  // Fills an empty disk, durably; the log starts after it.
  Status Load(const DiskImage& image);
  size_t operation_count();
  std::vector<DiskOperation> operations();
  DiskImage Crashed(size_t operations, const CrashChoices& choices);
  void FailChanges(const DiskFault& fault);
  void FailReads(const DiskFault& fault);
  void ClearFaults();
  void SetCapacityBytes(uint64_t bytes);
  void SetHook(MemoryFileSystem::Hook hook);
  Status Damage(const std::string& path, const std::function<void(Bytes&)>& edit);
  std::vector<std::string> AllPaths();

 private:
  struct Inode {
    bool is_directory = false;
    bool has_name = true;
    bool locked = false;
    int handles = 0;
    Bytes content;
    std::map<std::string, InodeId> entries;
  };
  // What an injected fault makes of one operation: at most one of the two is an error.
  struct Verdict {
    Status instead;  // returned before anything is done
    Status after;    // returned although all was done
    uint64_t partial_bytes = 0;
  };

  Status CallHook(const DiskOperation& operation) ABSL_LOCKS_EXCLUDED(mutex_);
  Verdict NextVerdict(std::optional<DiskFault>& fault) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The slot of `path`; NOT_FOUND if its directory is not there.
  StatusOr<DirectorySlot> FindSlot(std::string_view operation, const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What stands in a slot, or nothing.
  std::optional<InodeId> Occupant(const DirectorySlot& slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  StatusOr<InodeId> Find(std::string_view operation, const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  StatusOr<InodeId> FindFile(std::string_view operation, const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  StatusOr<InodeId> FindDirectory(std::string_view operation, const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  InodeId AddInode(bool is_directory, const DirectorySlot& slot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  StatusOr<InodeId> CreateFileLocked(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveName(const DirectorySlot& slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropIfUnused(InodeId inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CollectPaths(InodeId directory, const std::string& prefix, std::vector<std::string>& out)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  std::map<InodeId, Inode> inodes_ ABSL_GUARDED_BY(mutex_);
  InodeId next_inode_ ABSL_GUARDED_BY(mutex_) = kRootInode + 1;
  std::vector<DiskLogEntry> log_ ABSL_GUARDED_BY(mutex_);
  size_t log_start_ ABSL_GUARDED_BY(mutex_) = 0;  // entries before it are what Load did
  uint64_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t capacity_bytes_ ABSL_GUARDED_BY(mutex_);
  std::optional<DiskFault> change_fault_ ABSL_GUARDED_BY(mutex_);
  std::optional<DiskFault> read_fault_ ABSL_GUARDED_BY(mutex_);
  MemoryFileSystem::Hook hook_ ABSL_GUARDED_BY(mutex_);
  std::set<std::thread::id> threads_in_hook_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn
