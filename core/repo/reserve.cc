// SPDX-License-Identifier: Apache-2.0
#include "core/repo/reserve.h"

#include <memory>
#include <string>

#include "core/base/random.h"

namespace cairn {
namespace {

constexpr char kReserveName[] = "reserve";

Status Fill(FileSystem& fs) {
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, fs.CreateNew(kReserveName));
  // A file system that compresses would make nothing of zeros.
  Bytes block(static_cast<size_t>(1 * kMiB));
  FillRandom(block);
  for (uint64_t written = 0; written < kReserveBytes; written += block.size()) {
    RETURN_IF_ERROR(file->Append(block));
  }
  return file->Sync();
}

}  // namespace

Status EnsureReserve(FileSystem& fs) {
  const StatusOr<uint64_t> bytes = fs.FileSize(kReserveName);
  if (bytes.ok() && *bytes == kReserveBytes) return OkStatus();
  if (!bytes.ok() && bytes.status().code() != StatusCode::kNotFound) {
    return Annotate(bytes.status(), "look at the reserve");
  }
  ASSIGN_OR_RETURN(const uint64_t free, fs.FreeBytes());
  if (free < 2 * kReserveBytes) return OkStatus();
  // Cut short by a crash or a full disk, or another process is just making it: then there is none
  // until the next time, which is no harm.
  if (bytes.ok()) RETURN_IF_ERROR(GiveUpReserve(fs).status());
  const Status filled = Fill(fs);
  if (filled.ok() || filled.code() == StatusCode::kAlreadyExists) return OkStatus();
  fs.Unlink(kReserveName).IgnoreError();
  if (filled.code() == StatusCode::kResourceExhausted) return OkStatus();
  return Annotate(filled, "make the reserve");
}

StatusOr<bool> GiveUpReserve(FileSystem& fs) {
  const Status removed = fs.Unlink(kReserveName);
  if (removed.code() == StatusCode::kNotFound) return false;
  RETURN_IF_ERROR(Annotate(removed, "give up the reserve"));
  return true;
}

Status WithReserve(FileSystem& fs, const std::function<Status()>& work) {
  Status status = work();
  if (status.code() != StatusCode::kResourceExhausted) return status;
  const StatusOr<bool> given_up = GiveUpReserve(fs);
  if (!given_up.ok() || !*given_up) return status;
  return work();
}

}  // namespace cairn
