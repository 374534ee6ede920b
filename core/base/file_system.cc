// SPDX-License-Identifier: Apache-2.0
#include "core/base/file_system.h"

#include "absl/strings/str_format.h"

namespace cairn {

StatusOr<Bytes> ReadWholeFile(FileSystem& fs, const std::string& path, uint64_t max_bytes) {
  ASSIGN_OR_RETURN(const auto file, fs.OpenRead(path));
  ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  if (size > max_bytes) {
    return ResourceExhausted(absl::StrFormat(
        "read %s: it has %d bytes, more than the %d that it may have", path, size, max_bytes));
  }
  Bytes bytes(static_cast<size_t>(size));
  ASSIGN_OR_RETURN(const size_t got, file->ReadAt(0, bytes));
  bytes.resize(got);
  return bytes;
}

}  // namespace cairn
