// SPDX-License-Identifier: Apache-2.0
#include "core/base/memory_file_system.h"

#include <utility>

#include "core/base/check.h"
#include "core/base/memory_disk.h"

namespace cairn {
namespace {

class MemoryRandomAccessFile : public RandomAccessFile {
 public:
  MemoryRandomAccessFile(std::shared_ptr<MemoryDisk> disk, InodeId inode, std::string path)
      : disk_(std::move(disk)), inode_(inode), path_(std::move(path)) {}
  ~MemoryRandomAccessFile() override { disk_->CloseHandle(inode_); }

  StatusOr<size_t> ReadAt(uint64_t offset, MutableByteSpan out) const override {
    return disk_->ReadAt(inode_, path_, offset, out);
  }
  StatusOr<uint64_t> Size() const override { return disk_->HandleSize(inode_, path_); }

 private:
  const std::shared_ptr<MemoryDisk> disk_;
  const InodeId inode_;
  const std::string path_;
};

class MemoryWritableFile : public WritableFile {
 public:
  MemoryWritableFile(std::shared_ptr<MemoryDisk> disk, InodeId inode, std::string path)
      : disk_(std::move(disk)), inode_(inode), path_(std::move(path)) {}
  ~MemoryWritableFile() override { disk_->CloseHandle(inode_); }

  Status Append(ByteSpan bytes) override {
    return Try("write", [&] { return disk_->Append(inode_, path_, bytes); });
  }
  Status Sync() override {
    return Try("sync", [&] { return disk_->SyncFile(inode_, path_); });
  }

 private:
  template <typename Operation>
  Status Try(const char* name, Operation operation) {
    if (failed_) {
      return FailedPrecondition(std::string(name) + " " + path_ + ": an earlier write failed");
    }
    Status status = operation();
    failed_ = !status.ok();
    return status;
  }

  const std::shared_ptr<MemoryDisk> disk_;
  const InodeId inode_;
  const std::string path_;
  bool failed_ = false;
};

class MemoryFileLock : public FileLock {
 public:
  MemoryFileLock(std::shared_ptr<MemoryDisk> disk, InodeId inode, std::string path)
      : disk_(std::move(disk)), inode_(inode), path_(std::move(path)) {}
  ~MemoryFileLock() override { disk_->UnlockHandle(inode_); }

  Status WriteContent(ByteSpan content) override {
    return disk_->ReplaceContent(inode_, path_, content);
  }
  StatusOr<bool> StillLinked() const override { return disk_->StillLinked(inode_, path_); }

 private:
  const std::shared_ptr<MemoryDisk> disk_;
  const InodeId inode_;
  const std::string path_;
};

}  // namespace

MemoryFileSystem::MemoryFileSystem() : MemoryFileSystem(std::make_shared<MemoryDisk>()) {}
MemoryFileSystem::MemoryFileSystem(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) {}
MemoryFileSystem::~MemoryFileSystem() = default;

StatusOr<std::unique_ptr<RandomAccessFile>> MemoryFileSystem::OpenRead(const std::string& path) {
  ASSIGN_OR_RETURN(const InodeId inode, disk_->OpenFile(path));
  return std::make_unique<MemoryRandomAccessFile>(disk_, inode, path);
}

StatusOr<std::unique_ptr<WritableFile>> MemoryFileSystem::CreateNew(const std::string& path) {
  ASSIGN_OR_RETURN(const InodeId inode, disk_->CreateFile(path));
  return std::make_unique<MemoryWritableFile>(disk_, inode, path);
}

Status MemoryFileSystem::RenameNoReplace(const std::string& from, const std::string& to) {
  return disk_->Rename(from, to, false);
}

Status MemoryFileSystem::RenameReplace(const std::string& from, const std::string& to) {
  return disk_->Rename(from, to, true);
}

Status MemoryFileSystem::Unlink(const std::string& path) { return disk_->Unlink(path); }

Status MemoryFileSystem::CreateDirectory(const std::string& path) {
  return disk_->CreateDirectory(path);
}

Status MemoryFileSystem::SyncDirectory(const std::string& path) {
  return disk_->SyncDirectory(path);
}

StatusOr<std::vector<std::string>> MemoryFileSystem::List(const std::string& path) {
  return disk_->List(path);
}

StatusOr<uint64_t> MemoryFileSystem::FileSize(const std::string& path) {
  return disk_->FileSize(path);
}

StatusOr<std::unique_ptr<FileLock>> MemoryFileSystem::TryLock(const std::string& path,
                                                              bool create) {
  ASSIGN_OR_RETURN(const InodeId inode, disk_->LockFile(path, create));
  return std::make_unique<MemoryFileLock>(disk_, inode, path);
}

StatusOr<uint64_t> MemoryFileSystem::FreeBytes() { return disk_->FreeBytes(); }

size_t MemoryFileSystem::operation_count() const { return disk_->operation_count(); }

std::vector<DiskOperation> MemoryFileSystem::operations() const { return disk_->operations(); }

std::unique_ptr<MemoryFileSystem> MemoryFileSystem::CrashedAt(size_t operations,
                                                              const CrashChoices& choices) const {
  auto disk = std::make_shared<MemoryDisk>();
  const Status loaded = disk->Load(disk_->Crashed(operations, choices));
  CHECK(loaded.ok());
  // The constructor is private.
  return std::unique_ptr<MemoryFileSystem>(new MemoryFileSystem(std::move(disk)));
}

void MemoryFileSystem::FailChanges(const DiskFault& fault) { disk_->FailChanges(fault); }
void MemoryFileSystem::FailReads(const DiskFault& fault) { disk_->FailReads(fault); }
void MemoryFileSystem::ClearFaults() { disk_->ClearFaults(); }
void MemoryFileSystem::SetCapacityBytes(uint64_t bytes) { disk_->SetCapacityBytes(bytes); }
void MemoryFileSystem::SetHook(Hook hook) { disk_->SetHook(std::move(hook)); }

Status MemoryFileSystem::Damage(const std::string& path, const std::function<void(Bytes&)>& edit) {
  return disk_->Damage(path, edit);
}

std::vector<std::string> MemoryFileSystem::AllPaths() const { return disk_->AllPaths(); }

}  // namespace cairn
