// SPDX-License-Identifier: Apache-2.0
#include "core/store/frame.h"

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // XXH3 by the widest vectors that the processor has
#else
#include <xxhash.h>
#endif
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/profile.h"
#include "core/store/looks_random.h"

namespace cairn {
namespace {

constexpr int kMaxWindowLog = 23;  // 8 MiB
constexpr int kMinDeltaLevel = 3;
constexpr int kMaxSmallTablesLevel = 4;
// Who asks for more than the default has time to let zstd look for repetitions in what looks
// random.
constexpr int kMaxGuessLevel = 3;
// Of what a plain frame is guessed to take: below it, the guess need not be checked.
constexpr double kSurelyWorthwhile = 0.25;

struct FreeCCtx {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDCtx {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
using CompressorPtr = std::unique_ptr<ZSTD_CCtx, FreeCCtx>;

void Set(ZSTD_CCtx* context, ZSTD_cParameter parameter, int value) {
  CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(context, parameter, value)));
}

CompressorPtr NewCompressor(int level) {
  CompressorPtr compressor(ZSTD_createCCtx());
  CHECK(compressor != nullptr);
  Set(compressor.get(), ZSTD_c_compressionLevel, level);
  Set(compressor.get(), ZSTD_c_contentSizeFlag, 1);
  Set(compressor.get(), ZSTD_c_checksumFlag, 0);  // the stored bytes have one, each blob its hash
  Set(compressor.get(), ZSTD_c_dictIDFlag, 0);
  return compressor;
}

// For a frame that, with its prefix, has so many bytes: all of it within reach of the last byte,
// and tables that remember most of the prefix, which those of the lower levels do not.
void SetReach(ZSTD_CCtx* context, int level, size_t bytes) {
  const int window_log = std::clamp(static_cast<int>(std::bit_width(bytes - 1)), 10, kMaxWindowLog);
  Set(context, ZSTD_c_windowLog, window_log);
  if (level > kMaxSmallTablesLevel) return;
  const int hash_log = std::clamp(window_log - 2, 17, 20);
  Set(context, ZSTD_c_hashLog, hash_log);
  Set(context, ZSTD_c_chainLog, hash_log);
}

// The window that a zstd frame declares (RFC 8878, 3.1.1.1.2), in bytes; 0 where it is the content
// itself. zstd's own bound applies to streams alone, so that a frame which the format forbids would
// be decoded here and refused by another reader.
// REQUIRES: ZSTD_getFrameContentSize accepted the header.
uint64_t WindowBytes(ByteSpan stored) {
  constexpr size_t kDescriptor = 4;
  constexpr uint8_t kSingleSegment = 0x20;
  if ((stored[kDescriptor] & kSingleSegment) != 0) return 0;
  const uint8_t window = stored[kDescriptor + 1];
  const uint64_t base = uint64_t{1} << (10 + (window >> 3));
  return base + base / 8 * (window & 7);
}

Status CheckZstdHeader(ByteSpan stored, uint64_t raw_bytes) {
  // The library may know formats from before RFC 8878 too.
  if (Decoder(stored).Fixed32() != ZSTD_MAGICNUMBER) {
    return DataLoss("frame: its zstd magic is wrong");
  }
  if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != raw_bytes) {
    return DataLoss("frame: its zstd header does not state the raw size");
  }
  if (ZSTD_getDictID_fromFrame(stored.data(), stored.size()) != 0) {
    return DataLoss("frame: it asks for a dictionary");
  }
  if (WindowBytes(stored) > uint64_t{1} << kMaxWindowLog) {
    return DataLoss("frame: its window is larger than 8 MiB");
  }
  if (ZSTD_findFrameCompressedSize(stored.data(), stored.size()) != stored.size()) {
    return DataLoss("frame: not one whole zstd frame");
  }
  return OkStatus();
}

Status CheckFrame(const RawFrame& frame) {
  if (!frame.empty() && frame.raw.size() <= kMaxFrameBytes) return OkStatus();
  return Internal(absl::StrFormat("seal frame: %d blobs of %d bytes are no frame",
                                  frame.blobs.size(), frame.raw.size()));
}

// Room for so many bytes and hardly more, where a resize would double it; in steps, so that buffers
// which serve frames of about the same size are seldom exchanged.
void MakeRoom(Bytes& bytes, size_t size) {
  constexpr size_t kStep = 64 * kKiB;
  if (bytes.capacity() >= size) return;
  bytes = Bytes();
  bytes.reserve((size + kStep - 1) / kStep * kStep);
}

// Stored as it is if it did not shrink.
SealedFrame Plain(const RawFrame& frame, ByteSpan compressed) {
  SealedFrame sealed;
  const bool shrank = compressed.size() < frame.raw.size();
  sealed.info.codec = shrank ? FrameCodec::kZstd : FrameCodec::kRaw;
  const ByteSpan stored = shrank ? compressed : ByteSpan(frame.raw);
  sealed.stored.assign(stored.begin(), stored.end());
  return sealed;
}

// Whether `decoded` is what the frame's blobs were when they were added.
Status CheckSums(const RawFrame& frame, ByteSpan decoded) {
  uint64_t offset = 0;
  for (size_t i = 0; i < frame.blobs.size(); ++i) {
    const BlobInfo& blob = frame.blobs[i];
    if (blob.offset != offset || blob.bytes > decoded.size() - offset ||
        XXH3_64bits(decoded.data() + offset, blob.bytes) != frame.sums[i]) {
      return Internal(absl::StrFormat(
          "sealed frame is wrong: %s %s does not decode to what it was (bad memory, or a bug)",
          BlobKindName(blob.ref.kind), blob.ref.id.Hex()));
    }
    offset += blob.bytes;
  }
  return offset == decoded.size() ? OkStatus() : Internal("sealed frame has bytes of no blob");
}

}  // namespace

void RawFrame::Add(const BlobRef& ref, ByteSpan bytes) {
  blobs.push_back({.ref = ref,
                   .frame = 0,
                   .offset = static_cast<uint32_t>(raw.size()),
                   .bytes = static_cast<uint32_t>(bytes.size())});
  sums.push_back(XXH3_64bits(bytes.data(), bytes.size()));
  Append(raw, bytes);
}

RawFrame RawFrame::TakeTail(size_t first) {
  RawFrame tail;
  if (first == blobs.size()) return tail;
  const uint32_t start = blobs[first].offset;
  tail.raw.assign(raw.begin() + start, raw.end());
  tail.blobs.assign(blobs.begin() + static_cast<ptrdiff_t>(first), blobs.end());
  for (BlobInfo& blob : tail.blobs) blob.offset -= start;
  tail.sums.assign(sums.begin() + static_cast<ptrdiff_t>(first), sums.end());
  raw.resize(start);
  blobs.resize(first);
  sums.resize(first);
  return tail;
}

void RawFrame::Clear() {
  raw.clear();
  blobs.clear();
  sums.clear();
}

FrameChecksum ChecksumFrame(ByteSpan stored) {
  const Hash256 hash = Blake3Hash(stored);
  FrameChecksum checksum;
  std::copy_n(hash.begin(), checksum.size(), checksum.begin());
  return checksum;
}

struct FrameCodecContext::State {
  explicit State(int compression_level)
      : level(compression_level),
        compressor(NewCompressor(compression_level)),
        decompressor(ZSTD_createDCtx()) {
    CHECK(decompressor != nullptr);
    CHECK(!ZSTD_isError(
        ZSTD_DCtx_setParameter(decompressor.get(), ZSTD_d_windowLogMax, kMaxWindowLog)));
  }

  // The outcome is valid until the next call, or as long as `raw`.
  StatusOr<ByteSpan> Compress(ByteSpan raw, ByteSpan prefix);
  Status Decompress(const FrameInfo& info, ByteSpan stored, ByteSpan prefix, Bytes& raw);

  const int level;
  const CompressorPtr compressor;
  CompressorPtr delta_compressor;  // made when it is needed
  std::unique_ptr<ZSTD_DCtx, FreeDCtx> decompressor;
  Bytes compressed;  // by Compress
  Bytes decoded;     // by Finish, to verify
};

// Against `prefix`, unless that is empty; then what would not shrink may be returned as it is.
StatusOr<ByteSpan> FrameCodecContext::State::Compress(ByteSpan raw, ByteSpan prefix) {
  const StageTimer timer(Stage::kCompress);
  if (prefix.empty() && level <= kMaxGuessLevel && LooksRandom(raw)) return raw;
  ZSTD_CCtx* context = compressor.get();
  if (!prefix.empty()) {
    if (delta_compressor == nullptr) {
      delta_compressor = NewCompressor(std::max(level, kMinDeltaLevel));
    }
    context = delta_compressor.get();
    SetReach(context, level, raw.size() + prefix.size());
    CHECK(!ZSTD_isError(ZSTD_CCtx_refPrefix(context, prefix.data(), prefix.size())));
  }
  compressed.resize(ZSTD_compressBound(raw.size()));
  const size_t size =
      ZSTD_compress2(context, compressed.data(), compressed.size(), raw.data(), raw.size());
  if (ZSTD_isError(size)) {
    return Internal(absl::StrFormat("compress frame: %s", ZSTD_getErrorName(size)));
  }
  return ByteSpan(compressed).first(size);
}

Status FrameCodecContext::State::Decompress(const FrameInfo& info, ByteSpan stored, ByteSpan prefix,
                                            Bytes& raw) {
  const StageTimer timer(Stage::kDecompress);
  RETURN_IF_ERROR(CheckZstdHeader(stored, info.raw_bytes));
  MakeRoom(raw, info.raw_bytes);
  raw.resize(info.raw_bytes);
  ZSTD_DCtx* const context = decompressor.get();
  // For the one call that follows.
  CHECK(!ZSTD_isError(ZSTD_DCtx_refPrefix(context, prefix.data(), prefix.size())));
  const size_t size =
      ZSTD_decompressDCtx(context, raw.data(), raw.size(), stored.data(), stored.size());
  // An error is no size that a frame has; and zstd itself sees that it is the one in the header.
  if (size != info.raw_bytes) {
    return DataLoss(absl::StrFormat("frame: zstd: %s", ZSTD_getErrorName(size)));
  }
  return OkStatus();
}

FrameCodecContext::FrameCodecContext(int compression_level)
    : state_(std::make_unique<State>(compression_level)) {}
FrameCodecContext::FrameCodecContext(FrameCodecContext&&) noexcept = default;
FrameCodecContext& FrameCodecContext::operator=(FrameCodecContext&&) noexcept = default;
FrameCodecContext::~FrameCodecContext() = default;

StatusOr<SealedFrame> FrameCodecContext::Seal(const RawFrame& frame) {
  RETURN_IF_ERROR(CheckFrame(frame));
  ASSIGN_OR_RETURN(const ByteSpan compressed, state_->Compress(frame.raw, {}));
  return Finish(frame, Plain(frame, compressed), {});
}

StatusOr<SealedFrame> FrameCodecContext::SealDelta(const RawFrame& frame, const FramePrefix& prefix,
                                                   double plain_share) {
  RETURN_IF_ERROR(CheckFrame(frame));
  if (prefix.bytes.empty()) return Seal(frame);
  if (prefix.bytes.size() > kMaxPrefixBytes || prefix.bases.size() > kMaxFrameBases) {
    return Internal(absl::StrFormat("seal frame: %d bases of %d bytes are no prefix",
                                    prefix.bases.size(), prefix.bytes.size()));
  }
  ASSIGN_OR_RETURN(const ByteSpan compressed_delta, state_->Compress(frame.raw, prefix.bytes));
  Bytes delta(compressed_delta.begin(), compressed_delta.end());
  const auto cost = static_cast<double>(delta.size() + prefix.bases.size() * sizeof(BaseId));
  const double plain_guess = std::min(plain_share, 1.0) * static_cast<double>(frame.raw.size());
  if (cost >= kSurelyWorthwhile * plain_guess) {
    ASSIGN_OR_RETURN(const ByteSpan compressed, state_->Compress(frame.raw, {}));
    SealedFrame plain = Plain(frame, compressed);
    if (cost >= kWorthwhileDelta * static_cast<double>(plain.stored.size())) {
      return Finish(frame, std::move(plain), {});
    }
  }
  SealedFrame sealed;
  sealed.info.codec = FrameCodec::kZstd;
  sealed.info.bases = prefix.bases;
  sealed.stored = std::move(delta);
  return Finish(frame, std::move(sealed), prefix.bytes);
}

// Fills in the rest, and sees that it decodes to what it was made of.
StatusOr<SealedFrame> FrameCodecContext::Finish(const RawFrame& frame, SealedFrame sealed,
                                                ByteSpan prefix) {
  const StageTimer timer(Stage::kVerify);
  sealed.info.stored_bytes = static_cast<uint32_t>(sealed.stored.size());
  sealed.info.raw_bytes = static_cast<uint32_t>(frame.raw.size());
  sealed.info.checksum = ChecksumFrame(sealed.stored);
  sealed.blobs = frame.blobs;

  ByteSpan decoded = sealed.stored;
  if (sealed.info.codec != FrameCodec::kRaw) {
    const Status decodes = state_->Decompress(sealed.info, sealed.stored, prefix, state_->decoded);
    if (!decodes.ok()) {
      return Internal(absl::StrFormat("sealed frame does not decode: %s", decodes.ToString()));
    }
    decoded = state_->decoded;
  }
  RETURN_IF_ERROR(CheckSums(frame, decoded));
  return sealed;
}

Status FrameCodecContext::Decode(const FrameInfo& info, ByteSpan stored, ByteSpan prefix,
                                 Bytes& raw) {
  if (info.bases.empty() != prefix.empty() || prefix.size() > kMaxPrefixBytes) {
    return DataLoss("frame: the content of its bases is not what it can be");
  }
  if (info.raw_bytes > kMaxFrameBytes) return DataLoss("frame: raw size is over 4 MiB");
  if (stored.size() != info.stored_bytes) return DataLoss("frame: cut short");
  if (ChecksumFrame(stored) != info.checksum) return DataLoss("frame: checksum does not match");
  switch (info.codec) {
    case FrameCodec::kRaw:
      if (stored.size() != info.raw_bytes) return DataLoss("frame: raw size is wrong");
      if (!prefix.empty()) return DataLoss("frame: stored raw, and has bases");
      raw.assign(stored.begin(), stored.end());
      return OkStatus();
    case FrameCodec::kZstd:
      break;
    default:
      return DataLoss("frame: unknown codec");
  }
  return state_->Decompress(info, stored, prefix, raw);
}

}  // namespace cairn
