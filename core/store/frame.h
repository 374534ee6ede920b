// SPDX-License-Identifier: Apache-2.0
// Frames: neighbouring blobs compressed together. A frame is decoded again and every blob's hash is
// compared before anybody may write it: bad memory and compressor bugs have destroyed the backups
// of others.
#pragma once

#include <memory>
#include <vector>

#include "core/base/blob.h"
#include "core/base/bytes.h"
#include "core/base/pack.h"
#include "core/base/status.h"

namespace cairn {

// Blobs on their way into one frame. Thread-compatible.
struct RawFrame {
  Bytes raw;                    // the blobs, one after another
  std::vector<BlobInfo> blobs;  // `frame` is not set yet
  void Add(const BlobRef& ref, ByteSpan bytes);
  void Clear();  // keeps the memory
  bool empty() const { return blobs.empty(); }
};

struct SealedFrame {
  FrameInfo info;  // offset is not set yet
  Bytes stored;
  std::vector<BlobInfo> blobs;
};

FrameChecksum ChecksumFrame(ByteSpan stored);

// One for each thread: owns zstd contexts and buffers, which are reused. Thread-compatible.
class FrameCodecContext {
 public:
  explicit FrameCodecContext(int compression_level);
  FrameCodecContext(FrameCodecContext&&) noexcept;
  FrameCodecContext& operator=(FrameCodecContext&&) noexcept;
  ~FrameCodecContext();

  // Compresses (or stores raw, if it does not shrink), decodes again, compares every blob's hash.
  // INTERNAL if they differ: nothing may be written then.
  StatusOr<SealedFrame> Seal(const RawFrame& frame, const BlobHasher& hasher);

  // Decodes `stored` into `raw`, which becomes info.raw_bytes long. DATA_LOSS if the checksum, the
  // size or the compressed data is wrong. Never allocates more than kMaxFrameBytes; the window is
  // bounded by 8 MiB.
  Status Decode(const FrameInfo& info, ByteSpan stored, Bytes& raw);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cairn
