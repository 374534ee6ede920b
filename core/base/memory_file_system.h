// SPDX-License-Identifier: Apache-2.0
// A file system in memory that records every change, so that a test can look at the disk as a power
// cut after any of them could have left it, and can let any operation fail.
//
//   MemoryFileSystem fs;
//   RunTheProtocol(fs);
//   for (size_t n = 0; n <= fs.operation_count(); ++n) {
//     auto after = fs.CrashedAt(n, {.policy = CrashPolicy::kRandom, .seed = n});
//     ... reopen `after`, assert what was acknowledged before operation n ...
//   }
//
// What survives a power cut is what POSIX promises and nothing more:
//   - bytes of a file that a Sync of that file covers;
//   - names that a SyncDirectory of their directory covers, if all directories above survive too;
//   - a rename lands as a whole or not at all, and a sync of either directory covers it;
//   - changes of one name land in their order; those of different names in any order, so a renamed
//     file may have its name and not its bytes.
// Several processes on one disk are several users of one MemoryFileSystem. Files and locks may
// outlive it. Directories cannot be renamed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/file_system.h"
#include "core/base/status.h"

namespace cairn {

class MemoryDisk;

struct DiskOperation {
  enum class Kind : uint8_t {
    // Changes; these are recorded and counted.
    kCreate,
    kAppend,
    kReplaceContent,  // FileLock::WriteContent
    kSync,
    kRename,
    kUnlink,
    kCreateDirectory,
    kSyncDirectory,
    kDamage,
    // The others are only shown to hooks.
    kOpenRead,
    kRead,
    kSize,
    kList,
    kLock,
  };

  Kind kind = Kind::kCreate;
  std::string path = "";  // of an open file, the name that it was opened by
  std::string to = "";    // kRename only
  uint64_t bytes = 0;     // kAppend, kReplaceContent, kRead
};

// What becomes of changes that no sync covers.
enum class CrashPolicy : uint8_t {
  kKeepAll,            // nothing is lost: every process was killed, the machine went on
  kDropUnsynced,       // everything is lost
  kKeepNamesDropData,  // all names are there, the bytes are not
  kRandom,  // each name or not; each sector there, zero or garbage; file sizes in between
  kChosen,  // each name or not, each content in one of a few ways, as `choose` says
};

struct CrashChoices {
  CrashPolicy policy = CrashPolicy::kDropUnsynced;
  uint64_t seed = 0;  // kRandom: equal seeds make equal disks
  // kChosen: which of so many ways (0 to count - 1) the next thing that is open takes. Equal
  // answers make equal disks, so that a caller can go through all of them.
  std::function<size_t(size_t count)> choose = {};
  // So many of the first operations have reached the disk without a sync, as they do after a while.
  size_t settled = 0;
  // If it is set: the syncs (kSync, kSyncDirectory) for which it is true did nothing, as if the
  // code did not have them.
  std::function<bool(const DiskOperation&)> is_sync_lost = {};
};

// Lets operations fail. Failed attempts count here, though not in operation_count().
struct DiskFault {
  StatusCode code = StatusCode::kUnavailable;
  std::string message = "injected error";
  size_t skip = 0;             // so many succeed first
  size_t count = 1;            // then so many fail; kForever until ClearFaults
  bool applied = false;        // the operation takes effect, and yet its caller sees the error
  uint64_t partial_bytes = 0;  // appends: so many bytes are written before the error

  static constexpr size_t kForever = std::numeric_limits<size_t>::max();
};

// Thread-safe.
class MemoryFileSystem : public FileSystem {
 public:
  // Called before each operation, without locks, in the thread that asks for it: an error becomes
  // the operation's. Operations that a hook makes itself do not call it again.
  using Hook = std::function<Status(const DiskOperation&)>;

  MemoryFileSystem();
  ~MemoryFileSystem() override;

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

  // Changes that took effect since this object was made.
  size_t operation_count() const;
  std::vector<DiskOperation> operations() const;

  // The disk after a power cut that followed the first `operations` changes. All of it is durable,
  // nobody holds locks, and its count starts at 0. A cut in the midst of a change needs no case of
  // its own: it looks like one after the change, which nothing has synced yet.
  // REQUIRES: operations <= operation_count().
  std::unique_ptr<MemoryFileSystem> CrashedAt(size_t operations, const CrashChoices& choices) const;

  // Each replaces the fault of its kind that was there before.
  void FailChanges(const DiskFault& fault);
  void FailReads(const DiskFault& fault);  // OpenRead, ReadAt, Size, FileSize, List
  void ClearFaults();

  // Appends beyond it write what fits and return RESOURCE_EXHAUSTED. Unlimited at first. Counts the
  // content of files that have a name or are open.
  void SetCapacityBytes(uint64_t bytes);

  void SetHook(Hook hook);

  // Changes a file's bytes behind everybody's back, durably: as a bad sector or an intruder would.
  Status Damage(const std::string& path, const std::function<void(Bytes&)>& edit);

  // All files and directories but the root, sorted.
  std::vector<std::string> AllPaths() const;

 private:
  explicit MemoryFileSystem(std::shared_ptr<MemoryDisk> disk);

  const std::shared_ptr<MemoryDisk> disk_;  // shared with open files and locks
};

}  // namespace cairn
