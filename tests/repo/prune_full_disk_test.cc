// SPDX-License-Identifier: Apache-2.0
// Prune where the disk is full or nearly so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/repo/forget.h"
#include "core/repo/prune.h"
#include "core/repo/reserve.h"
#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FullDiskPruneTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kRoom = 64 * kMiB;
  FullDiskPruneTest() { test_.fs().SetCapacityBytes(kRoom); }
  PruneResult Run() { return Must(Prune(test_.repository(), PruneEverything())); }
  void LeaveRoom(uint64_t bytes) {
    test_.fs().SetCapacityBytes(kRoom);
    test_.fs().SetCapacityBytes(kRoom - Must(test_.fs().FreeBytes()) + bytes);
  }

  TestRepository test_;
};

TEST_F(FullDiskPruneTest, DeadPacksGoByMeansOfTheReserve) {
  const PackName dead = test_.AddPack({{test_.Chunk(1, kBigChunk)}});
  test_.AddSnapshot({});
  MustBeOk(EnsureReserve(test_.fs()));
  LeaveRoom(0);
  EXPECT_EQ(Run().packs_purged, 1U);
  EXPECT_FALSE(test_.HasFile(dead));
  test_.ExpectWhole();
}

TEST_F(FullDiskPruneTest, ABeginningThatFindsNoRoomIsTriedAgain) {
  for (size_t skip = 0; skip < 4; ++skip) {
    const PackName dead = test_.AddPack({{test_.Chunk(1, kBigChunk)}});
    MustBeOk(EnsureReserve(test_.fs()));
    test_.fs().FailChanges({.code = StatusCode::kResourceExhausted, .skip = skip});
    EXPECT_OK(Prune(test_.repository(), PruneEverything()));
    test_.fs().ClearFaults();
    EXPECT_FALSE(test_.HasFile(dead)) << skip;
  }
}

TEST_F(FullDiskPruneTest, RewritingWaitsUntilWholePacksHaveMadeRoom) {
  const TestBlob used = test_.Chunk(1, 10 * kBigChunk);
  const PackName partly = test_.AddPack({{used}, {test_.Chunk(2, kBigChunk)}});
  const PackName dead = test_.AddPack({{test_.Chunk(3, 15 * kBigChunk)}});
  test_.AddSnapshot({used});
  LeaveRoom(100'000);
  const PruneResult result = Run();
  EXPECT_EQ(result.packs_dropped, 1U);
  EXPECT_EQ(result.packs_rewritten, 1U);
  EXPECT_FALSE(test_.HasFile(partly));
  EXPECT_FALSE(test_.HasFile(dead));
  test_.ExpectWhole();
}

TEST_F(FullDiskPruneTest, WhatCannotBeRewrittenStays) {
  const TestBlob used = test_.Chunk(1, 10 * kBigChunk);
  const PackName partly = test_.AddPack({{used}, {test_.Chunk(2, kBigChunk)}});
  const PackName dead = test_.AddPack({{test_.Chunk(3, kBigChunk)}});
  test_.AddSnapshot({used});
  LeaveRoom(100'000);
  const PruneResult result = Run();
  EXPECT_EQ(result.packs_rewritten, 0U);
  EXPECT_TRUE(test_.HasFile(partly));
  EXPECT_FALSE(test_.HasFile(dead));
  EXPECT_THAT(test_.warnings(), Contains(HasSubstr("not rewritten")));
  EXPECT_THAT(Must(test_.repository().store().ListUnfinished()), IsEmpty());
  test_.ExpectWhole();
}

// Each pack is live in part, and what is live in the first takes all but one block of the reserve.
TEST_F(FullDiskPruneTest, PacksThatAreLiveInPartGoByMeansOfTheReserve) {
  constexpr size_t kLive = 2 * kReserveBlockBytes;
  std::vector<TestBlob> used;
  std::vector<PackName> packs;
  for (uint64_t i = 0; i < 4; ++i) {
    used.push_back(test_.Chunk(2 * i, kLive + i * 100'000));
    packs.push_back(test_.AddPack({{used.back()}, {test_.Chunk(2 * i + 1, kLive + 500'000)}}));
  }
  test_.AddSnapshot(used);
  MustBeOk(EnsureReserve(test_.fs()));
  LeaveRoom(0);
  const PruneResult result = Run();
  EXPECT_EQ(result.packs_rewritten, 4U);
  EXPECT_GT(result.bytes_freed, 4 * kLive);
  for (const PackName& pack : packs) EXPECT_FALSE(test_.HasFile(pack));
  test_.ExpectWhole();
}

TEST_F(FullDiskPruneTest, WhereNothingCanBeFreedItFailsAndTakesTheReserveBack) {
  std::vector<std::vector<TestBlob>> frames;
  std::vector<TestBlob> used;
  for (uint64_t i = 0; i < 6; ++i) {
    frames.push_back({test_.Chunk(i, 2'000'000)});
    if (i % 2 == 0) used.push_back(frames.back().front());
  }
  const PackName partly = test_.AddPack(frames);
  test_.AddSnapshot(used);
  MustBeOk(EnsureReserve(test_.fs()));
  LeaveRoom(0);
  EXPECT_THAT(Prune(test_.repository(), PruneEverything()),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("takes 2.9 MB more")));
  EXPECT_TRUE(test_.HasFile(partly));
  EXPECT_OK(test_.fs().FileSize("reserve/3"));
  EXPECT_THAT(Must(test_.repository().store().ListUnfinished()), IsEmpty());
  test_.ExpectWhole();
}

TEST_F(FullDiskPruneTest, WhatOthersFillAfterTheForgettingIsNoHindrance) {
  const PackName dead = test_.AddPack({{test_.Chunk(1, kBigChunk)}});
  const SnapshotId id = test_.AddSnapshot({test_.Chunk(1, kBigChunk)});
  MustBeOk(EnsureReserve(test_.fs()));
  LeaveRoom(0);
  ASSERT_OK(ForgetSnapshots(test_.repository(), {id}));
  LeaveRoom(0);
  EXPECT_EQ(Run().packs_purged, 2U);  // with the snapshot's nodes
  EXPECT_FALSE(test_.HasFile(dead));
}

TEST_F(FullDiskPruneTest, TheReserveIsMadeAgain) {
  Run();
  EXPECT_OK(test_.fs().FileSize("reserve/0"));
}

}  // namespace
}  // namespace cairn::testing
