// SPDX-License-Identifier: Apache-2.0
#include "core/store/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/coding.h"
#include "tests/store/store_data.h"

namespace cairn {
namespace {

using ::cairn::testing::Filled;
using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::StatusIs;
using ::cairn::testing::TestPackInfo;
using ::cairn::testing::TestSnapshot;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

RecordEntries AllKinds() {
  RecordEntries entries;
  entries.ended = {Filled<SessionId>(1), Filled<SessionId>(2)};
  entries.packs = {TestPackInfo(3), TestPackInfo(4)};
  entries.rescue = {Filled<PackName>(5)};
  entries.condemn = {Filled<PackName>(6)};
  entries.purge = {Filled<PackName>(7)};
  entries.swept = {Filled<PackName>(8)};
  entries.snapshots = {TestSnapshot(9), TestSnapshot(10)};
  entries.forget = {Filled<SnapshotId>(11)};
  entries.hold = {Filled<SnapshotId>(12)};
  entries.release = {Filled<SnapshotId>(13)};
  entries.tags = {{Filled<SnapshotId>(14), {"a", "b"}}, {Filled<SnapshotId>(15), {}}};
  return entries;
}

Bytes Entry(uint8_t kind, const Bytes& body) {
  Bytes payload;
  Encoder encoder(payload);
  encoder.Fixed8(kind);
  encoder.String(body);
  return payload;
}

Bytes Joined(Bytes first, const Bytes& second) {
  Append(first, second);
  return first;
}

Bytes OneId(uint8_t byte) {
  Bytes body = {1};
  body.resize(17, byte);
  return body;
}

TEST(RecordTest, DecodesToWhatWasEncoded) {
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), EncodeEntries(AllKinds())), IsOkAndHolds(AllKinds()));
  EXPECT_THAT(EncodeEntries({}), IsEmpty());
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), {}), IsOkAndHolds(RecordEntries{}));
  EXPECT_TRUE(RecordEntries{}.empty());
  EXPECT_FALSE(AllKinds().empty());
}

TEST(RecordTest, EveryFlippedByteIsAnErrorOrAnotherValue) {
  const Bytes good = EncodeEntries(AllKinds());
  for (size_t i = 0; i < good.size(); ++i) {
    for (const int flip : {1, 0x80, 0xff}) {
      Bytes payload = good;
      payload[i] = static_cast<uint8_t>(payload[i] ^ flip);
      const StatusOr<RecordEntries> entries = DecodeEntries(RepositoryKeys(), payload);
      if (!entries.ok()) {
        EXPECT_THAT(entries.status().code(),
                    AnyOf(StatusCode::kDataLoss, StatusCode::kUnimplemented));
      } else if (payload[i] < 128) {
        // An ignorable kind is dropped; all else stands in the value.
        EXPECT_EQ(EncodeEntries(*entries), payload) << i;
      }
    }
  }
}

TEST(RecordTest, EveryTruncationIsAnErrorOrEndsBetweenEntries) {
  const Bytes good = EncodeEntries(AllKinds());
  for (size_t size = 0; size < good.size(); ++size) {
    const Bytes payload(good.begin(), good.begin() + static_cast<ptrdiff_t>(size));
    const StatusOr<RecordEntries> entries = DecodeEntries(RepositoryKeys(), payload);
    if (entries.ok()) {
      EXPECT_EQ(EncodeEntries(*entries), payload) << size;
    } else {
      EXPECT_THAT(entries, StatusIs(StatusCode::kDataLoss)) << size;
    }
  }
}

TEST(RecordTest, RefusesUnknownKindsUnlessTheyAreMarkedAsIgnorable) {
  for (const int kind : {0, 12, 127}) {
    EXPECT_THAT(
        DecodeEntries(RepositoryKeys(), Entry(static_cast<uint8_t>(kind), {})),
        StatusIs(StatusCode::kUnimplemented, HasSubstr("kind " + std::to_string(kind) + " ")));
  }
  EXPECT_THAT(
      DecodeEntries(RepositoryKeys(), Joined(EncodeEntries(AllKinds()), Entry(128, {1, 2, 3}))),
      IsOkAndHolds(AllKinds()));
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), Entry(255, {})), IsOkAndHolds(RecordEntries{}));
}

TEST(RecordTest, RefusesKindsOutOfOrderOrTwice) {
  const Bytes rescue = Entry(3, OneId(1));
  const Bytes condemn = Entry(4, OneId(2));
  EXPECT_OK(DecodeEntries(RepositoryKeys(), Joined(rescue, condemn)).status());
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), Joined(condemn, rescue)),
              StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), Joined(rescue, rescue)),
              StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), Joined(Entry(200, {}), Entry(128, {}))),
              StatusIs(StatusCode::kDataLoss));
}

TEST(RecordTest, RefusesEmptyListsAndTrailingBytes) {
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), Entry(3, {0})), StatusIs(StatusCode::kDataLoss));
  Bytes body = OneId(1);
  body.push_back(0);
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), Entry(3, body)), StatusIs(StatusCode::kDataLoss));
}

TEST(RecordTest, RefusesCountsBeyondTheirBytesWithoutAllocating) {
  for (uint8_t kind = 1; kind <= 11; ++kind) {
    Bytes body;
    Encoder(body).Varint(uint64_t{1} << 50);
    EXPECT_THAT(DecodeEntries(RepositoryKeys(), Entry(kind, body)), StatusIs(StatusCode::kDataLoss))
        << int{kind};
  }
}

TEST(RecordTest, RefusesTagsOutOfOrderTwiceOrTooMany) {
  const auto decode = [](std::vector<std::string> tags) {
    RecordEntries entries;
    entries.tags = {{Filled<SnapshotId>(1), std::move(tags)}};
    return DecodeEntries(RepositoryKeys(), EncodeEntries(entries));
  };
  EXPECT_OK(decode({"a", "b"}).status());
  EXPECT_THAT(decode({"b", "a"}), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(decode({"a", "a"}), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(decode({std::string(kMaxTagBytes + 1, 'a')}), StatusIs(StatusCode::kDataLoss));
  std::vector<std::string> many;
  for (size_t i = 0; i <= kMaxTags; ++i) many.push_back(std::to_string(10'000 + i));
  EXPECT_THAT(decode(many), StatusIs(StatusCode::kDataLoss));
}

TEST(RecordTest, RefusesPacksAndSnapshotsOutOfBounds) {
  RecordEntries entries;
  entries.packs = {TestPackInfo(1)};
  entries.packs[0].content = 16;
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), EncodeEntries(entries)),
              StatusIs(StatusCode::kDataLoss));
  entries.packs = {TestPackInfo(1)};
  entries.packs[0].bytes = 5 * kGiB;
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), EncodeEntries(entries)),
              StatusIs(StatusCode::kDataLoss));
  entries = {};
  entries.snapshots = {{.id = {}, .object = Bytes(kMinSnapshotObjectBytes - 1)}};
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), EncodeEntries(entries)),
              StatusIs(StatusCode::kDataLoss));
  // Not even where others make up for its bytes.
  entries.snapshots.push_back({.id = {}, .object = Bytes(2 * kMinSnapshotObjectBytes)});
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), EncodeEntries(entries)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("too short")));
  entries.snapshots = {{.id = {}, .object = Bytes(kMaxSnapshotObjectBytes + 1)}};
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), EncodeEntries(entries)),
              StatusIs(StatusCode::kDataLoss));
}

TEST(RecordTest, AFileHoldsTheWholeRecord) {
  Record record;
  record.number = 7;
  record.predecessor = Filled<RecordHash>(1);
  record.nonce.fill(2);
  record.entries = AllKinds();
  const Bytes file = EncodeRecord(RepositoryKeys(Filled<RepositoryId>(3)), record);
  ASSERT_OK_AND_ASSIGN(const Record decoded,
                       DecodeRecord(RepositoryKeys(Filled<RepositoryId>(3)), file, "name"));
  EXPECT_EQ(decoded.number, record.number);
  EXPECT_EQ(decoded.predecessor, record.predecessor);
  EXPECT_EQ(decoded.nonce, record.nonce);
  EXPECT_EQ(decoded.hash, record.hash);
  EXPECT_EQ(decoded.entries, record.entries);
  EXPECT_EQ(decoded.damage, "");
  EXPECT_THAT(DecodeRecord(RepositoryKeys(Filled<RepositoryId>(4)), file, "name"),
              StatusIs(StatusCode::kDataLoss, HasSubstr("another repository")));
}

// A program that knows no deltas stops here, and not in the middle of a pack.
TEST(RecordTest, SaysByAFlagThatAPackHasDeltas) {
  const RepositoryId repository = Filled<RepositoryId>(1);
  Record record;
  record.number = 5;
  record.entries = AllKinds();
  const Bytes plain = EncodeRecord(RepositoryKeys(repository), record);
  EXPECT_EQ(plain[12], 0);
  record.entries.packs.back().content |= kPackHasDeltas;
  Bytes file = EncodeRecord(RepositoryKeys(repository), record);
  EXPECT_EQ(file[12], 2);
  ASSERT_OK_AND_ASSIGN(const Record decoded,
                       DecodeRecord(RepositoryKeys(repository), file, "record"));
  EXPECT_EQ(decoded.entries, record.entries);
}

TEST(RecordTest, RefusesAFlagThatContradictsItsEntries) {
  Twin twin;
  twin.magic = kRecordMagic;
  twin.features = 2;
  twin.repository = Filled<RepositoryId>(1);
  twin.number = 5;
  twin.payload = EncodeEntries(AllKinds());
  EXPECT_THAT(
      DecodeRecord(RepositoryKeys(twin.repository), EncodeTwin(RepositoryKeys(), twin), "record"),
      StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace cairn
