// SPDX-License-Identifier: Apache-2.0
#include "core/store/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <functional>
#include <optional>
#include <utility>

#include "tests/store/store_data.h"

namespace cairn {
namespace {

// While it lives, a compressor with a fault: `damage` changes what zstd has put out, in this
// thread, and returns its size. The linker puts __wrap_ZSTD_compress2 in zstd's place
// (CMakeLists.txt).
class FaultyCompressor {
 public:
  using Damage = std::function<size_t(MutableByteSpan out)>;
  explicit FaultyCompressor(Damage damage) : damage_(std::move(damage)) { current_ = this; }
  ~FaultyCompressor() { current_ = nullptr; }

  static size_t PassOn(void* out, size_t size) {
    if (current_ == nullptr || ZSTD_isError(size)) return size;
    return current_->damage_({static_cast<uint8_t*>(out), size});
  }

 private:
  static thread_local FaultyCompressor* current_;
  const Damage damage_;
};

thread_local FaultyCompressor* FaultyCompressor::current_ = nullptr;

}  // namespace
}  // namespace cairn

extern "C" {
size_t __real_ZSTD_compress2(ZSTD_CCtx* context, void* out, size_t room, const void* raw,
                             size_t size);
size_t __wrap_ZSTD_compress2(ZSTD_CCtx* context, void* out, size_t room, const void* raw,
                             size_t size) {
  return cairn::FaultyCompressor::PassOn(out, __real_ZSTD_compress2(context, out, room, raw, size));
}
}

namespace cairn {
namespace {

using ::cairn::testing::AddBlob;
using ::cairn::testing::SealOf;
using ::cairn::testing::StatusIs;
using ::cairn::testing::TestNoise;
using ::cairn::testing::TestText;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A frame as a writer of another kind might make it: zstd's own bytes, with the right checksum.
FrameInfo InfoOf(const Bytes& stored, size_t raw_bytes) {
  return {.stored_bytes = static_cast<uint32_t>(stored.size()),
          .raw_bytes = static_cast<uint32_t>(raw_bytes),
          .codec = FrameCodec::kZstd,
          .checksum = ChecksumFrame(stored),
          .bases = {}};
}

Bytes Compress(const Bytes& raw, const std::function<void(ZSTD_CCtx*)>& setup) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  setup(context);
  Bytes out(ZSTD_compressBound(raw.size()));
  const size_t size = ZSTD_compress2(context, out.data(), out.size(), raw.data(), raw.size());
  EXPECT_FALSE(ZSTD_isError(size));
  out.resize(size);
  ZSTD_freeCCtx(context);
  return out;
}

TEST(FrameTest, DecodesToWhatWasSealed) {
  for (const int level : {-7, 1, 3, 19}) {
    RawFrame frame;
    AddBlob(frame, BlobKind::kChunk, TestText(20'000, 3));
    AddBlob(frame, BlobKind::kTree, TestText(500, 5));
    AddBlob(frame, BlobKind::kChunk, Bytes());
    AddBlob(frame, BlobKind::kChunk, TestText(70'000, 7));
    FrameCodecContext codec(level);
    ASSERT_OK_AND_ASSIGN(const SealedFrame sealed, codec.Seal(frame));
    EXPECT_EQ(sealed.info.codec, FrameCodec::kZstd);
    EXPECT_LT(sealed.stored.size(), frame.raw.size());
    EXPECT_EQ(sealed.info.stored_bytes, sealed.stored.size());
    EXPECT_EQ(sealed.info.raw_bytes, frame.raw.size());
    EXPECT_EQ(sealed.blobs, frame.blobs);
    Bytes raw;
    ASSERT_OK(FrameCodecContext(3).Decode(sealed.info, sealed.stored, raw));
    EXPECT_EQ(raw, frame.raw);
  }
}

TEST(FrameTest, StoresRawWhatDoesNotShrink) {
  const SealedFrame sealed = SealOf({TestNoise(50'000, 1)});
  EXPECT_EQ(sealed.info.codec, FrameCodec::kRaw);
  EXPECT_EQ(sealed.stored, TestNoise(50'000, 1));
  Bytes raw;
  ASSERT_OK(FrameCodecContext(3).Decode(sealed.info, sealed.stored, raw));
  EXPECT_EQ(raw, sealed.stored);
}

TEST(FrameTest, EqualFramesSealToEqualBytes) {
  FrameCodecContext codec(3);
  RawFrame frame;
  AddBlob(frame, BlobKind::kChunk, TestText(300'000, 3));
  ASSERT_OK_AND_ASSIGN(const SealedFrame first, codec.Seal(frame));
  RawFrame other;
  AddBlob(other, BlobKind::kChunk, TestText(100'000, 5));
  ASSERT_OK(codec.Seal(other).status());
  ASSERT_OK_AND_ASSIGN(const SealedFrame again, codec.Seal(frame));
  EXPECT_EQ(first.stored, again.stored);
}

TEST(FrameTest, TriesToCompressWhatLooksRandomOnlyAboveTheDefaultLevel) {
  RawFrame frame;
  for (int i = 0; i < 2; ++i) AddBlob(frame, BlobKind::kChunk, TestNoise(100'000, 1));
  for (const int level : {-5, 1, 3}) {
    ASSERT_OK_AND_ASSIGN(const SealedFrame sealed, FrameCodecContext(level).Seal(frame));
    EXPECT_EQ(sealed.info.codec, FrameCodec::kRaw) << level;
  }
  ASSERT_OK_AND_ASSIGN(const SealedFrame sealed, FrameCodecContext(4).Seal(frame));
  EXPECT_EQ(sealed.info.codec, FrameCodec::kZstd);
  EXPECT_LT(sealed.stored.size(), 110'000U);
}

TEST(FrameTest, RefusesToSealBytesThatAreNotTheirIds) {
  RawFrame frame;
  AddBlob(frame, BlobKind::kChunk, TestText(1000, 3));
  AddBlob(frame, BlobKind::kChunk, TestText(1000, 5));
  frame.raw[1500] ^= 1;  // as bad memory would, after the hash was taken
  FrameCodecContext codec(3);
  EXPECT_THAT(codec.Seal(frame),
              StatusIs(StatusCode::kInternal, HasSubstr(frame.blobs[1].ref.id.Hex())));
}

TEST(FrameTest, RefusesToSealBlobsThatDoNotCoverTheFrame) {
  FrameCodecContext codec(3);
  RawFrame gap;
  AddBlob(gap, BlobKind::kChunk, TestText(1000, 3));
  gap.raw.push_back(0);
  EXPECT_THAT(codec.Seal(gap), StatusIs(StatusCode::kInternal));
  RawFrame beyond;
  AddBlob(beyond, BlobKind::kChunk, TestText(1000, 3));
  beyond.blobs[0].bytes = 1001;
  EXPECT_THAT(codec.Seal(beyond), StatusIs(StatusCode::kInternal));
  EXPECT_THAT(codec.Seal(RawFrame()), StatusIs(StatusCode::kInternal));
}

// Changes a byte so that the frame decodes to as many bytes as before, but not to these.
size_t FlipALiteral(const Bytes& raw, const Bytes& prefix, MutableByteSpan out) {
  ZSTD_DCtx* const context = ZSTD_createDCtx();
  bool found = false;
  for (size_t i = out.size(); i-- > 0 && !found;) {
    out[i] ^= 1;
    Bytes decoded(raw.size());
    ZSTD_DCtx_refPrefix(context, prefix.data(), prefix.size());
    found = ZSTD_decompressDCtx(context, decoded.data(), decoded.size(), out.data(), out.size()) ==
                raw.size() &&
            decoded != raw;
    if (!found) out[i] ^= 1;
  }
  ZSTD_freeDCtx(context);
  EXPECT_TRUE(found) << "no byte of it can be changed";
  return out.size();
}

TEST(FrameTest, RefusesWhatTheCompressorGotWrong) {
  RawFrame frame;
  AddBlob(frame, BlobKind::kChunk, TestText(1000, 3));
  AddBlob(frame, BlobKind::kChunk, TestText(1000, 5));
  FrameCodecContext codec(3);
  {
    const FaultyCompressor faulty(
        [&](MutableByteSpan out) { return FlipALiteral(frame.raw, {}, out); });
    EXPECT_THAT(codec.Seal(frame),
                StatusIs(StatusCode::kInternal, HasSubstr("does not decode to what it was")));
  }
  {
    const FaultyCompressor faulty([](MutableByteSpan out) { return out.size() - 1; });
    EXPECT_THAT(codec.Seal(frame),
                StatusIs(StatusCode::kInternal, HasSubstr("sealed frame does not decode")));
  }
  {
    const FaultyCompressor faulty(
        [](MutableByteSpan) { return size_t{0} - ZSTD_error_memory_allocation; });
    EXPECT_THAT(codec.Seal(frame), StatusIs(StatusCode::kInternal, HasSubstr("compress frame")));
  }
  EXPECT_OK(codec.Seal(frame));
}

TEST(FrameTest, HoldsFourMebibytesAndNoMore) {
  FrameCodecContext codec(3);
  RawFrame frame;
  AddBlob(frame, BlobKind::kChunk, Bytes(kMaxFrameBytes));
  ASSERT_OK_AND_ASSIGN(const SealedFrame sealed, codec.Seal(frame));
  Bytes raw;
  EXPECT_OK(codec.Decode(sealed.info, sealed.stored, raw));
  AddBlob(frame, BlobKind::kChunk, Bytes(1));
  EXPECT_THAT(codec.Seal(frame), StatusIs(StatusCode::kInternal));

  FrameInfo large = sealed.info;
  large.raw_bytes = kMaxFrameBytes + 1;
  EXPECT_THAT(codec.Decode(large, sealed.stored, raw), StatusIs(StatusCode::kDataLoss));
}

TEST(FrameTest, EveryFlippedByteIsFound) {
  const SealedFrame sealed = SealOf({TestText(3000, 3)});
  FrameCodecContext codec(3);
  Bytes raw;
  for (size_t i = 0; i < sealed.stored.size(); ++i) {
    Bytes stored = sealed.stored;
    stored[i] ^= 0x10;
    EXPECT_THAT(codec.Decode(sealed.info, stored, raw), StatusIs(StatusCode::kDataLoss)) << i;
  }
  EXPECT_THAT(codec.Decode(sealed.info, ByteSpan(sealed.stored).first(10), raw),
              StatusIs(StatusCode::kDataLoss));
  EXPECT_OK(codec.Decode(sealed.info, sealed.stored, raw));
}

TEST(FrameTest, EveryFlippedByteUnderARightChecksumIsAnErrorOrSameSize) {
  const SealedFrame sealed = SealOf({TestText(3000, 3)});
  FrameCodecContext codec(3);
  Bytes raw;
  for (size_t i = 0; i < sealed.stored.size(); ++i) {
    Bytes stored = sealed.stored;
    stored[i] ^= 0x10;
    FrameInfo info = sealed.info;
    info.checksum = ChecksumFrame(stored);
    const Status status = codec.Decode(info, stored, raw);
    if (status.ok()) {
      EXPECT_EQ(raw.size(), info.raw_bytes) << i;
    } else {
      EXPECT_THAT(status, StatusIs(StatusCode::kDataLoss)) << i;
    }
  }
}

TEST(FrameTest, RefusesAWrongRawSize) {
  const SealedFrame sealed = SealOf({TestText(3000, 3)});
  FrameCodecContext codec(3);
  Bytes raw;
  for (const uint32_t size : {2999u, 3001u, kMaxFrameBytes}) {
    FrameInfo info = sealed.info;
    info.raw_bytes = size;
    EXPECT_THAT(codec.Decode(info, sealed.stored, raw), StatusIs(StatusCode::kDataLoss));
  }
}

TEST(FrameTest, RefusesZstdThatTheFormatForbids) {
  FrameCodecContext codec(3);
  Bytes raw;
  const Bytes text = TestText(300'000, 3);
  const Bytes good = Compress(text, [](ZSTD_CCtx*) {});
  EXPECT_OK(codec.Decode(InfoOf(good, text.size()), good, raw));

  const Bytes unsized = Compress(
      text, [](ZSTD_CCtx* context) { ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0); });
  EXPECT_THAT(codec.Decode(InfoOf(unsized, text.size()), unsized, raw),
              StatusIs(StatusCode::kDataLoss, HasSubstr("raw size")));

  Bytes two = good;
  Append(two, good);
  EXPECT_THAT(codec.Decode(InfoOf(two, text.size()), two, raw),
              StatusIs(StatusCode::kDataLoss, HasSubstr("one whole")));
  EXPECT_THAT(codec.Decode(InfoOf(two, 2 * text.size()), two, raw),
              StatusIs(StatusCode::kDataLoss));
}

// A hundred times 'x', written by hand as RFC 8878 has it: magic, descriptor, window, dictionary id
// of one byte (where the descriptor says so), content size, one run-length block of `size`.
Bytes HandMadeFrame(uint8_t descriptor, uint8_t window, std::optional<uint8_t> dictionary,
                    uint8_t size = 100) {
  Bytes stored = {0x28, 0xb5, 0x2f, 0xfd, descriptor, window};
  if (dictionary) stored.push_back(*dictionary);
  Append(stored, Bytes{100, 0, 0, 0, 0, 0, 0, 0});
  constexpr uint32_t kLastAndRunLength = 3;
  const uint32_t block = uint32_t{size} << 3 | kLastAndRunLength;
  Append(stored, Bytes{static_cast<uint8_t>(block), static_cast<uint8_t>(block >> 8), 0, 'x'});
  return stored;
}

TEST(FrameTest, RefusesContentThatIsNotOfTheSizeThatTheHeaderStates) {
  FrameCodecContext codec(3);
  for (const uint8_t size : {uint8_t{0}, uint8_t{99}, uint8_t{101}}) {
    const Bytes stored = HandMadeFrame(0xc0, 13 << 3, std::nullopt, size);
    Bytes raw;
    EXPECT_THAT(codec.Decode(InfoOf(stored, 100), stored, raw),
                StatusIs(StatusCode::kDataLoss, HasSubstr("zstd")))
        << int{size};
  }
}

// zstd 0.7 wrote such frames before the format was settled, and the library may still read them.
TEST(FrameTest, RefusesFormatsFromBeforeTheStandard) {
  Bytes stored = {0x27, 0xb5, 0x2f, 0xfd, 0xc0, 13 << 3};
  Append(stored, Bytes{100, 0, 0, 0, 0, 0, 0, 0});
  Append(stored, Bytes{0x80, 0x00, 100, 'x'});  // a run
  Append(stored, Bytes{0xc0, 0x00, 0x00});      // the end
  Bytes raw;
  EXPECT_THAT(FrameCodecContext(3).Decode(InfoOf(stored, 100), stored, raw),
              StatusIs(StatusCode::kDataLoss, HasSubstr("magic")));
}

TEST(FrameTest, RefusesAWindowOverEightMebibytes) {
  FrameCodecContext codec(3);
  Bytes raw;
  const Bytes allowed = HandMadeFrame(0xc0, 13 << 3, std::nullopt);
  ASSERT_OK(codec.Decode(InfoOf(allowed, 100), allowed, raw));
  EXPECT_EQ(raw, Bytes(100, 'x'));
  const Bytes large = HandMadeFrame(0xc0, (13 << 3) + 1, std::nullopt);
  EXPECT_THAT(codec.Decode(InfoOf(large, 100), large, raw),
              StatusIs(StatusCode::kDataLoss, HasSubstr("window")));
}

TEST(FrameTest, RefusesADictionary) {
  FrameCodecContext codec(3);
  Bytes raw;
  const Bytes stored = HandMadeFrame(0xc1, 13 << 3, 7);
  EXPECT_THAT(codec.Decode(InfoOf(stored, 100), stored, raw),
              StatusIs(StatusCode::kDataLoss, HasSubstr("dictionary")));
}

// Bytes that do not compress, so that only the prefix can help, with a few of them changed.
struct TwoVersions {
  explicit TwoVersions(size_t size, uint64_t seed = 1) : before(TestNoise(size, seed)) {
    after = before;
    for (size_t i = 1000; i < size; i += 10'000) after[i] ^= 1;
  }
  FramePrefix Prefix() const { return {{BaseId{1}}, before}; }
  RawFrame Frame() const {
    RawFrame frame;
    AddBlob(frame, BlobKind::kChunk, after);
    return frame;
  }
  Bytes before;
  Bytes after;
};

TEST(FrameTest, ADeltaTakesWhatHasChanged) {
  for (const int level : {-7, 1, 3, 19}) {
    const TwoVersions versions(200'000);
    FrameCodecContext codec(level);
    ASSERT_OK_AND_ASSIGN(const SealedFrame sealed,
                         codec.SealDelta(versions.Frame(), versions.Prefix(), 1));
    EXPECT_EQ(sealed.info.bases, versions.Prefix().bases);
    EXPECT_LT(sealed.stored.size(), 4000U) << level;
    Bytes raw;
    ASSERT_OK(FrameCodecContext(3).Decode(sealed.info, sealed.stored, versions.before, raw));
    EXPECT_EQ(raw, versions.after);
    // The context is as good as before for plain frames.
    ASSERT_OK_AND_ASSIGN(const SealedFrame plain, codec.Seal(versions.Frame()));
    EXPECT_THAT(plain.info.bases, IsEmpty());
    EXPECT_OK(codec.Decode(plain.info, plain.stored, raw));
  }
}

TEST(FrameTest, RefusesADeltaThatTheCompressorGotWrong) {
  const TwoVersions versions(200'000);
  FrameCodecContext codec(3);
  {
    const FaultyCompressor faulty(
        [&](MutableByteSpan out) { return FlipALiteral(versions.after, versions.before, out); });
    EXPECT_THAT(codec.SealDelta(versions.Frame(), versions.Prefix(), 1),
                StatusIs(StatusCode::kInternal, HasSubstr("does not decode to what it was")));
  }
  {
    const FaultyCompressor faulty([](MutableByteSpan out) { return out.size() - 1; });
    EXPECT_THAT(codec.SealDelta(versions.Frame(), versions.Prefix(), 1),
                StatusIs(StatusCode::kInternal, HasSubstr("sealed frame does not decode")));
  }
  EXPECT_OK(codec.SealDelta(versions.Frame(), versions.Prefix(), 1));
}

TEST(FrameTest, ALongPrefixIsWithinReachOfTheLastByte) {
  const TwoVersions versions(kMaxFrameBytes);
  FrameCodecContext codec(3);
  ASSERT_OK_AND_ASSIGN(const SealedFrame sealed,
                       codec.SealDelta(versions.Frame(), versions.Prefix(), 1));
  // Every byte lies 4 MiB behind the one that it repeats.
  EXPECT_LT(sealed.stored.size(), kMaxFrameBytes / 20);
  Bytes raw;
  ASSERT_OK(codec.Decode(sealed.info, sealed.stored, versions.before, raw));
  EXPECT_EQ(raw, versions.after);
}

TEST(FrameTest, ADeltaThatDoesNotPayIsPlain) {
  RawFrame frame;
  AddBlob(frame, BlobKind::kChunk, TestNoise(100'000, 7));
  FrameCodecContext codec(3);
  const FramePrefix other = {{BaseId{1}}, TestNoise(100'000, 8)};
  for (const double plain_share : {0.0, 0.2, 1.0, 5.0}) {
    ASSERT_OK_AND_ASSIGN(const SealedFrame sealed, codec.SealDelta(frame, other, plain_share));
    EXPECT_THAT(sealed.info.bases, IsEmpty());
    EXPECT_EQ(sealed.info.codec, FrameCodec::kRaw);
  }
  ASSERT_OK_AND_ASSIGN(const SealedFrame without, codec.SealDelta(frame, {}, 1));
  EXPECT_THAT(without.info.bases, IsEmpty());
}

// What compresses well by itself gains little from a prefix, however small the delta looks.
TEST(FrameTest, ADeltaIsComparedWithThePlainFrameAndNotWithTheRawOne) {
  RawFrame frame;
  AddBlob(frame, BlobKind::kChunk, Bytes(200'000, 'x'));
  ASSERT_OK_AND_ASSIGN(
      const SealedFrame sealed,
      FrameCodecContext(3).SealDelta(frame, {{BaseId{1}}, Bytes(100, 'x')}, 0.0001));
  EXPECT_THAT(sealed.info.bases, IsEmpty());
}

TEST(FrameTest, APrefixThatIsNoneIsRefused) {
  const TwoVersions versions(10'000);
  FrameCodecContext codec(3);
  ASSERT_OK_AND_ASSIGN(SealedFrame sealed, codec.SealDelta(versions.Frame(), versions.Prefix(), 1));
  Bytes raw;
  EXPECT_THAT(codec.Decode(sealed.info, sealed.stored, raw), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(codec.Decode(sealed.info, sealed.stored, Bytes(kMaxPrefixBytes + 1), raw),
              StatusIs(StatusCode::kDataLoss));
  // Of another content: an error, or bytes whose hashes differ.
  if (codec.Decode(sealed.info, sealed.stored, TestNoise(10'000, 2), raw).ok()) {
    EXPECT_NE(raw, versions.after);
  }
  sealed.info.bases.clear();
  EXPECT_THAT(codec.Decode(sealed.info, sealed.stored, versions.before, raw),
              StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(codec.SealDelta(versions.Frame(), {{BaseId{1}}, Bytes(kMaxPrefixBytes + 1)}, 1),
              StatusIs(StatusCode::kInternal));
  EXPECT_THAT(codec.SealDelta(versions.Frame(),
                              {std::vector<BaseId>(kMaxFrameBases + 1), versions.before}, 1),
              StatusIs(StatusCode::kInternal));
}

TEST(FrameTest, RefusesARawFrameOfMoreThanFourMebibytes) {
  const Bytes stored(kMaxFrameBytes + 1);
  FrameInfo info = InfoOf(stored, stored.size());
  info.codec = FrameCodec::kRaw;
  Bytes raw;
  EXPECT_THAT(FrameCodecContext(3).Decode(info, stored, raw),
              StatusIs(StatusCode::kDataLoss, HasSubstr("4 MiB")));
}

TEST(FrameTest, RefusesOtherThanItsStoredBytes) {
  const SealedFrame sealed = SealOf({TestText(3000, 3)});
  FrameInfo info = sealed.info;
  ++info.stored_bytes;
  Bytes raw;
  EXPECT_THAT(FrameCodecContext(3).Decode(info, sealed.stored, raw),
              StatusIs(StatusCode::kDataLoss, HasSubstr("cut short")));
}

TEST(FrameTest, ARawFrameHasItsStoredBytesForContent) {
  SealedFrame sealed = SealOf({TestNoise(3000, 1)});
  ASSERT_EQ(sealed.info.codec, FrameCodec::kRaw);
  ++sealed.info.raw_bytes;
  Bytes raw;
  EXPECT_THAT(FrameCodecContext(3).Decode(sealed.info, sealed.stored, raw),
              StatusIs(StatusCode::kDataLoss, HasSubstr("raw size")));
}

TEST(FrameTest, ARawFrameHasNoBases) {
  SealedFrame sealed = SealOf({TestNoise(3000, 1)});
  ASSERT_EQ(sealed.info.codec, FrameCodec::kRaw);
  sealed.info.bases = {BaseId{1}};
  Bytes raw;
  EXPECT_THAT(FrameCodecContext(3).Decode(sealed.info, sealed.stored, Bytes(10), raw),
              StatusIs(StatusCode::kDataLoss, HasSubstr("has bases")));
}

TEST(FrameTest, RefusesAnUnknownCodec) {
  SealedFrame sealed = SealOf({TestText(3000, 3)});
  sealed.info.codec = static_cast<FrameCodec>(2);
  Bytes raw;
  EXPECT_THAT(FrameCodecContext(3).Decode(sealed.info, sealed.stored, raw),
              StatusIs(StatusCode::kDataLoss, HasSubstr("codec")));
}

}  // namespace
}  // namespace cairn
