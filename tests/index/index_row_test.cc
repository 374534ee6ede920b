// SPDX-License-Identifier: Apache-2.0
#include "core/index/index_row.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "tests/index/index_data.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

constexpr StatusCode kLoss = StatusCode::kDataLoss;

TEST(IndexRowTest, OpensWhatWasSealed) {
  const Bytes key = ToBytes("key");
  for (size_t size : {0, 1, 15, 16, 17, 1000}) {
    const Bytes value(size, 3);
    const Bytes row = SealRow(IndexTable::kNotes, key, value);
    ASSERT_OK_AND_ASSIGN(const ByteSpan opened, OpenRow(IndexTable::kNotes, key, row));
    EXPECT_EQ(Bytes(opened.begin(), opened.end()), value);
  }
}

TEST(IndexRowTest, FindsEveryChangedBit) {
  const Bytes key = ToBytes("key");
  Bytes row = SealRow(IndexTable::kNotes, key, ToBytes("a value of some length, over two words"));
  for (size_t bit = 0; bit < row.size() * 8; ++bit) {
    row[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    EXPECT_THAT(OpenRow(IndexTable::kNotes, key, row), StatusIs(kLoss)) << bit;
    row[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
  }
  EXPECT_OK(OpenRow(IndexTable::kNotes, key, row));
}

TEST(IndexRowTest, FindsARowOfAnotherKeyOrTable) {
  const Bytes row = SealRow(IndexTable::kNotes, ToBytes("key"), ToBytes("value"));
  EXPECT_THAT(OpenRow(IndexTable::kNotes, ToBytes("kez"), row), StatusIs(kLoss));
  EXPECT_THAT(OpenRow(IndexTable::kNotes, ToBytes("ke"), row), StatusIs(kLoss));
  EXPECT_THAT(OpenRow(IndexTable::kPacks, ToBytes("key"), row), StatusIs(kLoss));
}

TEST(IndexRowTest, FindsARowThatWasCutOrPadded) {
  const Bytes key = ToBytes("key");
  const Bytes row = SealRow(IndexTable::kNotes, key, Bytes(20));
  for (size_t size = 0; size < row.size(); ++size) {
    EXPECT_THAT(OpenRow(IndexTable::kNotes, key, ByteSpan(row).first(size)), StatusIs(kLoss));
  }
  // Zeros that end a value count as well.
  EXPECT_NE(RowCheck(IndexTable::kNotes, key, Bytes(20)),
            RowCheck(IndexTable::kNotes, key, Bytes(21)));
}

TEST(IndexRowTest, ChecksOfNeighbouringPlacesDiffer) {
  std::set<uint32_t> checks;
  constexpr uint32_t kCount = 20'000;
  for (uint32_t i = 0; i < kCount; ++i) {
    const PlaceRow row = EncodePlaceRow(TestBlob(1), {.pack = 1, .ordinal = i});
    checks.insert(RowCheck(IndexTable::kBlobs, {}, row));
  }
  EXPECT_GT(checks.size(), kCount - 10);  // 0.05 collisions are to be expected
}

TEST(IndexRowTest, PlacesAreInTheOrderOfTheirBytes) {
  const BlobRef chunk = TestBlob(1);
  const BlobRef tree = TestBlob(1, BlobKind::kTree);
  const PlaceRow rows[] = {
      EncodePlaceRow(chunk, {1, 255, 0, 0, 0}), EncodePlaceRow(chunk, {1, 256, 0, 0, 0}),
      EncodePlaceRow(chunk, {2, 0, 0, 0, 0}), EncodePlaceRow(chunk, {256, 0, 0, 0, 0}),
      EncodePlaceRow(tree, {1, 0, 0, 0, 0})};
  for (size_t i = 1; i < std::size(rows); ++i) EXPECT_LT(rows[i - 1], rows[i]);
}

TEST(IndexRowTest, DecodesPlaces) {
  const BlobRef ref = TestBlob(1, BlobKind::kList);
  const Place place{0x01020304, 5, 6, 0xfffffffe, 8};
  const PlaceRow row = EncodePlaceRow(ref, place);
  ASSERT_OK_AND_ASSIGN(const BlobPlace decoded, DecodePlaceRow(ref.id, row));
  EXPECT_EQ(decoded.kind, BlobKind::kList);
  EXPECT_EQ(decoded.place, place);
  EXPECT_THAT(DecodePlaceRow(TestBlob(2).id, row), StatusIs(kLoss));
  EXPECT_THAT(DecodePlaceRow(ref.id, ByteSpan(row).first(row.size() - 1)), StatusIs(kLoss));
  PlaceRow unknown_kind = row;
  unknown_kind[0] = 77;
  EXPECT_THAT(DecodePlaceRow(ref.id, unknown_kind), StatusIs(kLoss));
}

TEST(IndexRowTest, DecodesSnapshotsOfEveryShape) {
  IndexSnapshot snapshot = MakeSnapshot(1, ~uint64_t{0});
  snapshot.held = true;
  for (const auto& tags : std::vector<std::optional<std::vector<std::string>>>{
           std::nullopt, std::vector<std::string>{}, std::vector<std::string>{"", "two"}}) {
    snapshot.tags = tags;
    EXPECT_THAT(
        DecodeSnapshotRow(SnapshotKey(snapshot.record, snapshot.id), EncodeSnapshotRow(snapshot)),
        IsOkAndHolds(snapshot));
  }
}

TEST(IndexRowTest, TimesOfSnapshotsAreInTheOrderOfTheirKeys) {
  const SnapshotId id = TestId<SnapshotId>(1);
  std::vector<std::array<uint8_t, kSnapshotTimeKeyBytes>> keys;
  for (const Timestamp& time :
       {Timestamp{std::numeric_limits<int64_t>::min(), 0}, Timestamp{-1, 999'999'999},
        Timestamp{0, 0}, Timestamp{0, 1}, Timestamp{1, 0},
        Timestamp{std::numeric_limits<int64_t>::max(), 999'999'999}}) {
    for (const uint64_t record : {uint64_t{1}, uint64_t{256}}) {
      keys.push_back(SnapshotTimeKey(time, record, id));
      ASSERT_OK_AND_ASSIGN(const SnapshotAtTime at, DecodeSnapshotTimeKey(keys.back()));
      EXPECT_EQ(at.time, time);
      EXPECT_EQ(at.record, record);
      EXPECT_EQ(at.id, id);
    }
  }
  EXPECT_TRUE(std::ranges::is_sorted(keys));
  EXPECT_THAT(DecodeSnapshotTimeKey(ByteSpan(keys[0]).first(51)), StatusIs(kLoss));
}

TEST(IndexRowTest, RefusesValuesOutOfTheirRange) {
  const TestPack test_pack = MakePack(1, 1);
  Bytes pack = EncodePackRow({.number = 1, .info = test_pack.info, .frames = 1, .blobs = 1});
  EXPECT_OK(DecodePackRow(1, pack));
  const size_t state = 16 + 8 + 32 + 16 + 1;
  pack[state] = 3;
  EXPECT_THAT(DecodePackRow(1, pack), StatusIs(kLoss));

  Bytes frame = EncodeFrameRow(test_pack.frames[0]);
  const size_t codec = 8 + 4 + 4;
  frame[codec] = 2;
  EXPECT_THAT(DecodeFrameRow(frame), StatusIs(kLoss));

  Bytes many_bases = EncodeFrameRow(test_pack.frames[0]);
  many_bases.back() = 100;
  EXPECT_THAT(DecodeFrameRow(many_bases), StatusIs(kLoss));

  Bytes snapshot = EncodeSnapshotRow(MakeSnapshot(1, 1));
  const auto key = SnapshotKey(1, TestId<SnapshotId>(1));
  const size_t held = 8 + 4;
  snapshot[held] = 2;
  EXPECT_THAT(DecodeSnapshotRow(key, snapshot), StatusIs(kLoss));
  EXPECT_THAT(DecodeSnapshotRow(ByteSpan(key).first(39), EncodeSnapshotRow(MakeSnapshot(1, 1))),
              StatusIs(kLoss));
}

}  // namespace
}  // namespace cairn::testing
