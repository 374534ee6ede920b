// SPDX-License-Identifier: Apache-2.0
#include "core/repo/prune_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/repo/pack_assembler.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kTarget = 32 * kMiB;

// Packs are numbered by the first byte of their names.
PackUse Pack(uint8_t number, uint64_t stored, uint64_t live, uint8_t content = kPackHasChunks) {
  PackUse pack;
  pack.info.name.bytes[0] = number;
  pack.info.bytes = stored + 1000;
  pack.info.content = content;
  pack.stored_bytes = stored;
  pack.live_bytes = live;
  return pack;
}

std::vector<int> Numbers(const std::vector<PackUse>& packs) {
  std::vector<int> numbers;
  for (const PackUse& pack : packs) numbers.push_back(pack.info.name.bytes[0]);
  return numbers;
}

PruneOptions Share(double share) {
  PruneOptions options;
  options.max_unused_share = share;
  return options;
}

TEST(ChoosePacksTest, PacksWithoutAnythingLiveAreDropped) {
  const PrunePlan plan =
      ChoosePacks({Pack(1, kTarget, 0), Pack(2, kTarget, kTarget)}, Share(0), kTarget);
  EXPECT_THAT(Numbers(plan.drop), ElementsAre(1));
  EXPECT_THAT(plan.rewrite, IsEmpty());
  EXPECT_EQ(plan.used_bytes, kTarget);
  EXPECT_EQ(plan.unused_bytes, kTarget);
}

TEST(ChoosePacksTest, TheWorstAreRewrittenUntilTheRestIsWithinTheShare) {
  const std::vector<PackUse> packs = {Pack(1, kTarget, kTarget), Pack(2, kTarget, kTarget * 9 / 10),
                                      Pack(3, kTarget, kTarget / 4), Pack(4, kTarget, kTarget / 2)};
  EXPECT_THAT(Numbers(ChoosePacks(packs, Share(0), kTarget).rewrite), ElementsAre(2, 3, 4));
  // Unused are 1.35 of 4 packs; after 3 went 0.6 of 3.25, after 4 0.1 of 2.75.
  EXPECT_THAT(Numbers(ChoosePacks(packs, Share(0.15), kTarget).rewrite), ElementsAre(3, 4));
  EXPECT_THAT(Numbers(ChoosePacks(packs, Share(0.20), kTarget).rewrite), ElementsAre(3));
  EXPECT_THAT(Numbers(ChoosePacks(packs, Share(0.40), kTarget).rewrite), IsEmpty());
}

TEST(ChoosePacksTest, WhatDeadDeltasAloneHoldOnToCountsAsWasted) {
  std::vector<PackUse> packs = {Pack(1, kTarget, kTarget), Pack(2, kTarget / 8, kTarget / 8 - 100),
                                Pack(3, kTarget / 8, kTarget / 8 - 200)};
  EXPECT_THAT(ChoosePacks(packs, Share(0.05), kTarget).rewrite, IsEmpty());
  packs[1].pinned_bytes = kTarget / 4;
  EXPECT_THAT(Numbers(ChoosePacks(packs, Share(0.05), kTarget).rewrite), ElementsAre(2));
  EXPECT_THAT(ChoosePacks(packs, Share(0.25), kTarget).rewrite, IsEmpty());
}

TEST(ChoosePacksTest, TheLimitMayBeGivenInBytes) {
  const std::vector<PackUse> packs = {Pack(1, kTarget, kTarget - 10),
                                      Pack(2, kTarget, kTarget - 6)};
  PruneOptions options = Share(0);
  options.max_unused_bytes = 16;
  EXPECT_THAT(ChoosePacks(packs, options, kTarget).rewrite, IsEmpty());
  options.max_unused_bytes = 15;
  EXPECT_THAT(Numbers(ChoosePacks(packs, options, kTarget).rewrite), ElementsAre(1));
  options.max_unused_bytes = 5;
  EXPECT_THAT(Numbers(ChoosePacks(packs, options, kTarget).rewrite), ElementsAre(1, 2));
}

TEST(ChoosePacksTest, NoMoreIsRewrittenThanAllowed) {
  const std::vector<PackUse> packs = {Pack(1, kTarget, 1), Pack(2, kTarget / 2, kTarget / 4),
                                      Pack(3, kTarget / 2, kTarget / 3)};
  PruneOptions options = Share(0);
  options.max_repack_bytes = kTarget;
  EXPECT_THAT(Numbers(ChoosePacks(packs, options, kTarget).rewrite), ElementsAre(2));
  options.max_repack_bytes = 0;
  EXPECT_THAT(ChoosePacks(packs, options, kTarget).rewrite, IsEmpty());
}

TEST(ChoosePacksTest, WhatIsLeftAloneIsNeitherDroppedNorRewrittenNorMerged) {
  std::vector<PackUse> packs;
  for (uint8_t i = 0; i < 20; ++i) {
    packs.push_back(Pack(i, 1000, 1000));
    packs.back().left_alone = true;
  }
  const PrunePlan plan = ChoosePacks(packs, Share(0), kTarget);
  EXPECT_THAT(plan.drop, IsEmpty());
  EXPECT_THAT(plan.rewrite, IsEmpty());
  EXPECT_EQ(plan.used_bytes, 20'000U);
}

TEST(ChoosePacksTest, SixteenSmallPacksAreMerged) {
  std::vector<PackUse> packs;
  for (uint8_t i = 1; i <= 15; ++i) packs.push_back(Pack(i, 10'000, 10'000));
  packs.push_back(Pack(100, kTarget / 4, kTarget / 4));  // not small
  EXPECT_THAT(ChoosePacks(packs, Share(0), kTarget).rewrite, IsEmpty());
  packs.push_back(Pack(16, 10'000, 10'000));
  EXPECT_THAT(Numbers(ChoosePacks(packs, Share(0), kTarget).rewrite),
              ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
}

TEST(ChoosePacksTest, PacksOfFewBytesThatAreFullOfBlobsAreNotMerged) {
  std::vector<PackUse> packs;
  for (uint8_t i = 1; i <= 20; ++i) {
    packs.push_back(Pack(i, 10'000, 10'000));
    packs.back().blobs = PackAssembler::kMaxPackBlobs / 4;
  }
  EXPECT_THAT(ChoosePacks(packs, Share(0), kTarget).rewrite, IsEmpty());
  for (PackUse& pack : packs) --pack.blobs;
  EXPECT_THAT(ChoosePacks(packs, Share(0), kTarget).rewrite, SizeIs(20));
}

TEST(ChoosePacksTest, FewSmallPacksAreMergedIfTheyFillAPack) {
  std::vector<PackUse> packs;
  for (uint8_t i = 1; i <= 8; ++i) packs.push_back(Pack(i, kTarget / 8 - 2000, kTarget / 8 - 2000));
  EXPECT_THAT(ChoosePacks(packs, Share(0), kTarget).rewrite, IsEmpty());
  packs.push_back(Pack(9, 8000, 8000));
  EXPECT_THAT(Numbers(ChoosePacks(packs, Share(0), kTarget).rewrite),
              ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
}

TEST(ChoosePacksTest, WhatWouldComeOutAsManyPacksIsNotMergedAgainAndAgain) {
  const std::vector<PackUse> packs = {Pack(1, 5 * kMiB, 5 * kMiB, kPackHasChunks),
                                      Pack(2, 5 * kMiB, 5 * kMiB, kPackHasNodes)};
  EXPECT_THAT(ChoosePacks(packs, Share(0), kTarget).rewrite, IsEmpty());
}

TEST(ChoosePacksTest, OfEqualSharesTheLargerWasteGoesFirst) {
  const std::vector<PackUse> packs = {Pack(1, kTarget, kTarget / 2), Pack(2, 2 * kTarget, kTarget)};
  PruneOptions options = Share(0);
  options.max_unused_bytes = kTarget / 2;
  EXPECT_THAT(Numbers(ChoosePacks(packs, options, kTarget).rewrite), ElementsAre(2));
}

}  // namespace
}  // namespace cairn::testing
