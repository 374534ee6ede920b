// SPDX-License-Identifier: Apache-2.0
// The bytes of a pack's header and footer (docs/format.md, "Packs"); pack.cc does the I/O.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "core/base/coding.h"
#include "core/store/features.h"
#include "core/store/pack.h"

namespace cairn {
namespace {

constexpr uint32_t kPackVersion = 1;
constexpr std::string_view kHeaderMagic = "CAIRNPAK";
constexpr size_t kHeaderRoomBytes = 63;  // for a wrapped pack key
// The least that a frame and a blob take up, which bounds what their counts may claim.
constexpr size_t kMinFrameBytes = 20;
constexpr size_t kMinBlobBytes = 2;

bool AllZeros(ByteSpan bytes) {
  return std::ranges::all_of(bytes, [](uint8_t byte) { return byte == 0; });
}

// `bases` gets their number; the ids come later.
FrameInfo DecodeFrameInfo(Decoder& decoder, uint64_t offset, uint32_t& bases) {
  FrameInfo frame;
  frame.offset = offset;
  frame.stored_bytes = static_cast<uint32_t>(decoder.VarintUpTo(kMaxFrameBytes));
  frame.raw_bytes = static_cast<uint32_t>(decoder.VarintUpTo(kMaxFrameBytes));
  const uint8_t codec = decoder.Fixed8();
  bases = static_cast<uint32_t>(decoder.VarintUpTo(kMaxFrameBases));
  std::ranges::copy(decoder.Raw(frame.checksum.size()), frame.checksum.begin());
  if (codec == static_cast<uint8_t>(FrameCodec::kZstd)) {
    frame.codec = FrameCodec::kZstd;
    if (frame.stored_bytes >= frame.raw_bytes) decoder.Fail("a compressed frame did not shrink");
  } else if (codec == static_cast<uint8_t>(FrameCodec::kRaw)) {
    if (frame.stored_bytes != frame.raw_bytes) decoder.Fail("a raw frame's sizes differ");
    if (bases != 0) decoder.Fail("a raw frame has bases");
  } else {
    decoder.Fail("unknown codec of a frame");
  }
  return frame;
}

// The blobs of frame `number`; ids come later.
void DecodeBlobPlaces(Decoder& decoder, const FrameInfo& frame, uint32_t number,
                      std::vector<BlobInfo>& blobs) {
  const size_t count = decoder.Count(kMinBlobBytes);
  if (count == 0) decoder.Fail("a frame has no blobs");
  uint32_t offset = 0;
  for (size_t i = 0; i < count && decoder.ok(); ++i) {
    const uint8_t kind = decoder.Fixed8();
    if (!IsBlobKind(kind)) decoder.Fail("unknown kind of a blob");
    const auto bytes = static_cast<uint32_t>(decoder.VarintUpTo(frame.raw_bytes - offset));
    blobs.push_back({.ref = {.kind = static_cast<BlobKind>(kind), .id = {}},
                     .frame = number,
                     .offset = offset,
                     .bytes = bytes});
    offset += bytes;
  }
  if (offset != frame.raw_bytes) decoder.Fail("blobs do not add up to their frame");
}

}  // namespace

Bytes EncodePackHeader(const PackHeader& header) {
  Bytes bytes;
  bytes.reserve(kPackHeaderBytes);
  Encoder encoder(bytes);
  encoder.Raw(AsBytes(kHeaderMagic));
  encoder.Fixed32(kPackVersion);
  encoder.Fixed32(FeaturesOf(header.content) | (header.sealed ? kFeatureSealed : 0));
  encoder.Raw(header.repository.span());
  encoder.Raw(header.name.span());
  encoder.Raw(header.session.span());
  encoder.Fixed8(header.content);
  bytes.resize(kPackHeaderBytes);
  return bytes;
}

StatusOr<PackHeader> DecodePackHeader(ByteSpan bytes) {
  Decoder decoder(bytes);
  if (!std::ranges::equal(decoder.Raw(kHeaderMagic.size()), AsBytes(kHeaderMagic))) {
    return DataLoss("pack header: its magic is wrong");
  }
  const uint32_t version = decoder.Fixed32();
  const uint32_t flags = decoder.Fixed32();
  if (decoder.ok() && version != kPackVersion) {
    return Unimplemented(absl::StrFormat(
        "pack header: format version %d, and this program knows version %d only: use a newer "
        "version of cairn",
        version, kPackVersion));
  }
  if (const uint32_t unknown = flags & ~kKnownFeatures; decoder.ok() && unknown != 0) {
    return Unimplemented(absl::StrFormat(
        "pack header: feature flags 0x%x are unknown: use a newer version of cairn", unknown));
  }
  PackHeader header;
  header.sealed = (flags & kFeatureSealed) != 0;
  header.repository = decoder.ReadId<RepositoryId>();
  header.name = decoder.ReadId<PackName>();
  header.session = decoder.ReadId<SessionId>();
  header.content = decoder.Fixed8();
  if (header.content > kPackContentMask) decoder.Fail("unknown kind of content");
  if ((flags & ~kFeatureSealed) != FeaturesOf(header.content))
    decoder.Fail("feature flags contradict the content");
  if (!AllZeros(decoder.Raw(kHeaderRoomBytes))) decoder.Fail("reserved bytes are not zeros");
  RETURN_IF_ERROR(decoder.Finish("pack header"));
  return header;
}

bool HasDeltas(const PackFooter& footer) {
  return std::ranges::any_of(footer.frames,
                             [](const FrameInfo& frame) { return !frame.bases.empty(); });
}

Bytes EncodePackFooter(const PackFooter& footer) {
  Bytes bytes;
  Encoder encoder(bytes);
  encoder.Varint(footer.frames.size());
  for (const FrameInfo& frame : footer.frames) {
    encoder.Varint(frame.stored_bytes);
    encoder.Varint(frame.raw_bytes);
    encoder.Fixed8(static_cast<uint8_t>(frame.codec));
    encoder.Varint(frame.bases.size());
    encoder.Raw(frame.checksum);
  }
  Bytes section;
  Encoder places(section);
  auto blob = footer.blobs.begin();
  for (uint32_t number = 0; number < footer.frames.size(); ++number) {
    const auto end = std::find_if(blob, footer.blobs.end(),
                                  [number](const BlobInfo& b) { return b.frame != number; });
    places.Varint(static_cast<uint64_t>(end - blob));
    for (; blob != end; ++blob) {
      places.Fixed8(static_cast<uint8_t>(blob->ref.kind));
      places.Varint(blob->bytes);
    }
  }
  // Of megabytes, which would otherwise be moved as they grow.
  bytes.reserve(bytes.size() + section.size() + 16 + footer.blobs.size() * BlobId::kBytes);
  encoder.String(section);
  for (const BlobInfo& each : footer.blobs) encoder.Raw(each.ref.id.span());
  for (const FrameInfo& frame : footer.frames) {
    for (const BaseId& base : frame.bases) encoder.Raw(base);
  }
  return bytes;
}

StatusOr<PackFooter> DecodePackFooter(ByteSpan bytes, size_t seal_bytes) {
  Decoder decoder(bytes);
  PackFooter footer;
  std::vector<uint32_t> bases;  // by frame
  uint64_t offset = kPackHeaderBytes;
  const size_t frames = decoder.Count(kMinFrameBytes);
  footer.frames.reserve(frames);
  for (size_t i = 0; i < frames && decoder.ok(); ++i) {
    footer.frames.push_back(DecodeFrameInfo(decoder, offset, bases.emplace_back()));
    offset += footer.frames.back().stored_bytes + seal_bytes;
    if (offset > kMaxPackBytes) decoder.Fail("frames are larger than a pack may be");
  }
  const ByteSpan section = decoder.String(decoder.remaining());
  RETURN_IF_ERROR(decoder.status("pack footer"));

  Decoder places(section);
  footer.blobs.reserve(decoder.remaining() / BlobId::kBytes);
  for (uint32_t number = 0; number < footer.frames.size() && places.ok(); ++number) {
    DecodeBlobPlaces(places, footer.frames[number], number, footer.blobs);
  }
  RETURN_IF_ERROR(places.Finish("pack footer"));
  for (BlobInfo& blob : footer.blobs) blob.ref.id = decoder.ReadId<BlobId>();
  for (size_t i = 0; i < bases.size() && decoder.ok(); ++i) {
    const ByteSpan ids = decoder.Raw(bases[i] * sizeof(BaseId));
    footer.frames[i].bases.resize(ids.size() / sizeof(BaseId));
    for (size_t base = 0; base < footer.frames[i].bases.size(); ++base) {
      std::ranges::copy(ids.subspan(base * sizeof(BaseId), sizeof(BaseId)),
                        footer.frames[i].bases[base].begin());
    }
  }
  RETURN_IF_ERROR(decoder.Finish("pack footer"));
  return footer;
}

}  // namespace cairn
