// SPDX-License-Identifier: Apache-2.0
// What prune does with packs whose files have the names of others: the last of a pack stays.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/repo/prune.h"
#include "core/repo/repair.h"
#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PruneMisplacedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    live_ = test_.AddPack({{used_}});
    dead_ = test_.AddPack({{test_.Chunk(2, kBigChunk)}});
    test_.AddSnapshot({used_});
    Must(test_.repository().Refresh());  // the index knows what is in them
  }
  PruneResult Run() { return Must(Prune(test_.repository(), PruneEverything())); }
  Bytes FileOf(const PackName& name) {
    return Must(ReadWholeFile(test_.fs(), PackObjectName(name), kGiB));
  }
  void SetFile(const PackName& name, const Bytes& bytes) {
    MustBeOk(test_.fs().Damage(PackObjectName(name), [&](Bytes& file) { file = bytes; }));
  }

  TestRepository test_;
  const TestBlob used_ = test_.Chunk(1, kBigChunk);
  PackName live_;
  PackName dead_;
};

TEST_F(PruneMisplacedTest, AFileThatIsAnotherPackStays) {
  const Bytes live = FileOf(live_);
  SetFile(live_, FileOf(dead_));
  SetFile(dead_, live);
  for (size_t warned = 1; warned <= 2; ++warned) {
    const PruneResult result = Run();
    EXPECT_EQ(result.bytes_freed, 0U);
    EXPECT_EQ(FileOf(dead_), live);
    EXPECT_THAT(test_.warnings(), SizeIs(warned));
    EXPECT_THAT(test_.warnings(), Each(HasSubstr(live_.Hex())));
  }
  RepairOptions options;
  options.threads = 1;
  EXPECT_EQ(Must(Repair(*test_.Open(), options)).packs_renamed, 1U);
  EXPECT_EQ(FileOf(live_), live);
  EXPECT_FALSE(test_.HasFile(dead_));
  // By a process that has just come: this one has the files open by their old names.
  Must(Prune(*test_.Open(), PruneEverything()));
  EXPECT_FALSE(test_.IsNamed(dead_));
  test_.ExpectWhole();
}

TEST_F(PruneMisplacedTest, ThatAFileStaysIsSaidOnce) {
  const TestBlob first = test_.Chunk(3, kBigChunk);
  const TestBlob second = test_.Chunk(4, kBigChunk);
  test_.AddPack({{first}, {test_.Chunk(5, kBigChunk)}});
  test_.AddPack({{second}, {test_.Chunk(6, kBigChunk)}});
  test_.AddSnapshot({first, second});
  Must(test_.repository().Refresh());
  const Bytes live = FileOf(live_);
  SetFile(live_, FileOf(dead_));
  SetFile(dead_, live);
  PruneOptions options = PruneEverything();
  options.portion_bytes = 1;  // it sweeps after each pack
  EXPECT_EQ(Must(Prune(test_.repository(), options)).packs_rewritten, 2U);
  EXPECT_THAT(test_.warnings(), SizeIs(1));
}

TEST_F(PruneMisplacedTest, ASecondCopyOfAnotherPackGoes) {
  SetFile(dead_, FileOf(live_));
  Run();
  EXPECT_FALSE(test_.HasFile(dead_));
  EXPECT_FALSE(test_.IsNamed(dead_));
  EXPECT_THAT(test_.warnings(), IsEmpty());
  test_.ExpectWhole();
}

TEST_F(PruneMisplacedTest, PacksThatAreBothUnusedGoUnderAnyName) {
  const PackName other = test_.AddPack({{test_.Chunk(3, kBigChunk)}});
  Must(test_.repository().Refresh());
  const Bytes dead = FileOf(dead_);
  SetFile(dead_, FileOf(other));
  SetFile(other, dead);
  Run();
  EXPECT_FALSE(test_.HasFile(dead_));
  EXPECT_FALSE(test_.HasFile(other));
  EXPECT_THAT(test_.warnings(), IsEmpty());
}

TEST_F(PruneMisplacedTest, AFileThatSaysNothingOfItselfGoes) {
  SetFile(dead_, Bytes(100));
  Run();
  EXPECT_FALSE(test_.HasFile(dead_));
}

}  // namespace
}  // namespace cairn::testing
