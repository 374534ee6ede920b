// SPDX-License-Identifier: Apache-2.0
#include "core/repo/change_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "tests/support/encryption.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::Eq;
using ::testing::Optional;

BlobId Leaf(uint8_t number) {
  BlobId id;
  id.bytes.fill(number);
  return id;
}

MATCHER_P(HasWitness, witness, "") { return arg.witnesses.at(0) == witness; }

class ChangeCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    RepositoryConfig config;
    config.id = RandomId<RepositoryId>();
    ASSERT_OK(CreateTestRepository(fs_, config));
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(fs_, TestRepositoryOptions()));
  }

  // As a snapshot begins with it.
  std::unique_ptr<ChangeCache> Begin() {
    auto cache = std::make_unique<ChangeCache>(*repository_, "scope");
    EXPECT_OK(cache->Base());
    return cache;
  }
  // Of `entries` entries.
  static CacheRow Row(Witness witness, size_t entries = 1) {
    CacheRow row;
    row.witnesses.assign(entries, witness);
    return row;
  }
  Status Write(ChangeCache& cache, uint8_t number) {
    SnapshotId snapshot;
    snapshot.bytes.fill(number);
    return cache.Write(snapshot, Leaf(number));
  }

  MemoryFileSystem fs_;
  std::unique_ptr<Repository> repository_;
};

TEST_F(ChangeCacheTest, FindsWhatWasWrittenByDirectoryAndLeaf) {
  const auto cache = Begin();
  ASSERT_OK(cache->Put("/a", Leaf(1), Row(11)));
  EXPECT_THAT(cache->Find("/a", Leaf(1)), IsOkAndHolds(Eq(std::nullopt)));
  ASSERT_OK(Write(*cache, 9));
  EXPECT_THAT(cache->Find("/a", Leaf(1)), IsOkAndHolds(Optional(HasWitness(11u))));
  EXPECT_THAT(cache->Find("/a", Leaf(2)), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(cache->Find("/b", Leaf(1)), IsOkAndHolds(Eq(std::nullopt)));
}

TEST_F(ChangeCacheTest, APutStaysWhenTheSameIsRemoved) {
  const auto first = Begin();
  ASSERT_OK(first->Put("/a", Leaf(1), Row(11)));
  ASSERT_OK(first->Put("/a", Leaf(2), Row(12)));
  ASSERT_OK(Write(*first, 8));
  const auto second = Begin();
  ASSERT_OK(second->Put("/a", Leaf(1), Row(21)));
  ASSERT_OK(second->Remove("/a", Leaf(1)));
  ASSERT_OK(second->Remove("/a", Leaf(2)));
  ASSERT_OK(Write(*second, 9));
  EXPECT_THAT(second->Find("/a", Leaf(1)), IsOkAndHolds(Optional(HasWitness(21u))));
  EXPECT_THAT(second->Find("/a", Leaf(2)), IsOkAndHolds(Eq(std::nullopt)));
}

TEST_F(ChangeCacheTest, WhatIsTakenBackIsNotThere) {
  const auto cache = Begin();
  ASSERT_OK(cache->TakeBack("/a", Leaf(1)));
  ASSERT_OK(cache->Put("/a", Leaf(1), Row(11)));
  ASSERT_OK(cache->Put("/b", Leaf(1), Row(12)));
  ASSERT_OK(Write(*cache, 9));
  EXPECT_THAT(cache->Find("/a", Leaf(1)), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(cache->Find("/b", Leaf(1)), IsOkAndHolds(Optional(HasWitness(12u))));
}

TEST_F(ChangeCacheTest, TheFirstOfTwoRunsAtOnceIsKept) {
  const auto first = Begin();
  const auto second = Begin();
  ASSERT_OK(first->Put("/a", Leaf(1), Row(11)));
  ASSERT_OK(second->Put("/a", Leaf(1), Row(21)));
  ASSERT_OK(Write(*first, 8));
  ASSERT_OK(Write(*second, 9));
  EXPECT_THAT(second->Find("/a", Leaf(1)), IsOkAndHolds(Optional(HasWitness(11u))));
}

TEST_F(ChangeCacheTest, WritesMoreThanOneTransactionHolds) {
  constexpr size_t kEntries = 1000;
  constexpr int kDirectories = 3000;  // of 8 kB
  const auto cache = Begin();
  for (int i = 0; i < kDirectories; ++i) {
    ASSERT_OK(cache->Put(std::to_string(i), Leaf(1), Row(i + 1, kEntries)));
  }
  ASSERT_OK(Write(*cache, 9));
  for (int i = 0; i < kDirectories; ++i) {
    ASSERT_THAT(cache->Find(std::to_string(i), Leaf(1)),
                IsOkAndHolds(Optional(HasWitness(static_cast<Witness>(i) + 1))));
  }
  // And the head, once: who began before it was written comes too late, who begins now does not.
  const auto next = Begin();
  ASSERT_OK(next->Put("0", Leaf(1), Row(77, kEntries)));
  ASSERT_OK(Write(*next, 10));
  EXPECT_THAT(next->Find("0", Leaf(1)), IsOkAndHolds(Optional(HasWitness(77u))));
}

TEST(CacheRowTest, NoLeafHasSoManyEntries) {
  CacheRow row;
  row.witnesses.assign(1024, 7);
  EXPECT_OK(DecodeCacheRow(EncodeCacheRow(row)).status());
  row.witnesses.push_back(7);
  EXPECT_THAT(DecodeCacheRow(EncodeCacheRow(row)), StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace cairn::testing
