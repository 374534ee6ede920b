// SPDX-License-Identifier: Apache-2.0
#include "core/store/journal_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/base/coding.h"
#include "core/store/entry_codec.h"
#include "tests/store/store_data.h"

namespace cairn {
namespace {

using ::cairn::testing::Filled;
using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::StatusIs;
using ::cairn::testing::TestPackInfo;
using ::cairn::testing::TestSnapshot;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const PackName kA = Filled<PackName>(1);
const PackName kB = Filled<PackName>(2);

Record Next(const JournalState& state, RecordEntries entries) {
  Record record;
  record.number = state.head().number + 1;
  record.predecessor = state.head().hash;
  record.hash = Filled<RecordHash>(static_cast<uint8_t>(record.number));
  record.entries = std::move(entries);
  return record;
}

Status Apply(JournalState& state, RecordEntries entries) {
  return state.Apply(Next(state, std::move(entries)));
}

JournalState WithPacks() {
  JournalState state;
  EXPECT_OK(Apply(state, {.packs = {TestPackInfo(1), TestPackInfo(2)}}));
  return state;
}

PackState StateOf(const JournalState& state, const PackName& name) {
  const PackEntry* entry = state.FindPack(name);
  EXPECT_NE(entry, nullptr);
  return entry->state;
}

TEST(JournalStateTest, FollowsTheHead) {
  JournalState state;
  EXPECT_EQ(state.head().number, 0u);
  EXPECT_TRUE(state.head().hash.IsZero());
  ASSERT_OK(Apply(state, {}));
  ASSERT_OK(Apply(state, {}));
  EXPECT_EQ(state.head().number, 2u);
  EXPECT_EQ(state.head().hash, Filled<RecordHash>(2));
  EXPECT_THAT(state.short_hashes(),
              ElementsAre(ShortHash(Filled<RecordHash>(1)), ShortHash(Filled<RecordHash>(2))));
}

TEST(JournalStateTest, TakesTheNextRecordOnly) {
  JournalState state;
  Record record = Next(state, {});
  record.number = 2;
  EXPECT_THAT(state.Apply(record), StatusIs(StatusCode::kInternal));
  record = Next(state, {});
  record.predecessor = Filled<RecordHash>(1);
  EXPECT_THAT(state.Apply(record), StatusIs(StatusCode::kInternal));
  EXPECT_EQ(state, JournalState());
}

TEST(JournalStateTest, APackLivesIsCondemnedRescuedPurgedAndSwept) {
  JournalState state = WithPacks();
  EXPECT_EQ(StateOf(state, kA), PackState::kLive);
  ASSERT_OK(Apply(state, {.condemn = {kA, kB}}));
  EXPECT_EQ(StateOf(state, kA), PackState::kCondemned);
  EXPECT_EQ(state.FindPack(kA)->since, 2u);
  ASSERT_OK(Apply(state, {.rescue = {kB}}));
  EXPECT_EQ(StateOf(state, kB), PackState::kLive);
  EXPECT_EQ(state.FindPack(kB)->since, 3u);
  EXPECT_EQ(state.FindPack(kB)->named_at, 1u);
  ASSERT_OK(Apply(state, {.purge = {kA}}));
  EXPECT_EQ(StateOf(state, kA), PackState::kPurged);
  ASSERT_OK(Apply(state, {.swept = {kA}}));
  EXPECT_EQ(state.FindPack(kA), nullptr);
  EXPECT_THAT(state.packs(), SizeIs(1));
}

TEST(JournalStateTest, EntriesOfOneRecordTakeEffectInTheirOrder) {
  JournalState state;
  ASSERT_OK(Apply(state, {.packs = {TestPackInfo(1)}, .condemn = {kA}, .purge = {kA}}));
  EXPECT_EQ(StateOf(state, kA), PackState::kPurged);
  state = WithPacks();
  ASSERT_OK(Apply(state, {.condemn = {kA}}));
  ASSERT_OK(Apply(state, {.rescue = {kA}, .condemn = {kA}, .purge = {kA}, .swept = {kA}}));
  EXPECT_EQ(state.FindPack(kA), nullptr);
}

TEST(JournalStateTest, RefusesWhatNoCorrectWriterMakesAndStaysAsItWas) {
  JournalState state = WithPacks();
  ASSERT_OK(Apply(state, {.condemn = {kB}, .snapshots = {TestSnapshot(1)}}));
  const JournalState before = state;
  const PackName unknown = Filled<PackName>(9);
  const std::vector<RecordEntries> bad = {
      {.packs = {TestPackInfo(1)}},                   // comes twice
      {.packs = {TestPackInfo(7), TestPackInfo(7)}},  //
      {.rescue = {kA}},                               // is live
      {.rescue = {unknown}},                          //
      {.condemn = {kB}},                              // is condemned
      {.condemn = {unknown}},                         //
      {.condemn = {kA, kA}},                          //
      {.purge = {kA}},                                // is live
      {.purge = {unknown}},                           //
      {.rescue = {kB}, .purge = {kB}},                // is rescued just now
      {.swept = {kB}},                                // is not purged
      {.swept = {unknown}},                           //
      {.snapshots = {TestSnapshot(1)}},               // is there
      {.snapshots = {TestSnapshot(2), TestSnapshot(2)}},
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    RecordEntries entries = bad[i];
    entries.ended = {Filled<SessionId>(1)};
    EXPECT_THAT(state.CheckEntries(entries), StatusIs(StatusCode::kDataLoss)) << i;
    EXPECT_THAT(Apply(state, entries), StatusIs(StatusCode::kDataLoss, HasSubstr("record 3"))) << i;
    EXPECT_EQ(state, before) << i;
  }
}

TEST(JournalStateTest, APurgedPackIsFinal) {
  JournalState state = WithPacks();
  ASSERT_OK(Apply(state, {.condemn = {kA}, .purge = {kA}}));
  EXPECT_THAT(Apply(state, {.rescue = {kA}}), StatusIs(StatusCode::kDataLoss, HasSubstr("purged")));
  EXPECT_THAT(Apply(state, {.packs = {TestPackInfo(1)}}), StatusIs(StatusCode::kDataLoss));
}

TEST(JournalStateTest, SnapshotsAreHeldTaggedAndForgotten) {
  JournalState state;
  const SnapshotEntry snapshot = TestSnapshot(1);
  ASSERT_OK(Apply(state, {.snapshots = {snapshot, TestSnapshot(2)}}));
  const auto get = [&]() -> const SnapshotRecord& { return state.snapshots().at(snapshot.id); };
  EXPECT_EQ(get().snapshot, snapshot);
  EXPECT_EQ(get().record, 1u);
  EXPECT_FALSE(get().held);
  EXPECT_EQ(get().tags, std::nullopt);

  ASSERT_OK(Apply(state, {.hold = {snapshot.id}, .tags = {{snapshot.id, {"a"}}}}));
  EXPECT_TRUE(get().held);
  EXPECT_EQ(get().tags, std::vector<std::string>{"a"});
  ASSERT_OK(Apply(state, {.release = {snapshot.id}, .tags = {{snapshot.id, {}}}}));
  EXPECT_FALSE(get().held);
  EXPECT_EQ(get().tags, std::vector<std::string>{});

  ASSERT_OK(Apply(state, {.forget = {snapshot.id}}));
  EXPECT_FALSE(state.snapshots().contains(snapshot.id));
  EXPECT_THAT(state.snapshots(), SizeIs(1));
}

TEST(JournalStateTest, WhatIsSaidOfAForgottenSnapshotDoesNothing) {
  JournalState state;
  const SnapshotId gone = Filled<SnapshotId>(1);
  ASSERT_OK(
      Apply(state, {.forget = {gone}, .hold = {gone}, .release = {gone}, .tags = {{gone, {}}}}));
  EXPECT_THAT(state.snapshots(), IsEmpty());
  EXPECT_EQ(state.head().number, 1u);
}

TEST(JournalStateTest, RemembersEndedSessions) {
  JournalState state;
  ASSERT_OK(Apply(state, {.ended = {Filled<SessionId>(1)}}));
  EXPECT_TRUE(state.IsEnded(Filled<SessionId>(1)));
  EXPECT_FALSE(state.IsEnded(Filled<SessionId>(2)));
  ASSERT_OK(Apply(state, {.ended = {Filled<SessionId>(1)}}));
  EXPECT_THAT(state.ended(), ElementsAre(Filled<SessionId>(1)));
}

JournalState Rich() {
  JournalState state;
  EXPECT_OK(Apply(state, {.packs = {TestPackInfo(1), TestPackInfo(40), TestPackInfo(60)}}));
  EXPECT_OK(Apply(state, {.ended = {Filled<SessionId>(20)},
                          .condemn = {Filled<PackName>(40), Filled<PackName>(60)}}));
  EXPECT_OK(Apply(state, {.purge = {Filled<PackName>(60)},
                          .snapshots = {TestSnapshot(1), TestSnapshot(2), TestSnapshot(3)}}));
  EXPECT_OK(Apply(state, {.hold = {TestSnapshot(1).id},
                          .tags = {{TestSnapshot(2).id, {"x", "y"}}, {TestSnapshot(3).id, {}}}}));
  return state;
}

TEST(FoldTest, HoldsTheWholeState) {
  const JournalState state = Rich();
  EXPECT_THAT(DecodeFold(RepositoryKeys(), EncodeFold(state), state.head()), IsOkAndHolds(state));
}

TEST(FoldTest, DropsEndedSessionsWithoutPacksOnly) {
  JournalState state = Rich();
  ASSERT_OK(Apply(state, {.ended = {Filled<SessionId>(99)}}));
  EXPECT_THAT(state.ended(), SizeIs(2));
  ASSERT_OK_AND_ASSIGN(const JournalState folded,
                       DecodeFold(RepositoryKeys(), EncodeFold(state), state.head()));
  EXPECT_THAT(folded.ended(), ElementsAre(Filled<SessionId>(20)));
}

TEST(FoldTest, RefusesAListOfRecordsThatIsNotItsOwn) {
  const JournalState state = Rich();
  const Bytes payload = EncodeFold(state);
  EXPECT_THAT(DecodeFold(RepositoryKeys(), payload, {.number = 5, .hash = state.head().hash}),
              StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(DecodeFold(RepositoryKeys(), payload, {.number = 4, .hash = Filled<RecordHash>(9)}),
              StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(DecodeFold(RepositoryKeys(), {}, {}), StatusIs(StatusCode::kDataLoss));
}

TEST(FoldTest, EveryFlippedByteIsAnErrorOrAnotherValue) {
  const JournalState state = Rich();
  const Bytes good = EncodeFold(state);
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes payload = good;
      payload[i] = static_cast<uint8_t>(payload[i] ^ (1 << bit));
      const StatusOr<JournalState> decoded = DecodeFold(RepositoryKeys(), payload, state.head());
      if (decoded.ok()) {
        EXPECT_EQ(EncodeFold(*decoded), payload) << i;
      } else {
        EXPECT_THAT(decoded, StatusIs(StatusCode::kDataLoss)) << i;
      }
    }
  }
}

TEST(FoldTest, EveryTruncationIsAnError) {
  const JournalState state = Rich();
  const Bytes good = EncodeFold(state);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(DecodeFold(RepositoryKeys(), ByteSpan(good).first(size), state.head()),
                StatusIs(StatusCode::kDataLoss))
        << size;
  }
}

// The fold of record 4 with what an attacker would write, whose numbers and order nothing checks
// before the decoder does.
struct HandMadeFold {
  struct Pack {
    uint8_t name = 10;
    uint8_t state = 0;
    uint64_t named_at = 2;
    uint64_t since = 3;
  };
  struct Snapshot {
    SnapshotEntry entry;
    uint64_t record = 4;
    uint8_t flags = 0;
  };
  std::vector<Pack> packs = {{.name = 10}, {.name = 12}};
  std::vector<Snapshot> snapshots = {{TestSnapshot(1)}, {TestSnapshot(2)}};
  std::vector<uint8_t> ended = {5, 6};  // those of the two packs

  HandMadeFold() {
    std::ranges::sort(snapshots, {}, [](const auto& s) { return s.entry.id; });
  }
  StatusOr<JournalState> Decode() const {
    const JournalHead head{.number = 4, .hash = Filled<RecordHash>(4)};
    Bytes payload;
    Encoder encoder(payload);
    encoder.Varint(4);
    for (uint8_t i = 1; i <= 4; ++i) encoder.Raw(ShortHash(Filled<RecordHash>(i)));
    encoder.Varint(packs.size());
    for (const Pack& pack : packs) {
      EncodePackInfo(encoder, TestPackInfo(pack.name));
      encoder.Fixed8(pack.state);
      encoder.Varint(pack.named_at);
      encoder.Varint(pack.since);
    }
    encoder.Varint(snapshots.size());
    for (const Snapshot& snapshot : snapshots) {
      encoder.Raw(snapshot.entry.id.span());
      encoder.Varint(snapshot.record);
      encoder.Fixed8(snapshot.flags);
      encoder.String(snapshot.entry.object);
    }
    encoder.Varint(ended.size());
    for (const uint8_t session : ended) encoder.Raw(Filled<SessionId>(session).span());
    return DecodeFold(RepositoryKeys(), payload, head);
  }
};

TEST(FoldTest, RefusesWhatNoStateCanBe) {
  ASSERT_OK(HandMadeFold().Decode().status());
  struct Case {
    const char* error;
    std::function<void(HandMadeFold&)> edit;
  };
  const std::vector<Case> cases = {
      {"state of a pack", [](HandMadeFold& f) { f.packs[0].state = 3; }},
      {"number", [](HandMadeFold& f) { f.packs[0].named_at = 0; }},
      {"number", [](HandMadeFold& f) { f.packs[0].named_at = 4; }},  // after it took its state
      {"number", [](HandMadeFold& f) { f.packs[1].since = 5; }},     // after the fold's record
      {"packs are not in order", [](HandMadeFold& f) { std::swap(f.packs[0], f.packs[1]); }},
      {"packs are not in order", [](HandMadeFold& f) { f.packs.push_back(f.packs.back()); }},
      {"number", [](HandMadeFold& f) { f.snapshots[0].record = 0; }},
      {"number", [](HandMadeFold& f) { f.snapshots[0].record = 5; }},
      {"flags", [](HandMadeFold& f) { f.snapshots[0].flags = 4; }},
      {"not its hash", [](HandMadeFold& f) { f.snapshots[0].entry.object[7] ^= 1; }},
      {"too short",
       [](HandMadeFold& f) { f.snapshots[0].entry.object.resize(kMinSnapshotObjectBytes - 1); }},
      {"snapshots are not in order",
       [](HandMadeFold& f) { std::swap(f.snapshots[0], f.snapshots[1]); }},
      {"snapshots are not in order",
       [](HandMadeFold& f) { f.snapshots.push_back(f.snapshots.back()); }},
      {"sessions are not in order", [](HandMadeFold& f) { std::swap(f.ended[0], f.ended[1]); }},
      {"sessions are not in order", [](HandMadeFold& f) { f.ended.push_back(f.ended.back()); }},
      {"has no packs", [](HandMadeFold& f) { f.ended[1] = 7; }},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    HandMadeFold fold;
    cases[i].edit(fold);
    EXPECT_THAT(fold.Decode(), StatusIs(StatusCode::kDataLoss, HasSubstr(cases[i].error))) << i;
  }
}

TEST(FoldTest, RefusesCountsBeyondItsBytesWithoutAllocating) {
  Bytes payload;
  Encoder(payload).Varint(uint64_t{1} << 60);
  EXPECT_THAT(DecodeFold(RepositoryKeys(), payload, {.number = uint64_t{1} << 60, .hash = {}}),
              StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace cairn
