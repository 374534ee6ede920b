// SPDX-License-Identifier: Apache-2.0
#include "core/repo/reserve.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/base/random.h"

namespace cairn {
namespace {

constexpr char kReserveFolder[] = "reserve";
constexpr uint64_t kReserveShare = 50;

std::string BlockName(const std::string& name) { return std::string(kReserveFolder) + "/" + name; }

Status FillBlock(FileSystem& fs, const std::string& path) {
  const Status made = fs.CreateDirectory(kReserveFolder);
  if (made.code() != StatusCode::kAlreadyExists) RETURN_IF_ERROR(made);
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, fs.CreateNew(path));
  // A file system that compresses would make nothing of zeros.
  Bytes block(static_cast<size_t>(kReserveBlockBytes));
  FillRandom(block);
  RETURN_IF_ERROR(file->Append(block));
  return file->Sync();
}

// False if there is no room for it.
StatusOr<bool> EnsureBlock(FileSystem& fs, const std::string& path, uint64_t min_free) {
  const StatusOr<uint64_t> bytes = fs.FileSize(path);
  if (bytes.ok() && *bytes == kReserveBlockBytes) return true;
  if (!bytes.ok() && bytes.status().code() != StatusCode::kNotFound) return bytes.status();
  ASSIGN_OR_RETURN(const uint64_t free, fs.FreeBytes());
  if (free < min_free) return false;
  // Cut short by a crash or a full disk, or another process is just making it: then it is missing
  // until the next time, which is no harm.
  if (bytes.ok()) RETURN_IF_ERROR(fs.Unlink(path));
  const Status filled = FillBlock(fs, path);
  if (filled.ok() || filled.code() == StatusCode::kAlreadyExists) return true;
  fs.Unlink(path).IgnoreError();
  if (filled.code() == StatusCode::kResourceExhausted) return false;
  return filled;
}

StatusOr<std::vector<std::string>> ListBlocks(FileSystem& fs) {
  StatusOr<std::vector<std::string>> names = fs.List(kReserveFolder);
  if (names.status().code() == StatusCode::kNotFound) return std::vector<std::string>();
  if (!names.ok()) return Annotate(names.status(), "look at the reserve");
  return names;
}

}  // namespace

uint64_t MaxReserveBlocks(uint64_t pack_target_bytes) {
  return std::max(kMinReserveBlocks, pack_target_bytes / kReserveBlockBytes);
}

uint64_t ReserveBlocks(uint64_t packs_bytes, uint64_t pack_target_bytes) {
  return std::clamp(packs_bytes / kReserveShare / kReserveBlockBytes, kMinReserveBlocks,
                    MaxReserveBlocks(pack_target_bytes));
}

StatusOr<uint64_t> CountReserveBlocks(FileSystem& fs) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListBlocks(fs));
  return names.size();
}

Status EnsureReserve(FileSystem& fs, uint64_t blocks, uint64_t min_free) {
  for (uint64_t number = 0; number < blocks; ++number) {
    const StatusOr<bool> there = EnsureBlock(fs, BlockName(std::to_string(number)), min_free);
    if (!there.ok()) return Annotate(there.status(), "make the reserve");
    if (!*there) return OkStatus();
  }
  return OkStatus();
}

StatusOr<bool> GiveUpReserveBlock(FileSystem& fs) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListBlocks(fs));
  for (const std::string& name : names) {
    const Status removed = fs.Unlink(BlockName(name));
    if (removed.ok()) return true;
    if (removed.code() == StatusCode::kNotFound) continue;  // another process took it
    return Annotate(removed, "give up a block of the reserve");
  }
  return false;
}

Status GiveUpReserve(FileSystem& fs) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListBlocks(fs));
  for (size_t left = names.size(); left > 1; --left) {
    RETURN_IF_ERROR(GiveUpReserveBlock(fs).status());
  }
  return OkStatus();
}

Status WithReserve(FileSystem& fs, const std::function<Status()>& work) {
  for (;;) {
    Status status = work();
    if (status.code() != StatusCode::kResourceExhausted) return status;
    const StatusOr<bool> given_up = GiveUpReserveBlock(fs);
    if (!given_up.ok() || !*given_up) return status;
  }
}

}  // namespace cairn
