// SPDX-License-Identifier: Apache-2.0
// Frames: neighbouring blobs compressed together. A frame is decoded again and every blob compared
// with a checksum of what was put in before anybody may write it: bad memory and compressor bugs
// have destroyed the backups of others. XXH3 (Collet, 2019) does for that, at a tenth of the price
// of hashing again: chance makes errors here, and nobody else.
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
  std::vector<uint64_t> sums;   // XXH3 of each blob, as it was added
  // `bytes` are those that `ref` is the hash of: to be added soon after it was taken.
  void Add(const BlobRef& ref, ByteSpan bytes);
  // The blobs from number `first` on, which leave this frame.
  RawFrame TakeTail(size_t first);
  void Clear();  // keeps the memory
  bool empty() const { return blobs.empty(); }
};

struct SealedFrame {
  FrameInfo info;  // offset is not set yet
  Bytes stored;
  std::vector<BlobInfo> blobs;
};

// What a delta frame is compressed against, and decoded with.
struct FramePrefix {
  std::vector<BaseId> bases;
  Bytes bytes;  // their content, one after another
};

FrameChecksum ChecksumFrame(ByteSpan stored);

// One for each thread: owns zstd contexts and buffers, which are reused. Thread-compatible.
class FrameCodecContext {
 public:
  explicit FrameCodecContext(int compression_level);
  FrameCodecContext(FrameCodecContext&&) noexcept;
  FrameCodecContext& operator=(FrameCodecContext&&) noexcept;
  ~FrameCodecContext();

  // Compresses (or stores raw, if it does not shrink), decodes again, compares every blob's sum.
  // INTERNAL if they differ: nothing may be written then.
  StatusOr<SealedFrame> Seal(const RawFrame& frame);
  // As Seal, but a delta against `prefix` where that takes less than kWorthwhileDelta of what the
  // plain frame does. `plain_share` is what such data takes in plain frames, of its raw size: far
  // below it the plain frame need not be made. Compresses at level 3 at least: below it zstd hardly
  // finds what a prefix has.
  StatusOr<SealedFrame> SealDelta(const RawFrame& frame, const FramePrefix& prefix,
                                  double plain_share);
  static constexpr double kWorthwhileDelta = 0.6;

  // Decodes `stored` into `raw`, which becomes info.raw_bytes long. DATA_LOSS if the checksum, the
  // size or the compressed data is wrong. Never allocates more than kMaxFrameBytes; the window is
  // bounded by 8 MiB.
  Status Decode(const FrameInfo& info, ByteSpan stored, Bytes& raw) {
    return Decode(info, stored, {}, raw);
  }
  // `prefix` is the content of info.bases; empty if, and only if, there are none. Where it is wrong
  // the outcome is DATA_LOSS or wrong bytes: the blobs' hashes tell.
  Status Decode(const FrameInfo& info, ByteSpan stored, ByteSpan prefix, Bytes& raw);

 private:
  struct State;

  StatusOr<SealedFrame> Finish(const RawFrame& frame, SealedFrame sealed, ByteSpan prefix);

  std::unique_ptr<State> state_;
};

}  // namespace cairn
