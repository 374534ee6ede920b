// SPDX-License-Identifier: Apache-2.0
// What every Index promises. A test program includes this, and index_snapshots_conformance.h, once
// and instantiates the suite:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, IndexConformanceTest,
//                            Values(IndexMaker{"Memory", [](const std::string&) { ... }}));
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "core/index/index.h"
#include "tests/index/index_data.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {

struct IndexMaker {
  // An empty index; `directory` exists, is empty, and outlives it.
  std::unique_ptr<Index> (*make)(const std::string& directory);
};

class IndexConformanceTest : public ::testing::TestWithParam<IndexMaker> {
 protected:
  IndexConformanceTest() : index_(GetParam().make(scratch_.path())) {}

  std::unique_ptr<IndexReader> Read() {
    auto reader = index_->Read();
    if (!reader.ok()) ADD_FAILURE() << reader.status();
    return *std::move(reader);
  }

  // Makes a change and commits it.
  template <typename Change>
  void Write(Change change) {
    ASSERT_OK_AND_ASSIGN(auto writer, index_->Write());
    ASSERT_OK(change(*writer));
    ASSERT_OK(writer->Commit());
  }
  void Add(const TestPack& pack, PackState state = PackState::kLive) {
    Write([&](IndexWriter& writer) {
      return writer.AddPack(pack.info, state, pack.frames, pack.blobs);
    });
  }

  std::vector<Place> Find(const BlobRef& ref) {
    const auto places = Read()->FindBlob(ref);
    if (!places.ok()) ADD_FAILURE() << places.status();
    return {places->begin(), places->end()};
  }
  std::vector<std::pair<BlobId, PackNumber>> AllBlobs() {
    std::vector<std::pair<BlobId, PackNumber>> all;
    EXPECT_OK(Read()->ForEachBlob([&](const BlobRef& ref, const Place& place) {
      all.emplace_back(ref.id, place.pack);
      return true;
    }));
    return all;
  }
  std::vector<IndexPack> AllPacks() {
    std::vector<IndexPack> all;
    EXPECT_OK(Read()->ForEachPack([&](const IndexPack& pack) {
      all.push_back(pack);
      return true;
    }));
    return all;
  }
  std::vector<IndexSnapshot> AllSnapshots() {
    std::vector<IndexSnapshot> all;
    EXPECT_OK(Read()->ForEachSnapshot([&](const IndexSnapshot& snapshot) {
      all.push_back(snapshot);
      return true;
    }));
    return all;
  }
  // Up to `most` of them.
  std::vector<SnapshotId> SnapshotsBefore(const Timestamp& latest, size_t most = 100) {
    std::vector<SnapshotId> ids;
    EXPECT_OK(Read()->ForEachSnapshotBefore(latest, KeepIds(ids, most)));
    return ids;
  }
  std::vector<SnapshotId> SnapshotsFrom(const SnapshotId& first, size_t most = 100) {
    std::vector<SnapshotId> ids;
    EXPECT_OK(Read()->ForEachSnapshotFrom(first, KeepIds(ids, most)));
    return ids;
  }
  static std::function<bool(const IndexSnapshot&)> KeepIds(std::vector<SnapshotId>& ids,
                                                           size_t most) {
    return [&ids, most](const IndexSnapshot& snapshot) {
      ids.push_back(snapshot.id);
      return ids.size() < most;
    };
  }
  std::optional<std::string> Note(std::string_view key) {
    const auto note = Read()->FindNote(AsBytes(key));
    if (!note.ok()) ADD_FAILURE() << note.status();
    if (!*note) return std::nullopt;
    return std::string(AsText(**note));
  }

  ScratchDirectory scratch_;
  const std::unique_ptr<Index> index_;
};

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::IsTrue;
using ::testing::Optional;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

TEST_P(IndexConformanceTest, IsEmptyAtFirst) {
  EXPECT_THAT(Read()->Head(), IsOkAndHolds(IndexHead{}));
  EXPECT_THAT(Find(TestBlob(1)), IsEmpty());
  EXPECT_THAT(AllBlobs(), IsEmpty());
  EXPECT_THAT(AllPacks(), IsEmpty());
  EXPECT_THAT(AllSnapshots(), IsEmpty());
  EXPECT_THAT(Read()->FindPack(1), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(Read()->FindPackByName(TestId<PackName>(1)), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(Read()->FindFrame(1, 0), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(Read()->FindSnapshot(TestId<SnapshotId>(1)), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(Read()->FindBase(BaseId{}), IsOkAndHolds(IsEmpty()));
}

TEST_P(IndexConformanceTest, RemembersTheHead) {
  const IndexHead head{7, TestId<RecordHash>(7)};
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.SetHead(head));
    EXPECT_THAT(writer.Head(), IsOkAndHolds(head));
    return OkStatus();
  });
  EXPECT_THAT(Read()->Head(), IsOkAndHolds(head));
}

TEST_P(IndexConformanceTest, FindsABlobWithItsPlace) {
  const TestPack pack = MakePack(1, 100);
  Add(pack);
  EXPECT_THAT(Find(pack.blobs[70].ref), ElementsAre(PlaceIn(pack, 1, 70)));
  EXPECT_THAT(Find(TestBlob(999)), IsEmpty());
}

TEST_P(IndexConformanceTest, FindsPacksByNumberAndByName) {
  const TestPack pack = MakePack(1, 100);
  Add(pack, PackState::kCondemned);
  const IndexPack expected{1, pack.info, PackState::kCondemned, 2, 100};
  EXPECT_THAT(Read()->FindPack(1), IsOkAndHolds(Optional(expected)));
  EXPECT_THAT(Read()->FindPackByName(pack.info.name), IsOkAndHolds(Optional(expected)));
  EXPECT_THAT(AllPacks(), ElementsAre(expected));
}

TEST_P(IndexConformanceTest, FindsFramesWithTheirBases) {
  TestPack pack = MakePack(1, 100);
  pack.frames[1].codec = FrameCodec::kRaw;
  pack.frames[1].bases = {BaseId{1}, BaseId{2}};
  Add(pack);
  EXPECT_THAT(Read()->FindFrame(1, 0), IsOkAndHolds(Optional(pack.frames[0])));
  EXPECT_THAT(Read()->FindFrame(1, 1), IsOkAndHolds(Optional(pack.frames[1])));
  EXPECT_THAT(Read()->FindFrame(1, 2), IsOkAndHolds(Eq(std::nullopt)));
}

TEST_P(IndexConformanceTest, DoesNotFindABlobOfAnotherKind) {
  const BlobRef tree = TestBlob(1, BlobKind::kTree);
  Add(MakePack(1, {tree}));
  EXPECT_THAT(Find(tree), SizeIs(1));
  EXPECT_THAT(Find(TestBlob(1, BlobKind::kChunk)), IsEmpty());
  EXPECT_THAT(Find(TestBlob(1, BlobKind::kRoot)), IsEmpty());
}

TEST_P(IndexConformanceTest, KeepsAllPlacesOfABlobInAscendingOrder) {
  const BlobRef ref = TestBlob(5);
  const TestPack first = MakePack(1, {TestBlob(4), ref});
  const TestPack second = MakePack(2, {ref, ref});
  const TestPack third = MakePack(3, {TestBlob(6), TestBlob(7), ref});
  Add(first);
  Write([&](IndexWriter& writer) {
    const PackContents both[] = {third.Contents(), second.Contents()};
    return writer.AddPacks(both);
  });
  EXPECT_THAT(Find(ref), ElementsAre(PlaceIn(first, 1, 1), PlaceIn(third, 2, 2),
                                     PlaceIn(second, 3, 0), PlaceIn(second, 3, 1)));
}

TEST_P(IndexConformanceTest, AddingACompletePackSetsItsStateOnly) {
  const TestPack pack = MakePack(1, 3);
  Add(pack);
  TestPack other = MakePack(2, 5);
  other.info.name = pack.info.name;
  Add(other, PackState::kCondemned);
  EXPECT_THAT(AllPacks(), ElementsAre(IndexPack{1, pack.info, PackState::kCondemned, 1, 3}));
  EXPECT_THAT(AllBlobs(), SizeIs(3));
  EXPECT_THAT(Find(other.blobs[0].ref), IsEmpty());
}

// The places of packs that were begun with these numbers, in ascending order of ids.
inline std::vector<PlacedBlob> PlacesOf(
    const std::vector<std::pair<PackNumber, const TestPack*>>& packs) {
  std::vector<PlacedBlob> places;
  for (const auto& [number, pack] : packs) {
    for (uint32_t i = 0; i < pack->blobs.size(); ++i) {
      places.push_back({pack->blobs[i].ref, PlaceIn(*pack, number, i)});
    }
  }
  std::sort(places.begin(), places.end(), [](const PlacedBlob& a, const PlacedBlob& b) {
    return std::tie(a.ref.id, a.ref.kind, a.place) < std::tie(b.ref.id, b.ref.kind, b.place);
  });
  return places;
}

inline StatusOr<std::optional<PackNumber>> Begin(IndexWriter& writer, const TestPack& pack) {
  return writer.BeginPack(pack.info, pack.frames, static_cast<uint32_t>(pack.blobs.size()));
}

TEST_P(IndexConformanceTest, PlacesOfABegunPackCountOnceItIsComplete) {
  const BlobRef shared = TestBlob(1);
  const TestPack whole = MakePack(1, {shared});
  const TestPack begun = MakePack(2, {TestBlob(2), shared});
  Add(whole);
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_THAT(Begin(writer, begun), IsOkAndHolds(Optional(PackNumber{2})));
    return OkStatus();
  });
  const auto places = PlacesOf({{2, &begun}});
  for (const PlacedBlob& place : places) {
    Write([&](IndexWriter& writer) { return writer.AddPlaces(std::span(&place, 1)); });
    EXPECT_THAT(Find(shared), ElementsAre(PlaceIn(whole, 1, 0)));
    EXPECT_THAT(Find(TestBlob(2)), IsEmpty());
    EXPECT_THAT(AllBlobs(), SizeIs(1));
  }
  EXPECT_THAT(AllPacks(), ElementsAre(Field(&IndexPack::state, PackState::kLive),
                                      IndexPack{2, begun.info, PackState::kPurged, 1, 2}));
  Write([&](IndexWriter& writer) {
    return writer.SetPackState(begun.info.name, PackState::kCondemned);
  });
  EXPECT_THAT(Find(shared), ElementsAre(PlaceIn(whole, 1, 0), PlaceIn(begun, 2, 1)));
  EXPECT_THAT(Find(TestBlob(2)), ElementsAre(PlaceIn(begun, 2, 0)));
  EXPECT_THAT(Read()->FindPack(2),
              IsOkAndHolds(Optional(IndexPack{2, begun.info, PackState::kCondemned, 1, 2})));
  EXPECT_THAT(Read()->FindFrame(2, 0), IsOkAndHolds(Optional(begun.frames[0])));
}

TEST_P(IndexConformanceTest, BeginningAgainGivesTheSameNumberAndTheSameRows) {
  const TestPack pack = MakePack(1, 300);
  const auto places = PlacesOf({{1, &pack}});
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_THAT(Begin(writer, pack), IsOkAndHolds(Optional(PackNumber{1})));
    EXPECT_THAT(Begin(writer, pack), IsOkAndHolds(Optional(PackNumber{1})));
    return writer.AddPlaces(std::span(places).first(200));
  });
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_THAT(Begin(writer, pack), IsOkAndHolds(Optional(PackNumber{1})));
    EXPECT_OK(writer.AddPlaces(places));
    EXPECT_OK(writer.AddPlaces(std::span(places).subspan(100)));
    return writer.SetPackState(pack.info.name, PackState::kLive);
  });
  EXPECT_THAT(AllPacks(), ElementsAre(IndexPack{1, pack.info, PackState::kLive, 5, 300}));
  EXPECT_THAT(AllBlobs(), SizeIs(300));
  for (uint32_t i = 0; i < 300; ++i) {
    EXPECT_THAT(Find(pack.blobs[i].ref), ElementsAre(PlaceIn(pack, 1, i)));
  }
}

TEST_P(IndexConformanceTest, DoesNotBeginAPackThatIsComplete) {
  const TestPack live = MakePack(1, 3);
  const TestPack added = MakePack(2, 3);
  const TestPack removed = MakePack(3, 3);
  Add(live);
  Add(removed);
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_THAT(Begin(writer, live), IsOkAndHolds(Eq(std::nullopt)));
    EXPECT_OK(writer.AddPack(added.info, PackState::kCondemned, added.frames, added.blobs));
    EXPECT_THAT(Begin(writer, added), IsOkAndHolds(Eq(std::nullopt)));
    EXPECT_OK(RemovePack(writer, removed));
    EXPECT_THAT(Begin(writer, removed), IsOkAndHolds(Optional(PackNumber{4})));
    EXPECT_OK(writer.Clear());
    EXPECT_THAT(Begin(writer, live), IsOkAndHolds(Optional(PackNumber{5})));
    return OkStatus();
  });
  EXPECT_THAT(AllPacks(), ElementsAre(IndexPack{5, live.info, PackState::kPurged, 1, 3}));
}

TEST_P(IndexConformanceTest, BeginningWithWhatWasNotReadBeforeReplacesIt) {
  const TestPack pack = MakePack(1, 100);
  Write([&](IndexWriter& writer) { return writer.BeginPack(pack.info, {}, 0).status(); });
  Write([&](IndexWriter& writer) { return Begin(writer, pack).status(); });
  EXPECT_THAT(Read()->FindFrame(1, 1), IsOkAndHolds(Optional(pack.frames[1])));
  // And one who cannot read it any more takes nothing away.
  Write([&](IndexWriter& writer) { return writer.BeginPack(pack.info, {}, 0).status(); });
  EXPECT_THAT(Read()->FindPack(1),
              IsOkAndHolds(Optional(IndexPack{1, pack.info, PackState::kPurged, 2, 100})));
}

TEST_P(IndexConformanceTest, AddingAPackThatWasBegunCompletesIt) {
  const TestPack pack = MakePack(1, 100);
  const auto places = PlacesOf({{1, &pack}});
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_OK(Begin(writer, pack));
    return writer.AddPlaces(std::span(places).first(50));
  });
  Add(pack);
  EXPECT_THAT(AllPacks(), ElementsAre(IndexPack{1, pack.info, PackState::kLive, 2, 100}));
  EXPECT_THAT(AllBlobs(), SizeIs(100));
}

TEST_P(IndexConformanceTest, AddsPlacesOfManyPacksInAnyOrder) {
  const TestPack first = MakePack(1, 500);
  const TestPack second = MakePack(2, 500);
  auto places = PlacesOf({{1, &first}, {2, &second}});
  std::rotate(places.begin(), places.begin() + 300, places.end());
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_OK(Begin(writer, first));
    return Begin(writer, second).status();
  });
  for (size_t at = 0; at < places.size(); at += 100) {
    Write(
        [&](IndexWriter& writer) { return writer.AddPlaces(std::span(places).subspan(at, 100)); });
  }
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.SetPackState(first.info.name, PackState::kLive));
    return writer.SetPackState(second.info.name, PackState::kLive);
  });
  const auto all = AllBlobs();
  EXPECT_THAT(all, SizeIs(1000));
  EXPECT_THAT(std::is_sorted(all.begin(), all.end()), IsTrue());
  EXPECT_THAT(Find(second.blobs[77].ref), ElementsAre(PlaceIn(second, 2, 77)));
}

TEST_P(IndexConformanceTest, AddsAPackThatStandsTwiceInOneCallOnce) {
  const TestPack pack = MakePack(1, 3);
  Write([&](IndexWriter& writer) {
    const PackContents twice[] = {pack.Contents(), pack.Contents(PackState::kCondemned)};
    return writer.AddPacks(twice);
  });
  EXPECT_THAT(AllPacks(), ElementsAre(IndexPack{1, pack.info, PackState::kCondemned, 1, 3}));
  EXPECT_THAT(AllBlobs(), SizeIs(3));
}

TEST_P(IndexConformanceTest, FindsBlobsOfCondemnedPacks) {
  const TestPack pack = MakePack(1, 3);
  Add(pack, PackState::kCondemned);
  EXPECT_THAT(Find(pack.blobs[0].ref), SizeIs(1));
}

TEST_P(IndexConformanceTest, LeavesOutPlacesInPurgedPacks) {
  const BlobRef shared = TestBlob(1);
  const TestPack kept = MakePack(1, {shared});
  const TestPack purged = MakePack(2, {TestBlob(2), shared});
  Add(kept);
  Add(purged);
  Write([&](IndexWriter& writer) {
    return writer.SetPackState(purged.info.name, PackState::kPurged);
  });
  EXPECT_THAT(Find(shared), ElementsAre(PlaceIn(kept, 1, 0)));
  EXPECT_THAT(Find(TestBlob(2)), IsEmpty());
  EXPECT_THAT(AllBlobs(), ElementsAre(std::pair(shared.id, PackNumber{1})));
  EXPECT_THAT(AllPacks(), SizeIs(2));
  BaseId base;
  std::copy_n(TestBlob(2).id.bytes.begin(), base.size(), base.begin());
  EXPECT_THAT(Read()->FindBase(base), IsOkAndHolds(IsEmpty()));
}

TEST_P(IndexConformanceTest, FindsPlacesAgainInAPackThatIsNoLongerPurged) {
  const TestPack pack = MakePack(1, 3);
  Add(pack, PackState::kPurged);
  EXPECT_THAT(Find(pack.blobs[0].ref), IsEmpty());
  Add(pack, PackState::kLive);
  EXPECT_THAT(Find(pack.blobs[0].ref), SizeIs(1));
}

TEST_P(IndexConformanceTest, IgnoresTheStateOfUnknownPacks) {
  Write([&](IndexWriter& writer) {
    return writer.SetPackState(TestId<PackName>(1), PackState::kPurged);
  });
  EXPECT_THAT(AllPacks(), IsEmpty());
}

TEST_P(IndexConformanceTest, RemovesAPackAndItsPlaces) {
  const BlobRef shared = TestBlob(1);
  const TestPack kept = MakePack(1, {shared, TestBlob(2)});
  const TestPack removed = MakePack(2, {TestBlob(3), shared});
  Add(kept);
  Add(removed);
  Write([&](IndexWriter& writer) { return RemovePack(writer, removed); });
  EXPECT_THAT(Find(shared), ElementsAre(PlaceIn(kept, 1, 0)));
  EXPECT_THAT(Find(TestBlob(3)), IsEmpty());
  EXPECT_THAT(AllBlobs(), SizeIs(2));
  EXPECT_THAT(AllPacks(), SizeIs(1));
  EXPECT_THAT(Read()->FindPackByName(removed.info.name), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(Read()->FindFrame(2, 0), IsOkAndHolds(Eq(std::nullopt)));
}

TEST_P(IndexConformanceTest, RemovesPacksByAWalk) {
  std::vector<TestPack> packs;
  for (uint64_t i = 1; i <= 5; ++i) {
    packs.push_back(MakePack(i, {TestBlob(0), TestBlob(i), TestBlob(100 + i)}));
    Add(packs.back(), i == 4 ? PackState::kPurged : PackState::kLive);
  }
  Write([&](IndexWriter& writer) {
    const PackName names[] = {packs[1].info.name, packs[3].info.name, TestId<PackName>(77)};
    return RemovePacks(writer, names);
  });
  EXPECT_THAT(Find(TestBlob(0)),
              ElementsAre(Field(&Place::pack, 1), Field(&Place::pack, 3), Field(&Place::pack, 5)));
  EXPECT_THAT(Find(TestBlob(2)), IsEmpty());
  EXPECT_THAT(AllBlobs(), SizeIs(9));
  EXPECT_THAT(AllPacks(), SizeIs(3));
}

TEST_P(IndexConformanceTest, RemovesManyPlacesInSeveralTransactions) {
  const TestPack kept = MakePack(1, 30'000);
  const TestPack removed = MakePack(2, 30'000);
  Add(kept);
  Add(removed);
  BlobId from;
  bool done = false;
  while (!done) {
    Write([&](IndexWriter& writer) -> Status {
      ASSIGN_OR_RETURN(done, writer.RemovePacks({&removed.info.name, 1}, from));
      return OkStatus();
    });
    // From the first one on.
    ASSERT_THAT(Find(removed.blobs[0].ref), IsEmpty());
    ASSERT_THAT(Find(removed.blobs[29'999].ref), IsEmpty());
  }
  EXPECT_THAT(AllPacks(), SizeIs(1));
  EXPECT_THAT(AllBlobs(), SizeIs(30'000));
}

TEST_P(IndexConformanceTest, NeverReusesANumber) {
  const TestPack first = MakePack(1, 3);
  Add(first);
  Write([&](IndexWriter& writer) { return RemovePack(writer, first); });
  Add(MakePack(2, 3));
  Write([](IndexWriter& writer) { return writer.Clear(); });
  Add(first);
  EXPECT_THAT(AllPacks(), ElementsAre(Field(&IndexPack::number, 3)));
}

TEST_P(IndexConformanceTest, VisitsBlobsInTheOrderOfTheirIds) {
  for (uint64_t i = 1; i <= 3; ++i) Add(MakePack(i, 500));
  const auto all = AllBlobs();
  EXPECT_THAT(all, SizeIs(1500));
  EXPECT_THAT(std::is_sorted(all.begin(), all.end()), IsTrue());
}

TEST_P(IndexConformanceTest, StopsAVisitWhenToldTo) {
  Add(MakePack(1, 10));
  Add(MakePack(2, 10));
  Write([](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.PutSnapshot(MakeSnapshot(1, 1)));
    return writer.PutSnapshot(MakeSnapshot(2, 2));
  });
  const auto reader = Read();
  int visits = 0;
  EXPECT_OK(reader->ForEachBlob([&](const BlobRef&, const Place&) { return ++visits < 4; }));
  EXPECT_EQ(visits, 4);
  visits = 0;
  EXPECT_OK(reader->ForEachPack([&](const IndexPack&) { return ++visits < 1; }));
  EXPECT_EQ(visits, 1);
  visits = 0;
  EXPECT_OK(reader->ForEachSnapshot([&](const IndexSnapshot&) { return ++visits < 1; }));
  EXPECT_EQ(visits, 1);
}

TEST_P(IndexConformanceTest, CountsAllPlaces) {
  EXPECT_THAT(Read()->CountPlaces(), IsOkAndHolds(0));
  Add(MakePack(1, 200));
  Add(MakePack(2, {MakePack(1, 200).blobs[0].ref}));
  EXPECT_THAT(Read()->CountPlaces(), IsOkAndHolds(201));
}

TEST_P(IndexConformanceTest, LetsAVisitorCallTheReader) {
  const TestPack pack = MakePack(1, 200);
  Add(pack);
  const auto reader = Read();
  int visits = 0;
  EXPECT_OK(reader->ForEachBlob([&](const BlobRef& ref, const Place& place) {
    EXPECT_THAT(reader->FindBlob(ref), IsOkAndHolds(ElementsAre(place)));
    EXPECT_THAT(reader->FindBlob(pack.blobs[0].ref), IsOkAndHolds(SizeIs(1)));
    return ++visits < 1000;
  }));
  EXPECT_EQ(visits, 200);
}

TEST_P(IndexConformanceTest, FindsAllPlacesThatABaseCanMean) {
  BlobRef first = TestBlob(1);
  BlobRef second = first;
  second.id.bytes[31] ^= 1;
  BlobRef tree = first;
  tree.kind = BlobKind::kTree;
  BlobRef neighbour = first;
  neighbour.id.bytes[15] ^= 1;
  Add(MakePack(1, {first, second, neighbour, tree}));
  Add(MakePack(2, {first}));
  BaseId base;
  std::copy_n(first.id.bytes.begin(), base.size(), base.begin());
  ASSERT_OK_AND_ASSIGN(const std::vector<PlacedBlob> places, Read()->FindBase(base));
  std::vector<std::pair<BlobRef, PackNumber>> found;
  for (const PlacedBlob& each : places) found.emplace_back(each.ref, each.place.pack);
  EXPECT_THAT(found, UnorderedElementsAre(std::pair(first, 1), std::pair(first, 2),
                                          std::pair(second, 1), std::pair(tree, 1)));
  for (const auto& [ref, place] : places) {
    EXPECT_THAT(Read()->FindBlob(ref), IsOkAndHolds(Contains(place)));
  }
}

TEST_P(IndexConformanceTest, KeepsReplacesAndRemovesNotes) {
  const std::string long_key(kMaxNoteKeyBytes, 'k');
  const std::string long_value(50'000, 'v');
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.PutNote(AsBytes("a"), AsBytes("1")));
    EXPECT_OK(writer.PutNote(AsBytes("b"), AsBytes("")));
    EXPECT_OK(writer.PutNote(AsBytes("c"), AsBytes("3")));
    EXPECT_THAT(writer.FindNote(AsBytes("c")), IsOkAndHolds(Optional(ToBytes("3"))));
    return writer.PutNote(AsBytes(long_key), AsBytes(long_value));
  });
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.PutNote(AsBytes("a"), AsBytes("2")));
    EXPECT_OK(writer.RemoveNote(AsBytes("c")));
    EXPECT_OK(writer.RemoveNote(AsBytes("d")));
    EXPECT_THAT(writer.FindNote(AsBytes("a")), IsOkAndHolds(Optional(ToBytes("2"))));
    EXPECT_THAT(writer.FindNote(AsBytes("b")), IsOkAndHolds(Optional(Bytes())));
    EXPECT_THAT(writer.FindNote(AsBytes("c")), IsOkAndHolds(Eq(std::nullopt)));
    return OkStatus();
  });
  EXPECT_EQ(Note("a"), "2");
  EXPECT_EQ(Note("b"), "");
  EXPECT_EQ(Note("c"), std::nullopt);
  EXPECT_EQ(Note(long_key), long_value);
}

TEST_P(IndexConformanceTest, RefusesNotesWithoutAKeyOrWithOneTooLong) {
  const std::string too_long(kMaxNoteKeyBytes + 1, 'k');
  EXPECT_THAT(Read()->FindNote(AsBytes(too_long)), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Read()->FindNote({}), StatusIs(StatusCode::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(auto writer, index_->Write());
  EXPECT_THAT(writer->PutNote(AsBytes(too_long), {}), StatusIs(StatusCode::kInvalidArgument));
}

TEST_P(IndexConformanceTest, RemovesNotesByPrefix) {
  Write([](IndexWriter& writer) -> Status {
    for (const char* key : {"cache/a", "cache/b", "cache/", "cache", "cachf", "a", "z"}) {
      EXPECT_OK(writer.PutNote(AsBytes(key), AsBytes(key)));
    }
    return OkStatus();
  });
  Write([](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.PutNote(AsBytes("cache/new"), {}));
    EXPECT_OK(writer.RemoveNotes(AsBytes("cache/")));
    EXPECT_THAT(writer.FindNote(AsBytes("cache/a")), IsOkAndHolds(Eq(std::nullopt)));
    return writer.PutNote(AsBytes("cache/after"), {});
  });
  for (const char* key : {"cache/a", "cache/b", "cache/", "cache/new"}) {
    EXPECT_EQ(Note(key), std::nullopt) << key;
  }
  for (const char* key : {"cache", "cachf", "a", "z"}) EXPECT_EQ(Note(key), key);
  EXPECT_EQ(Note("cache/after"), "");
}

TEST_P(IndexConformanceTest, RemovesManyNotesByPrefix) {
  Write([](IndexWriter& writer) -> Status {
    for (int i = 0; i < 3000; ++i) {
      RETURN_IF_ERROR(writer.PutNote(AsBytes((i % 2 ? "odd/" : "even/") + std::to_string(i)),
                                     Bytes(static_cast<size_t>(i % 500))));
    }
    return writer.RemoveNotes(AsBytes("even/"));
  });
  for (int i = 0; i < 3000; ++i) {
    EXPECT_EQ(Note("even/" + std::to_string(i)), std::nullopt);
    EXPECT_EQ(Note("odd/" + std::to_string(i)).has_value(), i % 2 == 1);
  }
}

TEST_P(IndexConformanceTest, RemovesAllNotesByTheEmptyPrefix) {
  Write([](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.PutNote(AsBytes("a"), {}));
    return writer.PutNote(Bytes(8, 0xff), {});
  });
  Write([](IndexWriter& writer) { return writer.RemoveNotes({}); });
  EXPECT_EQ(Note("a"), std::nullopt);
  EXPECT_EQ(Note("\xff\xff\xff\xff\xff\xff\xff\xff"), std::nullopt);
}

TEST_P(IndexConformanceTest, ClearForgetsEverythingButTheNotes) {
  Write([](IndexWriter& writer) -> Status {
    const TestPack pack = MakePack(1, 3);
    EXPECT_OK(writer.SetHead({1, TestId<RecordHash>(1)}));
    EXPECT_OK(writer.AddPack(pack.info, PackState::kPurged, pack.frames, pack.blobs));
    EXPECT_OK(writer.PutSnapshot(MakeSnapshot(1, 1)));
    return writer.PutNote(AsBytes("note"), AsBytes("kept"));
  });
  Write([](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.Clear());
    EXPECT_THAT(writer.Head(), IsOkAndHolds(IndexHead{}));
    return OkStatus();
  });
  EXPECT_THAT(Read()->Head(), IsOkAndHolds(IndexHead{}));
  EXPECT_THAT(AllBlobs(), IsEmpty());
  EXPECT_THAT(AllPacks(), IsEmpty());
  EXPECT_THAT(AllSnapshots(), IsEmpty());
  EXPECT_THAT(Read()->FindFrame(1, 0), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_EQ(Note("note"), "kept");
}

TEST_P(IndexConformanceTest, FillsAgainInTheTransactionThatCleared) {
  Add(MakePack(1, 3));
  const TestPack pack = MakePack(2, 5);
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.Clear());
    return writer.AddPack(pack.info, PackState::kLive, pack.frames, pack.blobs);
  });
  EXPECT_THAT(AllBlobs(), SizeIs(5));
}

TEST_P(IndexConformanceTest, AReaderSeesOneStateWhateverIsWritten) {
  const TestPack first = MakePack(1, 50);
  const TestPack second = MakePack(2, 50);
  Add(first);
  ASSERT_OK_AND_ASSIGN(auto writer, index_->Write());
  const auto before = Read();
  ASSERT_OK(writer->AddPack(second.info, PackState::kLive, second.frames, second.blobs));
  ASSERT_OK(RemovePack(*writer, first));
  ASSERT_OK(writer->SetHead({2, TestId<RecordHash>(2)}));
  ASSERT_OK(writer->PutNote(AsBytes("note"), {}));
  const auto during = Read();
  ASSERT_OK(writer->Commit());
  for (const auto& reader : {before.get(), during.get()}) {
    EXPECT_THAT(reader->Head(), IsOkAndHolds(IndexHead{}));
    EXPECT_THAT(reader->FindBlob(first.blobs[0].ref), IsOkAndHolds(SizeIs(1)));
    EXPECT_THAT(reader->FindBlob(second.blobs[0].ref), IsOkAndHolds(IsEmpty()));
    EXPECT_THAT(reader->FindNote(AsBytes("note")), IsOkAndHolds(Eq(std::nullopt)));
  }
  EXPECT_THAT(Find(first.blobs[0].ref), IsEmpty());
  EXPECT_THAT(Find(second.blobs[0].ref), SizeIs(1));
  EXPECT_EQ(Note("note"), "");
}

TEST_P(IndexConformanceTest, AWriterThatDoesNotCommitLeavesNothing) {
  const TestPack pack = MakePack(1, 50);
  {
    ASSERT_OK_AND_ASSIGN(auto writer, index_->Write());
    ASSERT_OK(writer->AddPack(pack.info, PackState::kLive, pack.frames, pack.blobs));
    ASSERT_OK(writer->SetHead({2, TestId<RecordHash>(2)}));
    ASSERT_OK(writer->PutSnapshot(MakeSnapshot(1, 1)));
    ASSERT_OK(writer->PutNote(AsBytes("note"), {}));
  }
  EXPECT_THAT(Read()->Head(), IsOkAndHolds(IndexHead{}));
  EXPECT_THAT(AllPacks(), IsEmpty());
  EXPECT_THAT(AllBlobs(), IsEmpty());
  EXPECT_THAT(AllSnapshots(), IsEmpty());
  EXPECT_EQ(Note("note"), std::nullopt);
}

TEST_P(IndexConformanceTest, AFailedWriterFailsToCommit) {
  ASSERT_OK_AND_ASSIGN(auto writer, index_->Write());
  ASSERT_OK(writer->SetHead({2, TestId<RecordHash>(2)}));
  EXPECT_THAT(writer->RemoveNote({}), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(writer->SetHead({3, {}}), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(writer->Commit(), StatusIs(StatusCode::kInvalidArgument));
  writer.reset();
  EXPECT_THAT(Read()->Head(), IsOkAndHolds(IndexHead{}));
}

TEST_P(IndexConformanceTest, ACommittedWriterIsOfNoUse) {
  ASSERT_OK_AND_ASSIGN(auto writer, index_->Write());
  ASSERT_OK(writer->Commit());
  EXPECT_THAT(writer->SetHead({1, {}}), StatusIs(StatusCode::kInternal));
  EXPECT_THAT(writer->Commit(), StatusIs(StatusCode::kInternal));
}

TEST_P(IndexConformanceTest, WritersOfSeveralThreadsTakeTurns) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 25;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this] {
      for (int round = 0; round < kRounds; ++round) {
        Write([](IndexWriter& writer) -> Status {
          ASSIGN_OR_RETURN(const IndexHead head, writer.Head());
          return writer.SetHead({head.number + 1, head.hash});
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Read()->Head(), IsOkAndHolds(Field(&IndexHead::number, kThreads * kRounds)));
}

TEST_P(IndexConformanceTest, ReadersOfSeveralThreadsSeeWholeTransactions) {
  constexpr uint64_t kPacks = 60;
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, this] {
      while (!done) {
        const auto reader = Read();
        const auto head = reader->Head();
        ASSERT_OK(head);
        size_t packs = 0;
        ASSERT_OK(reader->ForEachPack([&](const IndexPack&) { return ++packs > 0; }));
        ASSERT_EQ(packs, head->number);
        if (packs == 0) continue;
        ASSERT_THAT(reader->FindBlob(TestBlob(packs << 32)), IsOkAndHolds(SizeIs(1)));
        ASSERT_THAT(reader->FindBlob(TestBlob((packs + 1) << 32)), IsOkAndHolds(IsEmpty()));
      }
    });
  }
  for (uint64_t i = 1; i <= kPacks; ++i) {
    Write([i](IndexWriter& writer) -> Status {
      const TestPack pack = MakePack(i, 20);
      RETURN_IF_ERROR(writer.AddPack(pack.info, PackState::kLive, pack.frames, pack.blobs));
      return writer.SetHead({i, {}});
    });
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace cairn::testing
