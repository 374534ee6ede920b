// SPDX-License-Identifier: Apache-2.0
#include "core/store/twin_file.h"

#include <algorithm>
#include <memory>

#include "core/store/twin.h"

namespace cairn {
namespace {

// Sector by sector; NOT_FOUND if there is none that can be read.
StatusOr<Bytes> ReadWhatCanBeRead(ObjectStore& store, const std::string& name, uint64_t max_bytes) {
  ASSIGN_OR_RETURN(const uint64_t size, store.Size(name));
  Bytes file(std::min(size, max_bytes));
  bool anything = false;
  for (size_t offset = 0; offset < file.size(); offset += kTwinSectorBytes) {
    const MutableByteSpan sector =
        MutableByteSpan(file).subspan(offset, std::min(kTwinSectorBytes, file.size() - offset));
    const StatusOr<size_t> read = store.ReadAt(name, offset, sector);
    if (read.ok()) {
      anything = true;
    } else {
      std::ranges::fill(sector, uint8_t{0});
    }
  }
  if (!anything) return NotFound(name + ": nothing of it can be read");
  return file;
}

}  // namespace

StatusOr<Bytes> ReadTwinFile(ObjectStore& store, const std::string& name, uint64_t max_bytes) {
  StatusOr<Bytes> file = store.ReadAll(name, max_bytes);
  if (file.status().code() == StatusCode::kResourceExhausted) {
    return DataLoss(name + ": " + std::string(Message(file.status())));
  }
  if (file.status().code() != StatusCode::kUnavailable) return file;
  StatusOr<Bytes> parts = ReadWhatCanBeRead(store, name, max_bytes);
  return parts.ok() ? std::move(parts) : std::move(file);
}

bool IsLostObject(const Status& status) {
  return status.code() == StatusCode::kDataLoss || status.code() == StatusCode::kUnavailable;
}

Status ReplaceTwinFile(ObjectStore& store, const std::string& name, ByteSpan whole,
                       const SessionId& session) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ObjectWriter> writer,
                   store.CreateReplacement(name, session.Hex()));
  RETURN_IF_ERROR(writer->Append(whole));
  return writer->Commit();
}

}  // namespace cairn
