// SPDX-License-Identifier: Apache-2.0
#include "core/repo/forget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/repo/reserve.h"
#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ForgetTest : public ::testing::Test {
 protected:
  SnapshotId AddSnapshot() { return test_.AddSnapshot({}); }
  bool IsLive(const SnapshotId& id) { return test_.State().snapshots().contains(id); }
  const SnapshotRecord Record(const SnapshotId& id) { return test_.State().snapshots().at(id); }
  uint64_t Head() { return test_.State().head().number; }

  TestRepository test_;
};

TEST_F(ForgetTest, ForgetsAllInOneRecord) {
  const SnapshotId first = AddSnapshot();
  const SnapshotId second = AddSnapshot();
  const SnapshotId third = AddSnapshot();
  const uint64_t head = Head();
  ASSERT_OK_AND_ASSIGN(const ForgetResult result,
                       ForgetSnapshots(test_.repository(), {first, third}));
  EXPECT_THAT(result.forgotten, ::testing::UnorderedElementsAre(first, third));
  EXPECT_THAT(result.held, IsEmpty());
  EXPECT_EQ(Head(), head + 1);
  EXPECT_FALSE(IsLive(first));
  EXPECT_TRUE(IsLive(second));
  EXPECT_FALSE(IsLive(third));
}

TEST_F(ForgetTest, TheIndexFollows) {
  const SnapshotId id = AddSnapshot();
  MustBeOk(test_.repository().Refresh().status());
  ASSERT_OK(ForgetSnapshots(test_.repository(), {id}));
  EXPECT_THAT(test_.repository().FindSnapshot(id), StatusIs(StatusCode::kNotFound));
}

TEST_F(ForgetTest, AHeldSnapshotStays) {
  const SnapshotId held = AddSnapshot();
  const SnapshotId free = AddSnapshot();
  ASSERT_OK(HoldSnapshots(test_.repository(), {held}, true));
  ASSERT_OK_AND_ASSIGN(const ForgetResult result,
                       ForgetSnapshots(test_.repository(), {held, free}));
  EXPECT_THAT(result.held, ElementsAre(held));
  EXPECT_THAT(result.forgotten, ElementsAre(free));
  EXPECT_TRUE(IsLive(held));
}

TEST_F(ForgetTest, AReleasedSnapshotGoes) {
  const SnapshotId id = AddSnapshot();
  ASSERT_OK(HoldSnapshots(test_.repository(), {id}, true));
  ASSERT_OK(HoldSnapshots(test_.repository(), {id}, false));
  ASSERT_OK(ForgetSnapshots(test_.repository(), {id}));
  EXPECT_FALSE(IsLive(id));
}

TEST_F(ForgetTest, ASnapshotThatIsHeldAtTheLastMomentStays) {
  const SnapshotId id = AddSnapshot();
  const auto other = test_.Open();
  bool done = false;
  test_.fs().SetHook([&](const DiskOperation& operation) {
    if (operation.kind != DiskOperation::Kind::kRename || std::exchange(done, true)) {
      return OkStatus();
    }
    return HoldSnapshots(*other, {id}, true);
  });
  ASSERT_OK_AND_ASSIGN(const ForgetResult result, ForgetSnapshots(test_.repository(), {id}));
  EXPECT_TRUE(done);
  EXPECT_THAT(result.held, ElementsAre(id));
  EXPECT_THAT(result.forgotten, IsEmpty());
  EXPECT_TRUE(IsLive(id));
}

TEST_F(ForgetTest, ASnapshotThatIsGoneAlreadyIsNoError) {
  const SnapshotId id = AddSnapshot();
  ASSERT_OK(ForgetSnapshots(test_.repository(), {id}));
  const uint64_t head = Head();
  ASSERT_OK_AND_ASSIGN(const ForgetResult result, ForgetSnapshots(test_.repository(), {id}));
  EXPECT_THAT(result.forgotten, IsEmpty());
  EXPECT_EQ(Head(), head);
}

TEST_F(ForgetTest, HoldingWhatIsHeldNeedsNoRecord) {
  const SnapshotId id = AddSnapshot();
  ASSERT_OK(HoldSnapshots(test_.repository(), {id}, true));
  const uint64_t head = Head();
  ASSERT_OK(HoldSnapshots(test_.repository(), {id, id}, true));
  EXPECT_EQ(Head(), head);
  EXPECT_TRUE(Record(id).held);
}

TEST_F(ForgetTest, HoldingWhatIsNotThereIsAnErrorAndChangesNothing) {
  const SnapshotId id = AddSnapshot();
  EXPECT_THAT(HoldSnapshots(test_.repository(), {id, SnapshotId{}}, true),
              StatusIs(StatusCode::kNotFound));
  EXPECT_FALSE(Record(id).held);
}

TEST_F(ForgetTest, TagsAreAddedRemovedAndReplaced) {
  const SnapshotId id = AddSnapshot();
  ASSERT_OK(TagSnapshots(test_.repository(), {id}, {false, {"b", "a", "b"}, {}}));
  EXPECT_THAT(*Record(id).tags, ElementsAre("a", "b"));
  ASSERT_OK(TagSnapshots(test_.repository(), {id}, {false, {"c"}, {"a", "x"}}));
  EXPECT_THAT(*Record(id).tags, ElementsAre("b", "c"));
  ASSERT_OK(TagSnapshots(test_.repository(), {id}, {true, {"d"}, {}}));
  EXPECT_THAT(*Record(id).tags, ElementsAre("d"));
  ASSERT_OK(TagSnapshots(test_.repository(), {id}, {true, {}, {}}));
  EXPECT_THAT(*Record(id).tags, IsEmpty());
}

TEST_F(ForgetTest, TagsThatStayTheSameNeedNoRecord) {
  const SnapshotId id = AddSnapshot();
  const uint64_t head = Head();
  ASSERT_OK(TagSnapshots(test_.repository(), {id}, {false, {}, {"none"}}));
  EXPECT_EQ(Head(), head);
}

TEST_F(ForgetTest, TagsBeginWithThoseOfTheSnapshotItself) {
  SnapshotObject object;
  object.root = test_.Root(test_.Tree({})).ref.id;
  object.paths = {"/data"};
  object.tags = {"own"};
  RecordEntries entries;
  const Bytes bytes = EncodeSnapshotObject(object);
  entries.snapshots = {{HashSnapshotObject(test_.repository().keys(), bytes), bytes}};
  test_.Append(entries);
  const SnapshotId id = entries.snapshots.front().id;
  ASSERT_OK(TagSnapshots(test_.repository(), {id}, {false, {"more"}, {}}));
  EXPECT_THAT(*Record(id).tags, ElementsAre("more", "own"));
}

TEST_F(ForgetTest, BadTagsAreRefused) {
  const SnapshotId id = AddSnapshot();
  EXPECT_THAT(TagSnapshots(test_.repository(), {id}, {false, {""}, {}}),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(TagSnapshots(test_.repository(), {id}, {false, {std::string(1025, 'x')}, {}}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("at most 1024 bytes")));
  std::vector<std::string> many;
  for (int i = 0; i <= 1024; ++i) many.push_back(std::to_string(i));
  EXPECT_THAT(TagSnapshots(test_.repository(), {id}, {false, many, {}}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("at most 1024 tags")));
  EXPECT_THAT(TagSnapshots(test_.repository(), {SnapshotId{}}, {false, {"a"}, {}}),
              StatusIs(StatusCode::kNotFound));
}

constexpr uint64_t kReserveBytes = kMinReserveBlocks * kReserveBlockBytes;

uint64_t BytesOfReserve(MemoryFileSystem& fs) {
  uint64_t bytes = 0;
  for (const std::string& path : fs.AllPaths()) {
    if (path.starts_with("reserve/")) bytes += Must(fs.FileSize(path));
  }
  return bytes;
}

TEST(ReserveTest, IsMadeOnce) {
  MemoryFileSystem fs;
  ASSERT_OK(EnsureReserve(fs));
  EXPECT_EQ(BytesOfReserve(fs), kReserveBytes);
  const size_t operations = fs.operation_count();
  ASSERT_OK(EnsureReserve(fs));
  EXPECT_EQ(fs.operation_count(), operations);
}

TEST(ReserveTest, GrowsWithTheRepositoryUpToOnePack) {
  EXPECT_EQ(ReserveBlocks(0, 32 * kMiB), kMinReserveBlocks);
  EXPECT_EQ(ReserveBlocks(1000 * kMiB, 32 * kMiB), 20U);
  EXPECT_EQ(ReserveBlocks(1000 * kGiB, 32 * kMiB), 32U);
  EXPECT_EQ(ReserveBlocks(1000 * kGiB, 64 * kKiB), kMinReserveBlocks);
  MemoryFileSystem fs;
  ASSERT_OK(EnsureReserve(fs));
  ASSERT_OK(EnsureReserve(fs, 6));
  EXPECT_EQ(BytesOfReserve(fs), 6 * kReserveBlockBytes);
}

TEST(ReserveTest, IsGivenUpABlockAtATime) {
  MemoryFileSystem fs;
  ASSERT_OK(EnsureReserve(fs));
  for (uint64_t left = kMinReserveBlocks; left > 0; --left) {
    EXPECT_THAT(GiveUpReserveBlock(fs), IsOkAndHolds(true));
    EXPECT_EQ(BytesOfReserve(fs), (left - 1) * kReserveBlockBytes);
  }
  EXPECT_THAT(GiveUpReserveBlock(fs), IsOkAndHolds(false));
  ASSERT_OK(EnsureReserve(fs));
  EXPECT_EQ(BytesOfReserve(fs), kReserveBytes);
}

TEST(ReserveTest, IsGivenUpButForABlockForTheRecord) {
  MemoryFileSystem fs;
  ASSERT_OK(GiveUpReserve(fs));
  ASSERT_OK(EnsureReserve(fs));
  ASSERT_OK(GiveUpReserve(fs));
  EXPECT_EQ(BytesOfReserve(fs), kReserveBlockBytes);
}

TEST(ReserveTest, IsNotMadeWhereThereIsLittleRoom) {
  MemoryFileSystem fs;
  fs.SetCapacityBytes(kMinFreeForReserve - 1);
  ASSERT_OK(EnsureReserve(fs));
  EXPECT_THAT(fs.AllPaths(), IsEmpty());
}

TEST(ReserveTest, LeavesNoPartOfABlockWhereTheDiskRunsFull) {
  MemoryFileSystem fs;
  fs.FailChanges({.code = StatusCode::kResourceExhausted, .skip = 5, .partial_bytes = 100});
  ASSERT_OK(EnsureReserve(fs));
  EXPECT_EQ(BytesOfReserve(fs), kReserveBlockBytes);
}

TEST(ReserveTest, ABlockThatWasCutShortIsMadeAgain) {
  MemoryFileSystem fs;
  MustBeOk(fs.CreateDirectory("reserve"));
  MustBeOk(Must(fs.CreateNew("reserve/1"))->Append(Bytes(100)));
  ASSERT_OK(EnsureReserve(fs));
  EXPECT_EQ(BytesOfReserve(fs), kReserveBytes);
}

class FullDiskTest : public ForgetTest {
 protected:
  // No byte is left.
  void FillDisk() {
    const uint64_t capacity = 256 * kMiB;
    test_.fs().SetCapacityBytes(capacity);
    test_.fs().SetCapacityBytes(capacity - Must(test_.fs().FreeBytes()));
  }
};

TEST_F(FullDiskTest, ForgetGivesUpOneBlockOfTheReserve) {
  const SnapshotId id = AddSnapshot();
  test_.fs().SetCapacityBytes(256 * kMiB);
  ASSERT_OK(EnsureReserve(test_.fs()));
  FillDisk();
  ASSERT_OK_AND_ASSIGN(const ForgetResult result, ForgetSnapshots(test_.repository(), {id}));
  EXPECT_THAT(result.forgotten, ElementsAre(id));
  EXPECT_FALSE(IsLive(id));
  EXPECT_EQ(BytesOfReserve(test_.fs()), kReserveBytes - kReserveBlockBytes);
}

TEST_F(FullDiskTest, WithoutAReserveForgetFails) {
  const SnapshotId id = AddSnapshot();
  FillDisk();
  EXPECT_THAT(ForgetSnapshots(test_.repository(), {id}), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_TRUE(IsLive(id));
}

TEST_F(FullDiskTest, AnotherErrorLeavesTheReserveAlone) {
  const SnapshotId id = AddSnapshot();
  test_.fs().SetCapacityBytes(256 * kMiB);
  ASSERT_OK(EnsureReserve(test_.fs()));
  test_.fs().FailChanges({.code = StatusCode::kPermissionDenied});
  EXPECT_THAT(ForgetSnapshots(test_.repository(), {id}), StatusIs(StatusCode::kPermissionDenied));
  EXPECT_EQ(BytesOfReserve(test_.fs()), kReserveBytes);
}

}  // namespace
}  // namespace cairn::testing
