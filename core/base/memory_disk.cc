// SPDX-License-Identifier: Apache-2.0
#include "core/base/memory_disk.h"

#include <algorithm>
#include <cerrno>

#include "core/base/check.h"

namespace cairn {
namespace {

using Kind = DiskOperation::Kind;

constexpr uint64_t kUnlimited = uint64_t{1} << 62;

Status NotRegular(std::string_view operation, const std::string& path) {
  return DataLoss(std::string(operation).append(" ").append(path).append(": not a regular file"));
}

}  // namespace

MemoryDisk::MemoryDisk() : capacity_bytes_(kUnlimited) { inodes_[kRootInode].is_directory = true; }

Status MemoryDisk::CallHook(const DiskOperation& operation) {
  const std::thread::id self = std::this_thread::get_id();
  MemoryFileSystem::Hook hook;
  {
    MutexLock lock(mutex_);
    if (!hook_ || !threads_in_hook_.insert(self).second) return OkStatus();
    hook = hook_;
  }
  Status status = hook(operation);
  MutexLock lock(mutex_);
  threads_in_hook_.erase(self);
  return status;
}

MemoryDisk::Verdict MemoryDisk::NextVerdict(std::optional<DiskFault>& fault) {
  if (!fault) return {};
  if (fault->skip > 0) {
    --fault->skip;
    return {};
  }
  Verdict verdict;
  verdict.partial_bytes = fault->partial_bytes;
  (fault->applied ? verdict.after : verdict.instead) = MakeError(fault->code, fault->message);
  if (fault->count != DiskFault::kForever && --fault->count == 0) fault.reset();
  return verdict;
}

StatusOr<DirectorySlot> MemoryDisk::FindSlot(std::string_view operation, const std::string& path) {
  DCHECK(path.empty() || path.front() != '/');
  DirectorySlot slot{kRootInode, ""};
  size_t begin = 0;
  for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', begin)) {
    slot.name = path.substr(begin, slash - begin);
    const std::optional<InodeId> next = Occupant(slot);
    if (!next) return ErrnoError(ENOENT, operation, path);
    if (!inodes_[*next].is_directory) return ErrnoError(ENOTDIR, operation, path);
    slot.directory = *next;
    begin = slash + 1;
  }
  slot.name = path.substr(begin);
  return slot;
}

std::optional<InodeId> MemoryDisk::Occupant(const DirectorySlot& slot) {
  if (slot.directory == kRootInode && slot.name.empty()) return kRootInode;
  const auto& entries = inodes_[slot.directory].entries;
  const auto it = entries.find(slot.name);
  if (it == entries.end()) return std::nullopt;
  return it->second;
}

StatusOr<InodeId> MemoryDisk::Find(std::string_view operation, const std::string& path) {
  ASSIGN_OR_RETURN(const DirectorySlot slot, FindSlot(operation, path));
  const std::optional<InodeId> inode = Occupant(slot);
  if (!inode) return ErrnoError(ENOENT, operation, path);
  return *inode;
}

StatusOr<InodeId> MemoryDisk::FindFile(std::string_view operation, const std::string& path) {
  ASSIGN_OR_RETURN(const InodeId inode, Find(operation, path));
  if (inodes_[inode].is_directory) return NotRegular(operation, path);
  return inode;
}

StatusOr<InodeId> MemoryDisk::FindDirectory(std::string_view operation, const std::string& path) {
  ASSIGN_OR_RETURN(const InodeId inode, Find(operation, path));
  if (!inodes_[inode].is_directory) return ErrnoError(ENOTDIR, operation, path);
  return inode;
}

InodeId MemoryDisk::AddInode(bool is_directory, const DirectorySlot& slot) {
  const InodeId id = next_inode_++;
  inodes_[id].is_directory = is_directory;
  inodes_[slot.directory].entries[slot.name] = id;
  return id;
}

void MemoryDisk::RemoveName(const DirectorySlot& slot) {
  auto& entries = inodes_[slot.directory].entries;
  const auto it = entries.find(slot.name);
  const InodeId inode = it->second;
  entries.erase(it);
  inodes_[inode].has_name = false;
  DropIfUnused(inode);
}

void MemoryDisk::DropIfUnused(InodeId inode) {
  const auto it = inodes_.find(inode);
  if (it->second.has_name || it->second.handles > 0) return;
  used_bytes_ -= it->second.content.size();
  inodes_.erase(it);
}

StatusOr<InodeId> MemoryDisk::OpenFile(const std::string& path) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kOpenRead, .path = path}));
  MutexLock lock(mutex_);
  const Verdict verdict = NextVerdict(read_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  ASSIGN_OR_RETURN(const InodeId inode, FindFile("open", path));
  ++inodes_[inode].handles;
  return inode;
}

StatusOr<InodeId> MemoryDisk::CreateFileLocked(const std::string& path) {
  const Verdict verdict = NextVerdict(change_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  ASSIGN_OR_RETURN(const DirectorySlot slot, FindSlot("create", path));
  if (Occupant(slot)) return ErrnoError(EEXIST, "create", path);
  const InodeId inode = AddInode(false, slot);
  log_.push_back(
      {.operation = {.kind = Kind::kCreate, .path = path}, .inode = inode, .slot = slot});
  if (!verdict.after.ok()) return verdict.after;
  ++inodes_[inode].handles;
  return inode;
}

StatusOr<InodeId> MemoryDisk::CreateFile(const std::string& path) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kCreate, .path = path}));
  MutexLock lock(mutex_);
  return CreateFileLocked(path);
}

StatusOr<InodeId> MemoryDisk::LockFile(const std::string& path, bool create) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kLock, .path = path}));
  MutexLock lock(mutex_);
  StatusOr<InodeId> inode = FindFile("open", path);
  if (create && absl::IsNotFound(inode.status())) {
    inode = CreateFileLocked(path);
  } else if (inode.ok()) {
    if (inodes_[*inode].locked) return Aborted("lock " + path + ": another process has it");
    ++inodes_[*inode].handles;
  }
  if (inode.ok()) inodes_[*inode].locked = true;
  return inode;
}

void MemoryDisk::CloseHandle(InodeId inode) {
  MutexLock lock(mutex_);
  --inodes_[inode].handles;
  DropIfUnused(inode);
}

void MemoryDisk::UnlockHandle(InodeId inode) {
  MutexLock lock(mutex_);
  inodes_[inode].locked = false;
  --inodes_[inode].handles;
  DropIfUnused(inode);
}

StatusOr<size_t> MemoryDisk::ReadAt(InodeId inode, const std::string& path, uint64_t offset,
                                    MutableByteSpan out) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kRead, .path = path, .bytes = out.size()}));
  MutexLock lock(mutex_);
  const Verdict verdict = NextVerdict(read_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  const Bytes& content = inodes_[inode].content;
  if (offset >= content.size()) return size_t{0};
  const size_t got = std::min<size_t>(out.size(), content.size() - offset);
  std::copy_n(content.begin() + static_cast<ptrdiff_t>(offset), got, out.begin());
  return got;
}

StatusOr<uint64_t> MemoryDisk::HandleSize(InodeId inode, const std::string& path) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kSize, .path = path}));
  MutexLock lock(mutex_);
  const Verdict verdict = NextVerdict(read_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  return inodes_[inode].content.size();
}

Status MemoryDisk::Append(InodeId inode, const std::string& path, ByteSpan bytes) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kAppend, .path = path, .bytes = bytes.size()}));
  MutexLock lock(mutex_);
  Verdict verdict = NextVerdict(change_fault_);
  Status status = std::move(verdict.instead);
  ByteSpan fitting =
      status.ok() ? bytes : bytes.first(std::min(bytes.size(), verdict.partial_bytes));
  const uint64_t room = capacity_bytes_ - std::min(capacity_bytes_, used_bytes_);
  if (fitting.size() > room) {
    fitting = fitting.first(room);
    if (status.ok()) status = ErrnoError(ENOSPC, "write", path);
  }
  if (!fitting.empty()) {
    cairn::Append(inodes_[inode].content, fitting);
    used_bytes_ += fitting.size();
    log_.push_back({.operation = {.kind = Kind::kAppend, .path = path, .bytes = fitting.size()},
                    .inode = inode,
                    .data = Bytes(fitting.begin(), fitting.end())});
  }
  return status.ok() ? std::move(verdict.after) : status;
}

Status MemoryDisk::ReplaceContent(InodeId inode, const std::string& path, ByteSpan content) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kReplaceContent, .path = path, .bytes = content.size()}));
  MutexLock lock(mutex_);
  const Verdict verdict = NextVerdict(change_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  Bytes& old = inodes_[inode].content;
  if (used_bytes_ - old.size() + content.size() > capacity_bytes_) {
    return ErrnoError(ENOSPC, "write", path);
  }
  used_bytes_ += content.size() - old.size();
  old.assign(content.begin(), content.end());
  log_.push_back({.operation = {.kind = Kind::kReplaceContent, .path = path, .bytes = old.size()},
                  .inode = inode,
                  .data = old});
  return verdict.after;
}

Status MemoryDisk::SyncFile(InodeId inode, const std::string& path) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kSync, .path = path}));
  MutexLock lock(mutex_);
  const Verdict verdict = NextVerdict(change_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  log_.push_back({.operation = {.kind = Kind::kSync, .path = path}, .inode = inode});
  return verdict.after;
}

StatusOr<bool> MemoryDisk::StillLinked(InodeId inode, const std::string& path) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kSize, .path = path}));
  MutexLock lock(mutex_);
  const StatusOr<DirectorySlot> slot = FindSlot("stat", path);
  return slot.ok() && Occupant(*slot) == inode;
}

Status MemoryDisk::Rename(const std::string& from, const std::string& to, bool replace) {
  const DiskOperation operation{.kind = Kind::kRename, .path = from, .to = to};
  RETURN_IF_ERROR(CallHook(operation));
  MutexLock lock(mutex_);
  const Verdict verdict = NextVerdict(change_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  ASSIGN_OR_RETURN(const DirectorySlot slot, FindSlot("rename", from));
  ASSIGN_OR_RETURN(const DirectorySlot to_slot, FindSlot("rename " + from + " to", to));
  const std::optional<InodeId> inode = Occupant(slot);
  if (!inode) return ErrnoError(ENOENT, "rename", from);
  if (inodes_[*inode].is_directory) return ErrnoError(EISDIR, "rename", from);
  if (const std::optional<InodeId> old = Occupant(to_slot)) {
    if (!replace) return ErrnoError(EEXIST, "rename " + from + " to", to);
    if (inodes_[*old].is_directory) return ErrnoError(EISDIR, "rename " + from + " to", to);
    if (*old == *inode) return verdict.after;
    RemoveName(to_slot);
  }
  inodes_[slot.directory].entries.erase(slot.name);
  inodes_[to_slot.directory].entries[to_slot.name] = *inode;
  log_.push_back({.operation = operation, .inode = *inode, .slot = slot, .to_slot = to_slot});
  return verdict.after;
}

Status MemoryDisk::Unlink(const std::string& path) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kUnlink, .path = path}));
  MutexLock lock(mutex_);
  const Verdict verdict = NextVerdict(change_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  ASSIGN_OR_RETURN(const DirectorySlot slot, FindSlot("remove", path));
  const std::optional<InodeId> inode = Occupant(slot);
  if (!inode) return ErrnoError(ENOENT, "remove", path);
  if (inodes_[*inode].is_directory) return ErrnoError(EISDIR, "remove", path);
  log_.push_back(
      {.operation = {.kind = Kind::kUnlink, .path = path}, .inode = *inode, .slot = slot});
  RemoveName(slot);
  return verdict.after;
}

Status MemoryDisk::CreateDirectory(const std::string& path) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kCreateDirectory, .path = path}));
  MutexLock lock(mutex_);
  const Verdict verdict = NextVerdict(change_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  ASSIGN_OR_RETURN(const DirectorySlot slot, FindSlot("create directory", path));
  if (Occupant(slot)) return ErrnoError(EEXIST, "create directory", path);
  const InodeId inode = AddInode(true, slot);
  log_.push_back(
      {.operation = {.kind = Kind::kCreateDirectory, .path = path}, .inode = inode, .slot = slot});
  return verdict.after;
}

Status MemoryDisk::SyncDirectory(const std::string& path) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kSyncDirectory, .path = path}));
  MutexLock lock(mutex_);
  const Verdict verdict = NextVerdict(change_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  ASSIGN_OR_RETURN(const InodeId inode, FindDirectory("sync directory", path));
  log_.push_back({.operation = {.kind = Kind::kSyncDirectory, .path = path}, .inode = inode});
  return verdict.after;
}

StatusOr<std::vector<std::string>> MemoryDisk::List(const std::string& path) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kList, .path = path}));
  MutexLock lock(mutex_);
  const Verdict verdict = NextVerdict(read_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  ASSIGN_OR_RETURN(const InodeId inode, FindDirectory("list", path));
  std::vector<std::string> names;
  // Not in order, as on a disk: nobody shall rely on one.
  for (const auto& [name, child] : inodes_[inode].entries) names.push_back(name);
  std::reverse(names.begin(), names.end());
  return names;
}

StatusOr<uint64_t> MemoryDisk::FileSize(const std::string& path) {
  RETURN_IF_ERROR(CallHook({.kind = Kind::kSize, .path = path}));
  MutexLock lock(mutex_);
  const Verdict verdict = NextVerdict(read_fault_);
  if (!verdict.instead.ok()) return verdict.instead;
  ASSIGN_OR_RETURN(const InodeId inode, FindFile("stat", path));
  return inodes_[inode].content.size();
}

uint64_t MemoryDisk::FreeBytes() {
  MutexLock lock(mutex_);
  return capacity_bytes_ - std::min(capacity_bytes_, used_bytes_);
}

Status MemoryDisk::Load(const DiskImage& image) {
  RETURN_IF_ERROR(SyncDirectory(""));
  for (const auto& [path, content] : image) {
    if (!content) {
      RETURN_IF_ERROR(CreateDirectory(path));
      continue;
    }
    ASSIGN_OR_RETURN(const InodeId inode, CreateFile(path));
    RETURN_IF_ERROR(Append(inode, path, *content));
    RETURN_IF_ERROR(SyncFile(inode, path));
    CloseHandle(inode);
  }
  for (const auto& [path, content] : image) {
    if (!content) RETURN_IF_ERROR(SyncDirectory(path));
  }
  RETURN_IF_ERROR(SyncDirectory(""));
  MutexLock lock(mutex_);
  log_start_ = log_.size();
  return OkStatus();
}

size_t MemoryDisk::operation_count() {
  MutexLock lock(mutex_);
  return log_.size() - log_start_;
}

std::vector<DiskOperation> MemoryDisk::operations() {
  MutexLock lock(mutex_);
  std::vector<DiskOperation> operations;
  for (size_t i = log_start_; i < log_.size(); ++i) operations.push_back(log_[i].operation);
  return operations;
}

DiskImage MemoryDisk::Crashed(size_t operations, const CrashChoices& choices) {
  MutexLock lock(mutex_);
  CHECK(operations <= log_.size() - log_start_);
  return CrashImage(std::span(log_).first(log_start_ + operations), choices);
}

void MemoryDisk::FailChanges(const DiskFault& fault) {
  MutexLock lock(mutex_);
  change_fault_ = fault;
}

void MemoryDisk::FailReads(const DiskFault& fault) {
  MutexLock lock(mutex_);
  read_fault_ = fault;
}

void MemoryDisk::ClearFaults() {
  MutexLock lock(mutex_);
  change_fault_.reset();
  read_fault_.reset();
}

void MemoryDisk::SetCapacityBytes(uint64_t bytes) {
  MutexLock lock(mutex_);
  capacity_bytes_ = bytes;
}

void MemoryDisk::SetHook(MemoryFileSystem::Hook hook) {
  MutexLock lock(mutex_);
  hook_ = std::move(hook);
}

Status MemoryDisk::Damage(const std::string& path, const std::function<void(Bytes&)>& edit) {
  MutexLock lock(mutex_);
  ASSIGN_OR_RETURN(const InodeId inode, FindFile("damage", path));
  Bytes& content = inodes_[inode].content;
  used_bytes_ -= content.size();
  edit(content);
  used_bytes_ += content.size();
  log_.push_back({.operation = {.kind = Kind::kDamage, .path = path, .bytes = content.size()},
                  .inode = inode,
                  .data = content});
  return OkStatus();
}

void MemoryDisk::CollectPaths(InodeId directory, const std::string& prefix,
                              std::vector<std::string>& out) {
  for (const auto& [name, inode] : inodes_[directory].entries) {
    out.push_back(prefix + name);
    if (inodes_[inode].is_directory) CollectPaths(inode, prefix + name + "/", out);
  }
}

std::vector<std::string> MemoryDisk::AllPaths() {
  MutexLock lock(mutex_);
  std::vector<std::string> paths;
  CollectPaths(kRootInode, "", paths);
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace cairn
