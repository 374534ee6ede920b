// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_content.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/unique_fd.h"
#include "core/tree/reader.h"

namespace cairn {
namespace {

constexpr uint64_t kBlockBytes = 4096;
constexpr size_t kBufferBytes = 256 * kKiB;
constexpr std::array<uint8_t, kBufferBytes> kZeros{};

bool IsZero(ByteSpan bytes) {
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Status Differs(uint64_t offset) {
  return DataLoss("what was written reads back differently, from byte " + std::to_string(offset));
}

// Fewer than asked for only at the end of the file.
StatusOr<size_t> ReadFully(int descriptor, uint64_t offset, MutableByteSpan out) {
  size_t got = 0;
  while (got < out.size()) {
    const ssize_t more = RetryOnEintr([&] {
      return ::pread(descriptor, out.data() + got, out.size() - got,
                     static_cast<off_t>(offset + got));
    });
    if (more < 0) return ErrnoError(errno, "read back", "the file");
    if (more == 0) break;
    got += static_cast<size_t>(more);
  }
  return got;
}

Status VerifyZeros(int descriptor, uint64_t offset, uint64_t bytes, Bytes& buffer) {
  const uint64_t end = offset + bytes;
  while (offset < end) {
    // What the file system knows to be a hole need not be read.
    const off_t data = ::lseek(descriptor, static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno == ENXIO) return OkStatus();
    if (data > 0) offset = std::max(offset, static_cast<uint64_t>(data));
    if (offset >= end) return OkStatus();
    buffer.resize(std::min<uint64_t>(kBufferBytes, end - offset));
    ASSIGN_OR_RETURN(const size_t got, ReadFully(descriptor, offset, buffer));
    if (got < buffer.size() || !IsZero(buffer)) return Differs(offset);
    offset += got;
  }
  return OkStatus();
}

}  // namespace

StatusOr<uint64_t> WritePiece(TargetFile& file, bool sparse, uint64_t offset, ByteSpan bytes) {
  if (!sparse) {
    RETURN_IF_ERROR(file.WriteAt(offset, bytes));
    return bytes.size();
  }
  uint64_t written = 0;
  size_t from = 0;  // what stands between `from` and `at` is to be written
  for (size_t at = 0; at < bytes.size();) {
    const uint64_t block_left = kBlockBytes - (offset + at) % kBlockBytes;
    const size_t part = std::min<uint64_t>(block_left, bytes.size() - at);
    if (IsZero(bytes.subspan(at, part))) {
      RETURN_IF_ERROR(file.WriteAt(offset + from, bytes.subspan(from, at - from)));
      written += at - from;
      from = at + part;
    }
    at += part;
  }
  RETURN_IF_ERROR(file.WriteAt(offset + from, bytes.subspan(from)));
  return written + bytes.size() - from;
}

StatusOr<uint64_t> WriteZeros(TargetFile& file, uint64_t offset, uint64_t bytes) {
  for (uint64_t done = 0; done < bytes;) {
    const size_t part = std::min<uint64_t>(kZeros.size(), bytes - done);
    RETURN_IF_ERROR(file.WriteAt(offset + done, ByteSpan(kZeros).first(part)));
    done += part;
  }
  return bytes;
}

Status VerifyContent(Repository& repository, const Entry& entry, int descriptor) {
  ContentReader items(repository, entry.content);
  Bytes buffer;
  uint64_t offset = 0;
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<ContentItem> item, items.Next());
    if (!item) break;
    if (item->zero) {
      RETURN_IF_ERROR(VerifyZeros(descriptor, offset, item->bytes, buffer));
    } else {
      buffer.resize(item->bytes);
      ASSIGN_OR_RETURN(const size_t got, ReadFully(descriptor, offset, buffer));
      if (got < buffer.size() ||
          !repository.VerifyBlob({BlobKind::kChunk, item->id}, buffer).ok()) {
        return Differs(offset);
      }
    }
    offset += item->bytes;
  }
  const off_t end = ::lseek(descriptor, 0, SEEK_END);
  if (end < 0) return ErrnoError(errno, "find the end of", "the file");
  if (static_cast<uint64_t>(end) != entry.size) return Differs(std::min<uint64_t>(end, entry.size));
  return OkStatus();
}

}  // namespace cairn
