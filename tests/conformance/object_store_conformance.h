// SPDX-License-Identifier: Apache-2.0
// What every ObjectStore promises. A test program includes this once and instantiates the suite:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, ObjectStoreConformanceTest,
//                            Values(ObjectStoreMaker{[] { return ...; }}));
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "core/store/object_store.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {

// An empty store together with whatever it stands on.
class ObjectStoreFixture {
 public:
  virtual ~ObjectStoreFixture() = default;
  virtual ObjectStore& store() = 0;
};

struct ObjectStoreMaker {
  std::unique_ptr<ObjectStoreFixture> (*make)();
};

class ObjectStoreConformanceTest : public ::testing::TestWithParam<ObjectStoreMaker> {
 protected:
  ObjectStoreConformanceTest() : fixture_(GetParam().make()), store_(fixture_->store()) {}

  Status Put(const std::string& name, std::string_view content) {
    return store_.PutIfAbsent(name, AsBytes(content), nullptr);
  }
  StatusOr<std::string> Get(const std::string& name) {
    ASSIGN_OR_RETURN(const Bytes bytes, store_.ReadAll(name, 64 * kMiB));
    return std::string(AsText(bytes));
  }
  StatusOr<std::string> GetRange(const std::string& name, uint64_t offset, size_t size) {
    std::string text(size, '?');
    ASSIGN_OR_RETURN(
        const size_t got,
        store_.ReadAt(name, offset, {reinterpret_cast<uint8_t*>(text.data()), text.size()}));
    text.resize(got);
    return text;
  }

  const std::unique_ptr<ObjectStoreFixture> fixture_;
  ObjectStore& store_;
};

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

TEST_P(ObjectStoreConformanceTest, HoldsWhatWasPut) {
  ASSERT_OK(Put("config", "content"));
  EXPECT_THAT(Get("config"), IsOkAndHolds("content"));
  EXPECT_THAT(store_.Size("config"), IsOkAndHolds(7u));
}

TEST_P(ObjectStoreConformanceTest, HoldsEmptyObjects) {
  ASSERT_OK(Put("empty", ""));
  EXPECT_THAT(Get("empty"), IsOkAndHolds(""));
  EXPECT_THAT(store_.Size("empty"), IsOkAndHolds(0u));
}

TEST_P(ObjectStoreConformanceTest, PutSaysWhetherItTookTheName) {
  bool placed = false;
  ASSERT_OK(store_.PutIfAbsent("a/b", AsBytes("1"), &placed));
  EXPECT_TRUE(placed);
  EXPECT_THAT(store_.PutIfAbsent("a/b", AsBytes("2"), &placed),
              StatusIs(StatusCode::kAlreadyExists));
  EXPECT_FALSE(placed);
}

TEST_P(ObjectStoreConformanceTest, NeverReplaces) {
  ASSERT_OK(Put("a", "first"));
  EXPECT_THAT(Put("a", "second"), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(Put("a", "first"), StatusIs(StatusCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(const auto writer, store_.Create("a", "owner"));
  ASSERT_OK(writer->Append(AsBytes("third")));
  EXPECT_THAT(writer->Commit(), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(Get("a"), IsOkAndHolds("first"));
}

TEST_P(ObjectStoreConformanceTest, SaysWhatIsAbsent) {
  EXPECT_THAT(Get("a/b"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(GetRange("a/b", 0, 1), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(store_.Size("a/b"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(store_.Delete("a/b"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(store_.List("a"), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(store_.ListUnfinished(), IsOkAndHolds(IsEmpty()));
}

TEST_P(ObjectStoreConformanceTest, ReadsRanges) {
  ASSERT_OK(Put("a", "0123456789"));
  EXPECT_THAT(GetRange("a", 0, 10), IsOkAndHolds("0123456789"));
  EXPECT_THAT(GetRange("a", 3, 4), IsOkAndHolds("3456"));
  EXPECT_THAT(GetRange("a", 0, 0), IsOkAndHolds(""));
}

TEST_P(ObjectStoreConformanceTest, ReadsLessAtTheEndOnly) {
  ASSERT_OK(Put("a", "0123456789"));
  EXPECT_THAT(GetRange("a", 8, 4), IsOkAndHolds("89"));
  EXPECT_THAT(GetRange("a", 10, 4), IsOkAndHolds(""));
  EXPECT_THAT(GetRange("a", 1000, 4), IsOkAndHolds(""));
}

TEST_P(ObjectStoreConformanceTest, RefusesToReadMoreThanAsked) {
  ASSERT_OK(Put("a", "0123456789"));
  EXPECT_OK(store_.ReadAll("a", 10).status());
  EXPECT_THAT(store_.ReadAll("a", 9), StatusIs(StatusCode::kResourceExhausted));
}

TEST_P(ObjectStoreConformanceTest, ListsWhatStandsDirectlyInAFolder) {
  ASSERT_OK(Put("config", ""));
  ASSERT_OK(Put("journal/1", ""));
  ASSERT_OK(Put("journal/2", ""));
  ASSERT_OK(Put("journal/folds/3", ""));
  ASSERT_OK(Put("journals/4", ""));
  EXPECT_THAT(store_.List("journal"), IsOkAndHolds(UnorderedElementsAre("1", "2", "folds")));
  EXPECT_THAT(store_.List("journal/folds"), IsOkAndHolds(UnorderedElementsAre("3")));
}

TEST_P(ObjectStoreConformanceTest, DeletedObjectsAreGone) {
  ASSERT_OK(Put("a/b", "content"));
  ASSERT_OK(Put("a/c", ""));
  EXPECT_THAT(GetRange("a/b", 0, 1), IsOkAndHolds("c"));
  ASSERT_OK(store_.Delete("a/b"));
  EXPECT_THAT(GetRange("a/b", 0, 1), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(Get("a/b"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(store_.List("a"), IsOkAndHolds(UnorderedElementsAre("c")));
  ASSERT_OK(Put("a/b", "again"));
  EXPECT_THAT(GetRange("a/b", 0, 5), IsOkAndHolds("again"));
}

TEST_P(ObjectStoreConformanceTest, RenamedObjectsHaveTheOtherNameOnly) {
  ASSERT_OK(Put("a/b", "content"));
  ASSERT_OK(Put("a/c", "replaced"));
  EXPECT_THAT(GetRange("a/b", 0, 7), IsOkAndHolds("content"));
  EXPECT_THAT(GetRange("a/c", 0, 8), IsOkAndHolds("replaced"));
  ASSERT_OK(store_.Rename("a/b", "a/c"));
  EXPECT_THAT(GetRange("a/b", 0, 7), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(GetRange("a/c", 0, 8), IsOkAndHolds("content"));
  ASSERT_OK(store_.Rename("a/c", "new/d"));
  EXPECT_THAT(Get("new/d"), IsOkAndHolds("content"));
  EXPECT_THAT(store_.List("a"), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(store_.Rename("a/c", "new/d"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(Get("new/d"), IsOkAndHolds("content"));
}

TEST_P(ObjectStoreConformanceTest, WrittenObjectsAppearWholeAtCommit) {
  ASSERT_OK_AND_ASSIGN(const auto writer, store_.Create("packs/00/a", "owner"));
  ASSERT_OK(writer->Append(AsBytes("first ")));
  EXPECT_THAT(Get("packs/00/a"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(store_.List("packs/00"), IsOkAndHolds(IsEmpty()));
  ASSERT_OK(writer->Append(AsBytes("second")));
  ASSERT_OK(writer->Commit());
  ASSERT_OK(store_.SyncNames());
  EXPECT_THAT(Get("packs/00/a"), IsOkAndHolds("first second"));
  EXPECT_THAT(store_.List("packs/00"), IsOkAndHolds(UnorderedElementsAre("a")));
  EXPECT_THAT(store_.ListUnfinished(), IsOkAndHolds(IsEmpty()));
}

TEST_P(ObjectStoreConformanceTest, WritesLargeObjectsInPieces) {
  std::string content;
  ASSERT_OK_AND_ASSIGN(const auto writer, store_.Create("a", "owner"));
  for (int i = 0; i < 40; ++i) {
    std::string piece(97'001, '\0');
    std::iota(piece.begin(), piece.end(), static_cast<char>(i));
    ASSERT_OK(writer->Append(AsBytes(piece)));
    content += piece;
  }
  ASSERT_OK(writer->Commit());
  EXPECT_THAT(store_.Size("a"), IsOkAndHolds(content.size()));
  ASSERT_OK_AND_ASSIGN(const std::string got, Get("a"));
  EXPECT_TRUE(got == content);
  ASSERT_OK_AND_ASSIGN(const std::string range, GetRange("a", kMiB - 5, 3 * kMiB));
  EXPECT_TRUE(range == content.substr(kMiB - 5));
}

TEST_P(ObjectStoreConformanceTest, DroppedWritersLeaveNothing) {
  {
    ASSERT_OK_AND_ASSIGN(const auto writer, store_.Create("a", "owner"));
    ASSERT_OK(writer->Append(AsBytes("content")));
  }
  EXPECT_THAT(Get("a"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(store_.ListUnfinished(), IsOkAndHolds(IsEmpty()));
}

TEST_P(ObjectStoreConformanceTest, WritersAreOfNoUseAfterCommit) {
  ASSERT_OK_AND_ASSIGN(const auto writer, store_.Create("a", "owner"));
  ASSERT_OK(writer->Append(AsBytes("content")));
  ASSERT_OK(writer->Commit());
  EXPECT_THAT(writer->Append(AsBytes("more")), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(writer->Commit(), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(Get("a"), IsOkAndHolds("content"));
}

TEST_P(ObjectStoreConformanceTest, UnfinishedObjectsNameTheirOwnerAndCanBeDeleted) {
  ASSERT_OK_AND_ASSIGN(const auto mine, store_.Create("a", "some-owner"));
  ASSERT_OK_AND_ASSIGN(const auto other, store_.Create("b", "another"));
  ASSERT_OK_AND_ASSIGN(const auto unfinished, store_.ListUnfinished());
  EXPECT_THAT(unfinished, UnorderedElementsAre(Field(&ObjectStore::Unfinished::owner, "some-owner"),
                                               Field(&ObjectStore::Unfinished::owner, "another")));
  for (const ObjectStore::Unfinished& each : unfinished) ASSERT_OK(store_.Delete(each.name));
  EXPECT_THAT(store_.ListUnfinished(), IsOkAndHolds(IsEmpty()));
}

TEST_P(ObjectStoreConformanceTest, OneOfManyPutsTakesTheName) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 20;
  std::atomic<int> wins = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int round = 0; round < kRounds; ++round) {
          const Status status = Put("race/" + std::to_string(round), std::to_string(t));
          if (status.ok()) ++wins;
          EXPECT_TRUE(status.ok() || status.code() == StatusCode::kAlreadyExists) << status;
        }
      });
    }
  }
  EXPECT_EQ(wins, kRounds);
  EXPECT_THAT(store_.List("race"), IsOkAndHolds(SizeIs(kRounds)));
  EXPECT_THAT(store_.ListUnfinished(), IsOkAndHolds(IsEmpty()));
}

TEST_P(ObjectStoreConformanceTest, ManyThreadsReadWhileObjectsComeAndGo) {
  constexpr int kObjects = 200;  // more than a store keeps open
  for (int i = 0; i < kObjects; ++i) {
    ASSERT_OK(Put("stay/" + std::to_string(i), std::to_string(i)));
  }
  std::atomic<bool> stop = false;
  std::vector<std::jthread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&, t] {
      for (int i = t; !stop; i = (i + 7) % kObjects) {
        const auto text = GetRange("stay/" + std::to_string(i), 0, 10);
        EXPECT_TRUE(text.ok() && *text == std::to_string(i)) << text.status();
        const auto gone = GetRange("come-and-go", 0, 10);
        EXPECT_TRUE(gone.ok() || gone.status().code() == StatusCode::kNotFound) << gone.status();
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    EXPECT_OK(Put("come-and-go", std::to_string(i)));
    EXPECT_THAT(GetRange("come-and-go", 0, 10), IsOkAndHolds(std::to_string(i)));
    EXPECT_OK(store_.Delete("come-and-go"));
    EXPECT_THAT(GetRange("come-and-go", 0, 10), StatusIs(StatusCode::kNotFound));
  }
  stop = true;
}

TEST_P(ObjectStoreConformanceTest, ManyWritersCommitAndSync) {
  constexpr int kThreads = 4;
  constexpr int kPacks = 10;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kPacks; ++i) {
          const std::string name = "packs/" + std::to_string(i) + "/" + std::to_string(t);
          auto writer = store_.Create(name, "owner");
          EXPECT_OK(writer.status());
          if (!writer.ok()) return;
          EXPECT_OK((*writer)->Append(AsBytes(name)));
          EXPECT_OK((*writer)->Commit());
          EXPECT_OK(store_.SyncNames());
        }
      });
    }
  }
  for (int i = 0; i < kPacks; ++i) {
    for (int t = 0; t < kThreads; ++t) {
      const std::string name = "packs/" + std::to_string(i) + "/" + std::to_string(t);
      EXPECT_THAT(Get(name), IsOkAndHolds(name));
    }
  }
}

}  // namespace cairn::testing
