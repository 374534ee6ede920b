// SPDX-License-Identifier: Apache-2.0
#include "core/store/pack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/coding.h"
#include "core/base/memory_file_system.h"
#include "tests/store/store_data.h"
#include "tests/support/memory_object_store.h"

namespace cairn {
namespace {

using ::cairn::testing::AddBlob;
using ::cairn::testing::Filled;
using ::cairn::testing::kRepository;
using ::cairn::testing::kSession;
using ::cairn::testing::MemoryObjectStore;
using ::cairn::testing::SealOf;
using ::cairn::testing::StatusIs;
using ::cairn::testing::TestNoise;
using ::cairn::testing::TestText;
using ::cairn::testing::WritePack;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PackTest : public ::testing::Test {
 protected:
  PackInfo Write(const std::vector<SealedFrame>& frames) {
    auto info = WritePack(store_, frames, kRepository, kSession);
    EXPECT_OK(info.status());
    return *info;
  }
  StatusOr<PackFooter> Read(const PackInfo& info) {
    return ReadPackFooter(store_, RepositoryKeys(kRepository), info);
  }

  MemoryObjectStore store_;
};

TEST_F(PackTest, IsNamedUnderTheFirstTwoDigits) {
  EXPECT_EQ(PackObjectName(Filled<PackName>(0x3f)), "packs/3f/3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f");
}

TEST_F(PackTest, ReadsBackEveryBlob) {
  const std::vector<Bytes> chunks = {TestText(5000, 3), TestText(1, 1), TestNoise(3000, 1)};
  const PackInfo info = Write({SealOf({chunks[0], chunks[1]}), SealOf({chunks[2]})});
  EXPECT_THAT(store_.Size(PackObjectName(info.name)), testing::IsOkAndHolds(info.bytes));
  ASSERT_OK_AND_ASSIGN(const PackFooter footer, Read(info));
  ASSERT_THAT(footer.frames, SizeIs(2));
  ASSERT_THAT(footer.blobs, SizeIs(3));
  FrameCodecContext codec(3);
  for (size_t i = 0; i < chunks.size(); ++i) {
    const BlobInfo& blob = footer.blobs[i];
    const FrameInfo& frame = footer.frames[blob.frame];
    ASSERT_OK_AND_ASSIGN(const Bytes stored, ReadFrame(store_, RepositoryKeys(kRepository),
                                                       info.name, blob.frame, frame));
    Bytes raw;
    ASSERT_OK(codec.Decode(frame, stored, raw));
    const ByteSpan bytes = ByteSpan(raw).subspan(blob.offset, blob.bytes);
    EXPECT_EQ(Bytes(bytes.begin(), bytes.end()), chunks[i]);
    EXPECT_EQ(blob.ref.id, BlobHasher().Hash(BlobKind::kChunk, chunks[i]));
  }
}

TEST_F(PackTest, TheWriterKnowsTheFooterThatReadersFind) {
  ASSERT_OK_AND_ASSIGN(const auto writer, PackWriter::Create(store_, RepositoryKeys(kRepository),
                                                             kSession, kPackHasChunks));
  EXPECT_THAT(writer->Add(SealOf({TestText(5000, 3)})), testing::IsOkAndHolds(0u));
  EXPECT_THAT(writer->Add(SealOf({TestText(700, 5)})), testing::IsOkAndHolds(1u));
  ASSERT_OK_AND_ASSIGN(const PackInfo info, writer->Finish());
  EXPECT_EQ(info.name, writer->name());
  ASSERT_OK_AND_ASSIGN(const PackFooter footer, Read(info));
  EXPECT_EQ(footer.frames, writer->footer().frames);
  EXPECT_EQ(footer.blobs, writer->footer().blobs);
}

TEST_F(PackTest, BytesForetellTheSizeFromAbove) {
  ASSERT_OK_AND_ASSIGN(const auto writer, PackWriter::Create(store_, RepositoryKeys(kRepository),
                                                             kSession, kPackHasChunks));
  std::vector<Bytes> chunks;
  for (uint32_t i = 0; i < 1000; ++i) chunks.push_back(TestText(i, 3));
  ASSERT_OK(writer->Add(SealOf(chunks)).status());
  const uint64_t foretold = writer->bytes();
  ASSERT_OK_AND_ASSIGN(const PackInfo info, writer->Finish());
  EXPECT_GE(foretold, info.bytes);
  EXPECT_LE(foretold, info.bytes + 10 * chunks.size());
}

TEST_F(PackTest, NamesAreNeverEqual) {
  const SealedFrame frame = SealOf({TestText(100, 3)});
  EXPECT_NE(Write({frame}).name, Write({frame}).name);
}

TEST_F(PackTest, NothingStandsBeforeFinish) {
  {
    ASSERT_OK_AND_ASSIGN(const auto writer, PackWriter::Create(store_, RepositoryKeys(kRepository),
                                                               kSession, kPackHasChunks));
    ASSERT_OK(writer->Add(SealOf({TestText(100, 3)})).status());
    ASSERT_OK_AND_ASSIGN(const auto unfinished, store_.ListUnfinished());
    ASSERT_THAT(unfinished, SizeIs(1));
    EXPECT_EQ(unfinished[0].owner, kSession.Hex());
  }
  EXPECT_THAT(store_.List("packs"), testing::IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(store_.ListUnfinished(), testing::IsOkAndHolds(IsEmpty()));
}

TEST_F(PackTest, ReadsAFooterLargerThanTheFirstRead) {
  std::vector<Bytes> chunks;
  for (uint32_t i = 0; i < 5000; ++i) chunks.push_back(TestText(40, i));
  const PackInfo info = Write({SealOf(chunks), SealOf({TestNoise(200'000, 1)})});
  ASSERT_OK_AND_ASSIGN(const PackFooter footer, Read(info));
  EXPECT_THAT(footer.blobs, SizeIs(5001));
}

TEST_F(PackTest, ReadsFootersAroundTheSizeOfTheFirstRead) {
  // Footers of 64 KiB less the trailer, and a few bytes less and more.
  for (uint32_t blobs = 1920; blobs <= 1930; ++blobs) {
    std::vector<Bytes> chunks;
    for (uint32_t i = 0; i < blobs; ++i) chunks.push_back(TestText(40, i));
    const PackInfo info = Write({SealOf(chunks)});
    ASSERT_OK_AND_ASSIGN(const PackFooter footer, Read(info));
    EXPECT_THAT(footer.blobs, SizeIs(blobs));
  }
}

TEST_F(PackTest, ASmallPackIsReadAtOnceAndALargeOneTwice) {
  const PackInfo small = Write({SealOf({TestNoise(1000, 1)})});
  store_.ResetCounts();
  ASSERT_OK(Read(small).status());
  EXPECT_EQ(store_.reads(), 1u);
  const PackInfo large = Write({SealOf({TestNoise(500'000, 1)})});
  store_.ResetCounts();
  ASSERT_OK(Read(large).status());
  EXPECT_EQ(store_.reads(), 2u);
}

TEST_F(PackTest, EveryFlippedByteOfHeaderFooterAndTrailerIsFound) {
  const PackInfo info = Write({SealOf({TestText(500, 3), TestText(300, 5)})});
  ASSERT_OK_AND_ASSIGN(const PackFooter footer, Read(info));
  const uint64_t frames_end = footer.frames[0].offset + footer.frames[0].stored_bytes;
  for (size_t i = 0; i < info.bytes; ++i) {
    store_.Damage(PackObjectName(info.name), [i](Bytes& bytes) { bytes[i] ^= 0x40; });
    if (i >= kPackHeaderBytes && i < frames_end) {
      // The frames' bytes are not read with the footer; their checksums find it.
      ASSERT_OK_AND_ASSIGN(const Bytes stored, ReadFrame(store_, RepositoryKeys(kRepository),
                                                         info.name, 0, footer.frames[0]));
      Bytes raw;
      EXPECT_THAT(FrameCodecContext(3).Decode(footer.frames[0], stored, raw),
                  StatusIs(StatusCode::kDataLoss))
          << i;
    } else {
      EXPECT_THAT(Read(info), StatusIs(StatusCode::kDataLoss, HasSubstr(info.name.Hex()))) << i;
      EXPECT_THAT(ReadPackHeader(store_, RepositoryKeys(kRepository), info.name),
                  StatusIs(StatusCode::kDataLoss))
          << i;
    }
    store_.Damage(PackObjectName(info.name), [i](Bytes& bytes) { bytes[i] ^= 0x40; });
  }
  EXPECT_OK(Read(info).status());
}

TEST_F(PackTest, EveryTruncationIsFound) {
  const PackInfo info = Write({SealOf({TestText(500, 3)})});
  const std::string name = PackObjectName(info.name);
  ASSERT_OK_AND_ASSIGN(const Bytes whole, store_.ReadAll(name, kMiB));
  for (size_t size = 0; size < whole.size(); ++size) {
    store_.Set(name, Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)));
    EXPECT_THAT(Read(info), StatusIs(StatusCode::kDataLoss)) << size;
    EXPECT_THAT(ReadPackHeader(store_, RepositoryKeys(kRepository), info.name),
                StatusIs(StatusCode::kDataLoss))
        << size;
  }
  Bytes longer = whole;
  longer.push_back(0);
  store_.Set(name, longer);
  EXPECT_THAT(Read(info), StatusIs(StatusCode::kDataLoss, HasSubstr("too long")));
}

TEST_F(PackTest, RefusesAPackThatIsNotTheOneInTheJournal) {
  const PackInfo info = Write({SealOf({TestText(500, 3)})});
  const auto with = [&](auto change) {
    PackInfo other = info;
    change(other);
    return Read(other);
  };
  EXPECT_THAT(with([](PackInfo& i) { i.hash = Filled<PackHash>(9); }),
              StatusIs(StatusCode::kDataLoss, HasSubstr("hash")));
  EXPECT_THAT(with([](PackInfo& i) { i.session = Filled<SessionId>(9); }),
              StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(with([](PackInfo& i) { i.content = kPackHasNodes; }),
              StatusIs(StatusCode::kDataLoss));
  for (const uint64_t bytes : {uint64_t{0}, info.bytes - 1, info.bytes + 1, UINT64_MAX}) {
    EXPECT_THAT(with([bytes](PackInfo& i) { i.bytes = bytes; }), StatusIs(StatusCode::kDataLoss));
  }
  EXPECT_THAT(ReadPackFooter(store_, RepositoryKeys(Filled<RepositoryId>(9)), info),
              StatusIs(StatusCode::kDataLoss, HasSubstr("another repository")));
  EXPECT_THAT(with([](PackInfo& i) { i.name = Filled<PackName>(9); }),
              StatusIs(StatusCode::kNotFound));
}

TEST_F(PackTest, RefusesAPackUnderAnothersName) {
  const PackInfo info = Write({SealOf({TestText(500, 3)})});
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, store_.ReadAll(PackObjectName(info.name), kMiB));
  const auto other = Filled<PackName>(9);
  store_.Set(PackObjectName(other), bytes);
  PackInfo other_info = info;
  other_info.name = other;
  EXPECT_THAT(Read(other_info), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(ReadPackHeader(store_, RepositoryKeys(kRepository), other),
              StatusIs(StatusCode::kDataLoss));
}

TEST_F(PackTest, SaysWhoWroteAPackThatNoRecordNames) {
  const PackInfo info = Write({SealOf({TestText(500, 3)})});
  ASSERT_OK_AND_ASSIGN(const PackHeader header,
                       ReadPackHeader(store_, RepositoryKeys(kRepository), info.name));
  EXPECT_EQ(header.name, info.name);
  EXPECT_EQ(header.session, kSession);
  EXPECT_EQ(header.repository, kRepository);
  EXPECT_EQ(header.content, kPackHasChunks);
  EXPECT_THAT(ReadPackHeader(store_, RepositoryKeys(kRepository), Filled<PackName>(9)),
              StatusIs(StatusCode::kNotFound));
}

TEST_F(PackTest, AFrameBeyondTheEndIsDamage) {
  const PackInfo info = Write({SealOf({TestText(500, 3)})});
  ASSERT_OK_AND_ASSIGN(PackFooter footer, Read(info));
  FrameInfo frame = footer.frames[0];
  frame.offset = info.bytes - 1;
  EXPECT_THAT(ReadFrame(store_, RepositoryKeys(kRepository), info.name, 0, frame),
              StatusIs(StatusCode::kDataLoss));
  frame.offset = UINT64_MAX - 10;
  EXPECT_THAT(ReadFrame(store_, RepositoryKeys(kRepository), info.name, 0, frame),
              StatusIs(StatusCode::kDataLoss));
  frame.stored_bytes = kMaxFrameBytes + 1;
  EXPECT_THAT(ReadFrame(store_, RepositoryKeys(kRepository), info.name, 0, frame),
              StatusIs(StatusCode::kDataLoss));
}

TEST_F(PackTest, AWriterRefusesEverythingAfterAnError) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK_AND_ASSIGN(const auto writer, PackWriter::Create(*store, RepositoryKeys(kRepository),
                                                             kSession, kPackHasChunks));
  fs.SetCapacityBytes(kMiB);
  const SealedFrame frame = SealOf({TestNoise(3 * kMiB, 1)});
  EXPECT_THAT(writer->Add(frame), StatusIs(StatusCode::kResourceExhausted));
  fs.SetCapacityBytes(100 * kMiB);
  EXPECT_THAT(writer->Add(frame), StatusIs(StatusCode::kInternal));
  EXPECT_THAT(writer->Finish(), StatusIs(StatusCode::kInternal));
  EXPECT_THAT(store->List("packs"), testing::IsOkAndHolds(IsEmpty()));
}

TEST_F(PackTest, AWriterRefusesFramesThatWereNotSealed) {
  ASSERT_OK_AND_ASSIGN(const auto writer, PackWriter::Create(store_, RepositoryKeys(kRepository),
                                                             kSession, kPackHasChunks));
  EXPECT_THAT(writer->Add(SealedFrame()), StatusIs(StatusCode::kInternal));
}

TEST(PackHeaderTest, RefusesWhatItDoesNotKnow) {
  const Bytes good = EncodePackHeader({.repository = kRepository,
                                       .name = Filled<PackName>(3),
                                       .session = kSession,
                                       .content = kPackHasNodes});
  ASSERT_OK(DecodePackHeader(good).status());
  const auto with = [&good](size_t offset, uint8_t value) {
    Bytes bytes = good;
    bytes[offset] = value;
    return DecodePackHeader(bytes);
  };
  EXPECT_THAT(with(0, 'X'), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(with(8, 2), StatusIs(StatusCode::kUnimplemented, HasSubstr("version 2")));
  EXPECT_THAT(with(12, 4), StatusIs(StatusCode::kUnimplemented, HasSubstr("0x4")));
  EXPECT_THAT(with(12, 6), StatusIs(StatusCode::kUnimplemented, HasSubstr("0x4")));
  // Flag and content say the same of deltas.
  EXPECT_THAT(with(12, 2), StatusIs(StatusCode::kDataLoss, HasSubstr("contradict")));
  EXPECT_THAT(with(64, kPackHasChunks | kPackHasDeltas),
              StatusIs(StatusCode::kDataLoss, HasSubstr("contradict")));
  EXPECT_THAT(with(64, 16), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(with(127, 1), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(DecodePackHeader(ByteSpan(good).first(127)), StatusIs(StatusCode::kDataLoss));
}

// A footer of one frame with these numbers, as an attacker would write it.
struct HandMade {
  uint64_t stored = 10;
  uint64_t raw = 10;
  uint8_t codec = 0;
  uint64_t bases = 0;
  std::vector<std::pair<uint8_t, uint64_t>> blobs = {{1, 4}, {1, 6}};
  size_t ids = 2;
  size_t base_ids = 0;

  StatusOr<PackFooter> Decode() const {
    Bytes bytes;
    Encoder encoder(bytes);
    encoder.Varint(1);
    encoder.Varint(stored);
    encoder.Varint(raw);
    encoder.Fixed8(codec);
    encoder.Varint(bases);
    encoder.Raw(Bytes(16));
    Bytes section;
    Encoder places(section);
    places.Varint(blobs.size());
    for (const auto& [kind, size] : blobs) {
      places.Fixed8(kind);
      places.Varint(size);
    }
    encoder.String(section);
    encoder.Raw(Bytes(32 * ids));
    encoder.Raw(Bytes(16 * base_ids));
    return DecodePackFooter(bytes, 0);
  }
};

TEST(PackFooterTest, AcceptsOneThatIsSound) { EXPECT_OK(HandMade().Decode().status()); }

TEST(PackFooterTest, RefusesContradictions) {
  const std::vector<HandMade> bad = {
      {.stored = 11},                             // raw, and sizes differ
      {.codec = 1},                               // compressed, and did not shrink
      {.codec = 2},                               // unknown
      {.raw = kMaxFrameBytes + 1, .codec = 1},    // too large
      {.stored = UINT64_MAX, .raw = UINT64_MAX},  //
      {.blobs = {}, .ids = 0},                    // no blobs
      {.blobs = {{1, 4}, {1, 5}}},                // gap at the end
      {.blobs = {{1, 4}, {1, 7}}},                // beyond the end
      {.blobs = {{1, 4}, {0, 6}}},                // no kind
      {.blobs = {{1, 4}, {6, 6}}},                //
      {.ids = 1},                                 // missing
      {.ids = 3},                                 // left over
      {.blobs = {{1, 4}, {1, UINT64_MAX - 3}, {1, 9}}, .ids = 3},
      {.stored = 0, .raw = 0, .blobs = {}, .ids = 0},
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    EXPECT_THAT(bad[i].Decode(), StatusIs(StatusCode::kDataLoss)) << i;
  }
}

TEST(PackFooterTest, HasTheBasesOfItsDeltas) {
  const HandMade sound{.stored = 9, .codec = 1, .bases = 3, .base_ids = 3};
  ASSERT_OK_AND_ASSIGN(const PackFooter footer, sound.Decode());
  EXPECT_THAT(footer.frames[0].bases, SizeIs(3));
  EXPECT_TRUE(HasDeltas(footer));
  EXPECT_OK((HandMade{.stored = 9, .codec = 1, .bases = kMaxFrameBases, .base_ids = kMaxFrameBases}
                 .Decode()
                 .status()));
  const std::vector<HandMade> bad = {
      {.bases = 1, .base_ids = 1},                           // stored raw
      {.stored = 9, .codec = 1, .bases = 3, .base_ids = 2},  // missing
      {.stored = 9, .codec = 1, .bases = 3, .base_ids = 4},  // left over
      {.stored = 9, .codec = 1, .bases = 0, .base_ids = 1},  //
      {.stored = 9, .codec = 1, .bases = kMaxFrameBases + 1, .base_ids = kMaxFrameBases + 1},
      {.stored = 9, .codec = 1, .bases = UINT64_MAX},
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    EXPECT_THAT(bad[i].Decode(), StatusIs(StatusCode::kDataLoss)) << i;
  }
}

SealedFrame DeltaOf(const Bytes& before, const Bytes& after) {
  RawFrame frame;
  AddBlob(frame, BlobKind::kChunk, after);
  const BaseId base = BaseIdOf(BlobHasher().Hash(BlobKind::kChunk, before));
  auto sealed = FrameCodecContext(3).SealDelta(frame, {{base}, before}, 1);
  EXPECT_OK(sealed.status());
  EXPECT_THAT(sealed->info.bases, SizeIs(1));
  return *std::move(sealed);
}

TEST_F(PackTest, DeltasStandInAPackThatSaysSo) {
  const Bytes before = TestNoise(3000, 1);
  Bytes after = before;
  after[700] ^= 1;
  const SealedFrame delta = DeltaOf(before, after);
  const auto create = [&](uint8_t content) {
    auto writer = PackWriter::Create(store_, RepositoryKeys(kRepository), kSession, content);
    EXPECT_OK(writer.status());
    return *std::move(writer);
  };
  const auto writer = create(kPackHasChunks | kPackHasDeltas);
  ASSERT_OK(writer->Add(SealOf({before})).status());
  ASSERT_OK(writer->Add(delta).status());
  ASSERT_OK_AND_ASSIGN(PackInfo info, writer->Finish());
  ASSERT_OK_AND_ASSIGN(const PackFooter footer, Read(info));
  EXPECT_THAT(footer.frames[0].bases, IsEmpty());
  EXPECT_EQ(footer.frames[1].bases, delta.info.bases);
  ASSERT_OK_AND_ASSIGN(const Bytes stored, ReadFrame(store_, RepositoryKeys(kRepository), info.name,
                                                     1, footer.frames[1]));
  Bytes raw;
  ASSERT_OK(FrameCodecContext(3).Decode(footer.frames[1], stored, before, raw));
  EXPECT_EQ(raw, after);
  info.content = kPackHasChunks;
  EXPECT_THAT(Read(info), StatusIs(StatusCode::kDataLoss));

  EXPECT_THAT(create(kPackHasChunks)->Add(delta), StatusIs(StatusCode::kInternal));
  const auto without = create(kPackHasChunks | kPackHasDeltas);
  ASSERT_OK(without->Add(SealOf({before})).status());
  EXPECT_THAT(without->Finish(), StatusIs(StatusCode::kInternal));
}

TEST(PackFooterTest, RefusesCountsBeyondItsBytesWithoutAllocating) {
  Bytes bytes;
  Encoder encoder(bytes);
  encoder.Varint(uint64_t{1} << 60);
  EXPECT_THAT(DecodePackFooter(bytes, 0), StatusIs(StatusCode::kDataLoss));
}

TEST(PackFooterTest, EveryFlippedByteIsAnErrorOrAnotherValue) {
  PackFooter footer;
  const SealedFrame sealed = SealOf({TestText(500, 3), TestText(300, 5)});
  footer.frames.push_back(sealed.info);
  footer.frames[0].offset = kPackHeaderBytes;
  footer.frames[0].bases = {BaseId{1}, BaseId{2}};
  footer.blobs = sealed.blobs;
  const Bytes good = EncodePackFooter(footer);
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bytes = good;
      bytes[i] = static_cast<uint8_t>(bytes[i] ^ (1 << bit));
      const StatusOr<PackFooter> decoded = DecodePackFooter(bytes, 0);
      // One encoding for one value: what decodes encodes to the same bytes.
      if (decoded.ok()) {
        EXPECT_EQ(EncodePackFooter(*decoded), bytes) << i;
      } else {
        EXPECT_THAT(decoded.status().code(),
                    AnyOf(StatusCode::kDataLoss, StatusCode::kUnimplemented))
            << i;
      }
    }
  }
}

}  // namespace
}  // namespace cairn
