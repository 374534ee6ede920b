// SPDX-License-Identifier: Apache-2.0
// What is known of packs and frames: the values that the store and the index share.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "core/base/blob.h"
#include "core/base/ids.h"

namespace cairn {

// Bits of PackInfo::content. Part of the format.
inline constexpr uint8_t kPackHasChunks = 1;
inline constexpr uint8_t kPackHasNodes = 2;
inline constexpr uint8_t kPackHasDeltas = 4;  // some frame has bases
inline constexpr uint8_t kPackHasParity = 8;  // NAME.par was made for it
inline constexpr uint8_t kPackContentMask = 15;

// A pack as the journal names it.
struct PackInfo {
  PackName name;
  uint64_t bytes = 0;  // of the whole file
  PackHash hash;
  SessionId session;  // who wrote it
  uint8_t content = 0;
  friend bool operator==(const PackInfo&, const PackInfo&) = default;
};

enum class PackState : uint8_t {
  kLive = 0,
  kCondemned = 1,  // still read; not found by writers; a commit may rescue it
  kPurged = 2,     // final: its file is, or will be, unlinked
};

enum class FrameCodec : uint8_t {
  kRaw = 0,   // stored as it is, because it did not shrink
  kZstd = 1,  // one zstd frame
};

// The first 16 bytes of a blob's id: how a delta frame names its bases.
using BaseId = std::array<uint8_t, 16>;
// BLAKE3 of the stored bytes, before they are sealed, cut to 16.
using FrameChecksum = std::array<uint8_t, 16>;

struct FrameInfo {
  uint64_t offset = 0;        // of the stored bytes in the pack
  uint32_t stored_bytes = 0;  // before they are sealed
  uint32_t raw_bytes = 0;
  FrameCodec codec = FrameCodec::kRaw;
  FrameChecksum checksum{};
  // Of blobs in plain frames: their content, one after another, is zstd's prefix. Empty: plain.
  std::vector<BaseId> bases;
  friend bool operator==(const FrameInfo&, const FrameInfo&) = default;
};

// Raw size at which a frame of chunks is closed: of a Linux source tree, 1 MiB stores 2 % more, and
// 4 MiB another 2 % less, but then half a millisecond more passes before a single file is there
// (1 MiB decodes in about 0.5 ms), and each thread's buffers double. Nodes are read one by one, so
// that a smaller frame (0.12 ms) pays.
inline constexpr uint32_t kChunkFrameBytes = 2 * kMiB;
inline constexpr uint32_t kNodeFrameBytes = 256 * kKiB;
// No frame is larger, raw; a reader allocates no more.
inline constexpr uint32_t kMaxFrameBytes = 4 * kMiB;
// Of a delta frame: the content of its bases together, and how many there are. With the frame's own
// bytes a prefix fits into the largest window.
inline constexpr uint32_t kMaxPrefixBytes = 4 * kMiB;
inline constexpr uint32_t kMaxFrameBases = 1024;

inline BaseId BaseIdOf(const BlobId& id) {
  BaseId base;
  std::copy_n(id.bytes.begin(), base.size(), base.begin());
  return base;
}

// A blob's place in its pack.
struct BlobInfo {
  BlobRef ref;
  uint32_t frame = 0;   // number of the frame in the pack, from 0
  uint32_t offset = 0;  // in the raw frame
  uint32_t bytes = 0;
  friend bool operator==(const BlobInfo&, const BlobInfo&) = default;
};

}  // namespace cairn
