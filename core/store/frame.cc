// SPDX-License-Identifier: Apache-2.0
#include "core/store/frame.h"

#include <zstd.h>

#include <algorithm>

#include "absl/strings/str_format.h"
#include "core/base/check.h"

namespace cairn {
namespace {

constexpr int kMaxWindowLog = 23;  // 8 MiB

struct FreeCCtx {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDCtx {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

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

}  // namespace

void RawFrame::Add(const BlobRef& ref, ByteSpan bytes) {
  blobs.push_back({.ref = ref,
                   .frame = 0,
                   .offset = static_cast<uint32_t>(raw.size()),
                   .bytes = static_cast<uint32_t>(bytes.size())});
  Append(raw, bytes);
}

void RawFrame::Clear() {
  raw.clear();
  blobs.clear();
}

FrameChecksum ChecksumFrame(ByteSpan stored) {
  const Hash256 hash = Blake3Hash(stored);
  FrameChecksum checksum;
  std::copy_n(hash.begin(), checksum.size(), checksum.begin());
  return checksum;
}

struct FrameCodecContext::State {
  explicit State(int level) : compressor(ZSTD_createCCtx()), decompressor(ZSTD_createDCtx()) {
    CHECK(compressor != nullptr && decompressor != nullptr);
    Set(ZSTD_c_compressionLevel, level);
    Set(ZSTD_c_contentSizeFlag, 1);
    Set(ZSTD_c_checksumFlag, 0);  // the stored bytes have a checksum, each blob its hash
    Set(ZSTD_c_dictIDFlag, 0);
    CHECK(!ZSTD_isError(
        ZSTD_DCtx_setParameter(decompressor.get(), ZSTD_d_windowLogMax, kMaxWindowLog)));
  }

  void Set(ZSTD_cParameter parameter, int value) {
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(compressor.get(), parameter, value)));
  }

  std::unique_ptr<ZSTD_CCtx, FreeCCtx> compressor;
  std::unique_ptr<ZSTD_DCtx, FreeDCtx> decompressor;
  Bytes compressed;  // by Seal
  Bytes decoded;     // by Seal, to verify
};

FrameCodecContext::FrameCodecContext(int compression_level)
    : state_(std::make_unique<State>(compression_level)) {}
FrameCodecContext::FrameCodecContext(FrameCodecContext&&) noexcept = default;
FrameCodecContext& FrameCodecContext::operator=(FrameCodecContext&&) noexcept = default;
FrameCodecContext::~FrameCodecContext() = default;

StatusOr<SealedFrame> FrameCodecContext::Seal(const RawFrame& frame, const BlobHasher& hasher) {
  if (frame.empty() || frame.raw.size() > kMaxFrameBytes) {
    return Internal(absl::StrFormat("seal frame: %d blobs of %d bytes are no frame",
                                    frame.blobs.size(), frame.raw.size()));
  }
  Bytes& compressed = state_->compressed;
  compressed.resize(ZSTD_compressBound(frame.raw.size()));
  const size_t size = ZSTD_compress2(state_->compressor.get(), compressed.data(), compressed.size(),
                                     frame.raw.data(), frame.raw.size());
  if (ZSTD_isError(size)) {
    return Internal(absl::StrFormat("compress frame: %s", ZSTD_getErrorName(size)));
  }

  SealedFrame sealed;
  if (size < frame.raw.size()) {
    sealed.info.codec = FrameCodec::kZstd;
    sealed.stored.assign(compressed.data(), compressed.data() + size);
  } else {
    sealed.info.codec = FrameCodec::kRaw;
    sealed.stored = frame.raw;
  }
  sealed.info.stored_bytes = static_cast<uint32_t>(sealed.stored.size());
  sealed.info.raw_bytes = static_cast<uint32_t>(frame.raw.size());
  sealed.info.checksum = ChecksumFrame(sealed.stored);
  sealed.blobs = frame.blobs;

  const Status decodes = Decode(sealed.info, sealed.stored, state_->decoded);
  if (!decodes.ok()) {
    return Internal(absl::StrFormat("sealed frame does not decode: %s", decodes.ToString()));
  }
  uint64_t offset = 0;
  for (const BlobInfo& blob : sealed.blobs) {
    const ByteSpan decoded(state_->decoded);
    if (blob.offset != offset || blob.bytes > decoded.size() - offset ||
        hasher.Hash(blob.ref.kind, decoded.subspan(blob.offset, blob.bytes)) != blob.ref.id) {
      return Internal(absl::StrFormat(
          "sealed frame is wrong: %s %s does not decode to bytes of its id (bad memory, or a bug)",
          BlobKindName(blob.ref.kind), blob.ref.id.Hex()));
    }
    offset += blob.bytes;
  }
  if (offset != state_->decoded.size()) return Internal("sealed frame has bytes of no blob");
  return sealed;
}

Status FrameCodecContext::Decode(const FrameInfo& info, ByteSpan stored, Bytes& raw) {
  if (!info.bases.empty()) {
    return Unimplemented("frame with bases (delta): use a newer version of cairn");
  }
  if (info.raw_bytes > kMaxFrameBytes) return DataLoss("frame: raw size is over 4 MiB");
  if (stored.size() != info.stored_bytes) return DataLoss("frame: cut short");
  if (ChecksumFrame(stored) != info.checksum) return DataLoss("frame: checksum does not match");
  switch (info.codec) {
    case FrameCodec::kRaw:
      if (stored.size() != info.raw_bytes) return DataLoss("frame: raw size is wrong");
      raw.assign(stored.begin(), stored.end());
      return OkStatus();
    case FrameCodec::kZstd:
      break;
    default:
      return DataLoss("frame: unknown codec");
  }
  RETURN_IF_ERROR(CheckZstdHeader(stored, info.raw_bytes));
  raw.resize(info.raw_bytes);
  const size_t size = ZSTD_decompressDCtx(state_->decompressor.get(), raw.data(), raw.size(),
                                          stored.data(), stored.size());
  if (ZSTD_isError(size)) {
    return DataLoss(absl::StrFormat("frame: zstd: %s", ZSTD_getErrorName(size)));
  }
  if (size != info.raw_bytes) return DataLoss("frame: raw size is wrong");
  return OkStatus();
}

}  // namespace cairn
