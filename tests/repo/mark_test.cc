// SPDX-License-Identifier: Apache-2.0
#include "core/repo/mark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class ReachableBlobsTest : public ::testing::Test {
 protected:
  void Refresh() { MustBeOk(test_.repository().Refresh().status()); }
  ReachableBlobs Create() {
    Refresh();
    return Must(ReachableBlobs::Create(test_.repository()));
  }
  std::vector<PackName> Marked(const ReachableBlobs& blobs) {
    std::vector<PackName> names;
    for (const auto& pack : blobs.MarkedPacks()) names.push_back(pack.name);
    return names;
  }

  TestRepository test_;
};

TEST_F(ReachableBlobsTest, MarksWhatTheRootsReachAndNothingElse) {
  const TestBlob used = test_.Chunk(1);
  const TestBlob unused = test_.Chunk(2);
  const PackName chunks = test_.AddPack({{unused, used}});
  const TestBlob tree = test_.Tree({used});
  const TestBlob root = test_.Root(tree);
  const TestBlob other = test_.Tree({unused});
  const PackName nodes = test_.AddPack({{root, other, tree}});

  ReachableBlobs blobs = Create();
  ASSERT_OK(blobs.Mark({root.ref}, {}));
  EXPECT_FALSE(blobs.IsMarked(chunks, 0));
  EXPECT_TRUE(blobs.IsMarked(chunks, 1));
  EXPECT_TRUE(blobs.IsMarked(nodes, 0));
  EXPECT_FALSE(blobs.IsMarked(nodes, 1));
  EXPECT_TRUE(blobs.IsMarked(nodes, 2));
  EXPECT_EQ(blobs.count(), 3U);
}

TEST_F(ReachableBlobsTest, KnowsPacksByNumberToo) {
  const TestBlob chunk = test_.Chunk(1);
  const PackName name = test_.AddPack({{test_.Chunk(2), chunk}});
  ReachableBlobs blobs = Create();
  ASSERT_OK(blobs.Mark({chunk.ref}, {}));
  const auto reader = Must(test_.repository().index().Read());
  const PackNumber number = Must(reader->FindPackByName(name))->number;
  EXPECT_FALSE(blobs.IsMarked(number, 0));
  EXPECT_TRUE(blobs.IsMarked(number, 1));
  EXPECT_FALSE(blobs.IsMarked(number, 2));
  EXPECT_FALSE(blobs.IsMarked(number + 100, 0));
}

TEST_F(ReachableBlobsTest, MarksOnlyOnePlaceOfABlob) {
  const TestBlob chunk = test_.Chunk(1);
  const PackName first = test_.AddPack({{chunk}, {chunk}});
  Refresh();  // so that it gets the lower number
  const PackName second = test_.AddPack({{chunk}});
  ReachableBlobs blobs = Create();
  ASSERT_OK(blobs.Mark({chunk.ref}, {}));
  EXPECT_EQ(blobs.count(), 1U);
  EXPECT_TRUE(blobs.IsMarked(first, 0));
  EXPECT_FALSE(blobs.IsMarked(first, 1));
  EXPECT_FALSE(blobs.IsMarked(second, 0));
}

TEST_F(ReachableBlobsTest, PrefersALivePackToACondemnedOne) {
  const TestBlob chunk = test_.Chunk(1);
  const PackName condemned = test_.AddPack({{chunk}});
  const PackName live = test_.AddPack({{chunk}});
  RecordEntries entries;
  entries.condemn = {condemned};
  test_.Append(entries);
  ReachableBlobs blobs = Create();
  ASSERT_OK(blobs.Mark({chunk.ref}, {}));
  EXPECT_THAT(Marked(blobs), ElementsAre(live));
}

TEST_F(ReachableBlobsTest, MarksInACondemnedPackWhatIsNowhereElse) {
  const TestBlob chunk = test_.Chunk(1);
  const PackName condemned = test_.AddPack({{chunk}});
  RecordEntries entries;
  entries.condemn = {condemned};
  test_.Append(entries);
  ReachableBlobs blobs = Create();
  ASSERT_OK(blobs.Mark({chunk.ref}, {}));
  EXPECT_THAT(Marked(blobs), ElementsAre(condemned));
}

TEST_F(ReachableBlobsTest, TakesMoreRootsLaterAndFindsThemInNewPacks) {
  const TestBlob old_chunk = test_.Chunk(1);
  const PackName old_pack = test_.AddPack({{old_chunk}});
  ReachableBlobs blobs = Create();
  ASSERT_OK(blobs.Mark({old_chunk.ref}, {}));

  const TestBlob new_chunk = test_.Chunk(2);
  const TestBlob tree = test_.Tree({old_chunk, new_chunk});
  const PackName new_pack = test_.AddPack({{new_chunk}, {tree}});
  Refresh();
  ASSERT_OK(blobs.Mark({tree.ref}, {}));
  EXPECT_THAT(Marked(blobs), UnorderedElementsAre(old_pack, new_pack));
  EXPECT_EQ(blobs.count(), 3U);
  EXPECT_TRUE(blobs.IsMarked(new_pack, 1));
}

TEST_F(ReachableBlobsTest, LooksAgainForABlobThatTheIndexDoesNotHaveYet) {
  ReachableBlobs blobs = Create();
  const TestBlob chunk = test_.Chunk(1);
  const PackName pack = test_.AddPack({{chunk}});
  ASSERT_OK(blobs.Mark({chunk.ref}, {}));
  EXPECT_TRUE(blobs.IsMarked(pack, 0));
}

// Directories of three levels that share much of what is below them.
class SharedTreesTest : public ReachableBlobsTest {
 protected:
  void SetUp() override {
    std::vector<TestBlob> chunks;
    for (uint64_t i = 0; i < 40; ++i) chunks.push_back(test_.Chunk(i, 100));
    std::vector<TestBlob> low;
    for (size_t i = 0; i < 60; ++i)
      low.push_back(test_.Tree({chunks[i % 40], chunks[(i * 7 + i / 40) % 40]}));
    std::vector<TestBlob> middle;
    for (size_t i = 0; i < 30; ++i) {
      middle.push_back(test_.Tree({}, {low[i], low[i + 15], low[i + 30], low[i]}));
    }
    root_ = test_.Root(test_.Tree({}, middle));
    const TestBlob top = test_.Tree({}, middle);
    blobs_ = 1 + 1 + 30 + 60 + 40;
    std::vector<TestBlob> all = low;
    all.insert(all.end(), middle.begin(), middle.end());
    all.push_back(top);
    all.push_back(root_);
    test_.AddPack({chunks});
    pack_ = test_.AddPack({all});
  }

  TestBlob root_;
  PackName pack_;
  uint64_t blobs_ = 0;
};

TEST_F(SharedTreesTest, EveryBlobIsMarkedByAnyNumberOfThreads) {
  for (const int threads : {1, 2, 8}) {
    ReachableBlobs blobs = Create();
    ASSERT_OK(blobs.Mark({root_.ref}, {.threads = threads, .stop = nullptr, .missing = nullptr}));
    EXPECT_EQ(blobs.count(), blobs_) << threads;
  }
}

TEST_F(SharedTreesTest, NodesThatFindNoRoomOnTheStackAreReadAllTheSame) {
  for (const size_t waiting : {1, 3, 17}) {
    for (const int threads : {1, 4}) {
      ReachableBlobs blobs = Create();
      ReachableBlobs::Options options;
      options.threads = threads;
      options.max_waiting = waiting;
      ASSERT_OK(blobs.Mark({root_.ref}, options));
      EXPECT_EQ(blobs.count(), blobs_) << waiting << " " << threads;
    }
  }
}

TEST_F(SharedTreesTest, StopsWhenAskedTo) {
  StopFlag stop;
  stop.Request();
  ReachableBlobs blobs = Create();
  ReachableBlobs::Options options;
  options.stop = &stop;
  EXPECT_THAT(blobs.Mark({root_.ref}, options), StatusIs(StatusCode::kCancelled));
}

TEST_F(ReachableBlobsTest, ABlobThatIsNowhereIsAnError) {
  const TestBlob chunk = test_.Chunk(1);
  const TestBlob tree = test_.Tree({chunk});
  test_.AddPack({{tree}});
  ReachableBlobs blobs = Create();
  EXPECT_THAT(blobs.Mark({tree.ref}, {}),
              StatusIs(StatusCode::kNotFound, HasSubstr(chunk.ref.id.Hex())));
}

TEST_F(ReachableBlobsTest, GoesOnWhereMissingBlobsAreTaken) {
  const TestBlob gone = test_.Chunk(1);
  const TestBlob kept = test_.Chunk(2);
  const TestBlob tree = test_.Tree({gone, kept});
  const PackName chunks = test_.AddPack({{kept}});
  test_.AddPack({{tree}});
  ReachableBlobs blobs = Create();
  ReachableBlobs::Options options;
  std::vector<BlobRef> missing;
  options.missing = [&](const BlobRef& ref, const Status& status) {
    EXPECT_THAT(status, StatusIs(StatusCode::kNotFound));
    missing.push_back(ref);
    return OkStatus();
  };
  ASSERT_OK(blobs.Mark({tree.ref}, options));
  EXPECT_THAT(missing, ElementsAre(gone.ref));
  EXPECT_TRUE(blobs.IsMarked(chunks, 0));
}

TEST_F(ReachableBlobsTest, ANodeThatCannotBeReadIsReported) {
  const TestBlob tree = test_.Tree({test_.Chunk(1)});
  const PackName pack = test_.AddPack({{tree}});
  MustBeOk(test_.fs().Damage(PackObjectName(pack),
                             [](Bytes& bytes) { bytes[kPackHeaderBytes + 3] ^= 1; }));
  ReachableBlobs blobs = Create();
  EXPECT_THAT(blobs.Mark({tree.ref}, {}),
              StatusIs(StatusCode::kDataLoss, HasSubstr(tree.ref.id.Hex())));
}

TEST(PacksOfTreeTest, NamesThePacksBelowARoot) {
  TestRepository test;
  const TestBlob chunk = test.Chunk(1);
  const PackName chunks = test.AddPack({{chunk}});
  test.AddPack({{test.Chunk(2)}});
  const TestBlob tree = test.Tree({chunk});
  const TestBlob root = test.Root(tree);
  const PackName nodes = test.AddPack({{tree, root}});
  MustBeOk(test.repository().Refresh().status());
  EXPECT_THAT(PacksOfTree(test.repository(), root.ref),
              IsOkAndHolds(UnorderedElementsAre(chunks, nodes)));
}

TEST(PacksOfTreeTest, ABlobInNoPackIsNotFound) {
  TestRepository test;
  const TestBlob tree = test.Tree({test.Chunk(1)});
  test.AddPack({{tree}});
  MustBeOk(test.repository().Refresh().status());
  EXPECT_THAT(PacksOfTree(test.repository(), tree.ref), StatusIs(StatusCode::kNotFound));
}

// Bases that are not marked are pruned away under their deltas.
TEST_F(ReachableBlobsTest, BasesAreMarkedThoughAnotherEmptiesTheIndex) {
  const TestBlob base = test_.Chunk(1);
  const TestBlob changed = test_.Variant(base, 1);
  const PackName bases = test_.AddPack({{base}});
  test_.AddDeltaPack({changed}, {base});
  ReachableBlobs blobs = Create();
  ASSERT_OK(blobs.Mark({changed.ref}, {}));
  EXPECT_FALSE(blobs.IsMarked(bases, 0));
  {
    const auto writer = Must(test_.repository().index().Write());
    ASSERT_OK(writer->Clear());
    ASSERT_OK(writer->Commit());
  }
  ASSERT_OK(blobs.MarkBases({}, nullptr));
  EXPECT_TRUE(blobs.IsMarked(bases, 0));
}

// As another prune purges them, of a snapshot that was forgotten meanwhile.
TEST_F(ReachableBlobsTest, NodesThatWaitAndGoOutOfTheIndexAreNotWaitedForForEver) {
  std::vector<TestBlob> chunks;
  std::vector<TestBlob> directories;
  std::vector<PackName> packs;
  for (uint64_t i = 0; i < 5; ++i) {
    chunks.push_back(test_.Chunk(i));
    directories.push_back(test_.Tree({chunks.back()}));
    packs.push_back(test_.AddPack({{directories.back()}}));
  }
  const TestBlob top = test_.Tree({}, directories);
  test_.AddPack({chunks});
  test_.AddPack({{top}});
  ReachableBlobs blobs = Create();
  bool purged = false;
  test_.fs().SetHook([&](const DiskOperation& operation) {
    const auto read = std::ranges::find(packs, operation.path, PackObjectName);
    if (operation.kind != DiskOperation::Kind::kRead || read == packs.end() ||
        std::exchange(purged, true)) {
      return OkStatus();
    }
    RecordEntries entries;
    for (const PackName& pack : packs) {
      if (pack != *read) entries.condemn.push_back(pack);
    }
    test_.Append(entries);
    entries.purge = std::exchange(entries.condemn, {});
    test_.Append(entries);
    return test_.repository().Refresh().status();
  });
  ReachableBlobs::Options options;
  options.max_waiting = 1;
  EXPECT_THAT(blobs.Mark({top.ref}, options), StatusIs(StatusCode::kAborted));
  EXPECT_TRUE(purged);
}

}  // namespace
}  // namespace cairn::testing
