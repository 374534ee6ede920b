// SPDX-License-Identifier: Apache-2.0
// Additions to the index that take many transactions: interrupted between any two, and by two at
// once, they come to what one that is built from nothing says.
#include "core/repo/index_sync.h"

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/index/memory_index.h"
#include "core/repo/forget.h"
#include "core/repo/prune.h"
#include "tests/repo/index_answers.h"
#include "tests/repo/restore_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::Gt;

// Another's index, with something that happens before each of its transactions.
class WatchedIndex : public Index {
 public:
  WatchedIndex(Index& index, std::function<Status(int)> before_write)
      : index_(index), before_write_(std::move(before_write)) {}
  StatusOr<std::unique_ptr<IndexReader>> Read() override { return index_.Read(); }
  StatusOr<std::unique_ptr<IndexWriter>> Write() override {
    RETURN_IF_ERROR(before_write_(writes_++));
    return index_.Write();
  }
  StatusOr<uint64_t> StoredBytes() override { return index_.StoredBytes(); }
  int writes() const { return writes_; }

 private:
  Index& index_;
  const std::function<Status(int)> before_write_;
  int writes_ = 0;
};

class IndexSyncTest : public RestoreTest {
 protected:
  // Small packs, several records; the last of them are of one large commit.
  void SetUp() override {
    RestoreTest::SetUp();
    for (int i = 0; i < 40; ++i) {
      Write(Source("small/" + std::to_string(i)), Noise(500, static_cast<uint64_t>(i)));
    }
    first_ = Take();
    for (int i = 40; i < 140; ++i) {
      Write(Source("more/" + std::to_string(i)), Noise(500, static_cast<uint64_t>(i)));
    }
    Take();
    ASSERT_OK_AND_ASSIGN(expected_, FromNothing());
    ASSERT_THAT(expected_.places.size(), Gt(140U));
  }

  IndexSync Sync(Index& index, const IndexSync::Limits& limits) const {
    return {index, repository_->journal(), repository_->store(), repository_->keys(), nullptr,
            limits};
  }
  // In one transaction for each record.
  StatusOr<Answers> FromNothing() const {
    const auto index = NewMemoryIndex();
    RETURN_IF_ERROR(Sync(*index, {}).Rebuild().status());
    return AnswersOf(*index);
  }
  static constexpr IndexSync::Limits kSmall{
      .unsorted_blobs = 10, .rows_per_transaction = 30, .sort_memory_bytes = 1000};

  SnapshotId first_;
  Answers expected_;
};

TEST_F(IndexSyncTest, ManyTransactionsComeToWhatOneComesTo) {
  const auto index = NewMemoryIndex();
  WatchedIndex watched(*index, [](int) { return OkStatus(); });
  ASSERT_OK(Sync(watched, kSmall).Run());
  EXPECT_THAT(watched.writes(), Gt(5));
  ASSERT_OK_AND_ASSIGN(const Answers answers, AnswersOf(*index));
  EXPECT_TRUE(answers == expected_);
}

TEST_F(IndexSyncTest, InterruptedBeforeAnyTransactionItIsCompletedByTheNext) {
  for (const bool next_is_small : {false, true}) {
    for (int stop = 0;; ++stop) {
      SCOPED_TRACE(stop);
      const auto index = NewMemoryIndex();
      WatchedIndex watched(*index, [stop](int write) -> Status {
        return write == stop ? Unavailable("stop") : OkStatus();
      });
      const bool done = Sync(watched, kSmall).Run().ok();
      ASSERT_OK_AND_ASSIGN(const Answers between, AnswersOf(*index));
      EXPECT_EQ(done, !between.places.empty());
      const IndexSync::Limits limits = next_is_small ? kSmall : IndexSync::Limits();
      ASSERT_OK(Sync(*index, limits).Run());
      ASSERT_OK_AND_ASSIGN(const Answers answers, AnswersOf(*index));
      EXPECT_TRUE(answers == expected_);
      if (done) {
        EXPECT_THAT(stop, Gt(5));
        break;
      }
    }
  }
}

TEST_F(IndexSyncTest, AnInterruptedRecordIsCompletedByTheNext) {
  // The index follows the repository's own, record by record.
  const auto index = NewMemoryIndex();
  ASSERT_OK(Sync(*index, kSmall).Run());
  for (int stop = 0; stop < 8; ++stop) {
    SCOPED_TRACE(stop);
    for (int i = 0; i < 60; ++i) {
      Write(Source("new/" + std::to_string(i)),
            Noise(500, static_cast<uint64_t>(1000 * (stop + 1) + i)));
    }
    Take();
    WatchedIndex watched(*index, [stop](int write) -> Status {
      return write == stop ? Unavailable("stop") : OkStatus();
    });
    Sync(watched, kSmall).Run().status().IgnoreError();
    ASSERT_OK(Sync(*index, kSmall).Run());
    ASSERT_OK_AND_ASSIGN(const Answers expected, FromNothing());
    ASSERT_OK_AND_ASSIGN(const Answers answers, AnswersOf(*index));
    EXPECT_TRUE(answers == expected);
  }
}

TEST_F(IndexSyncTest, WhatIsPurgedMeanwhileDoesNotStayIncomplete) {
  const auto index = NewMemoryIndex();
  WatchedIndex watched(
      *index, [](int write) -> Status { return write == 2 ? Unavailable("stop") : OkStatus(); });
  ASSERT_FALSE(Sync(watched, kSmall).Run().ok());
  std::filesystem::remove_all(Source("small"));
  Take();
  ASSERT_OK(ForgetSnapshots(*repository_, {first_}));
  PruneOptions options;
  options.max_unused_share = 0;
  ASSERT_OK(Prune(*repository_, options));
  ASSERT_OK(Sync(*index, kSmall).Run());
  ASSERT_OK_AND_ASSIGN(const Answers expected, FromNothing());
  ASSERT_OK_AND_ASSIGN(const Answers answers, AnswersOf(*index));
  EXPECT_TRUE(answers == expected);
}

TEST_F(IndexSyncTest, TwoInTurnFillItTogether) {
  for (const bool other_empties : {false, true}) {
    for (int meet = 0; meet < 6; ++meet) {
      SCOPED_TRACE(meet);
      const auto index = NewMemoryIndex();
      // The other comes as far as its third transaction, again before each of the first ones.
      WatchedIndex watched(*index, [&](int write) -> Status {
        if (write > meet) return OkStatus();
        WatchedIndex others(*index, [&](int others_write) -> Status {
          return others_write == 3 && write < meet ? Unavailable("stop") : OkStatus();
        });
        const auto other = other_empties && write == meet ? Sync(others, kSmall).Rebuild()
                                                          : Sync(others, kSmall).Run();
        return write == meet ? other.status() : OkStatus();
      });
      ASSERT_OK(Sync(watched, kSmall).Run());
      ASSERT_OK_AND_ASSIGN(const Answers answers, AnswersOf(*index));
      EXPECT_TRUE(answers == expected_);
    }
  }
}

TEST_F(IndexSyncTest, WithoutTemporaryFilesItTakesMemory) {
  const char* const before = std::getenv("TMPDIR");
  const std::string old = before == nullptr ? "" : before;
  ::setenv("TMPDIR", Path("missing").c_str(), 1);
  const auto index = NewMemoryIndex();
  const auto done = Sync(*index, kSmall).Run();
  before == nullptr ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", old.c_str(), 1);
  ASSERT_OK(done);
  ASSERT_OK_AND_ASSIGN(const Answers answers, AnswersOf(*index));
  EXPECT_TRUE(answers == expected_);
}

}  // namespace
}  // namespace cairn::testing
