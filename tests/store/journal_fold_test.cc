// SPDX-License-Identifier: Apache-2.0
// Folds: when they are made, what they leave, and what errors do to them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "core/store/features.h"
#include "core/store/journal.h"
#include "core/store/journal_names.h"
#include "core/store/twin.h"
#include "tests/store/store_data.h"
#include "tests/support/memory_object_store.h"

namespace cairn {
namespace {

using ::cairn::testing::Filled;
using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::kRepository;
using ::cairn::testing::MemoryObjectStore;
using ::cairn::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr Journal::FoldPolicy kPolicy{.min_records = 10, .ratio = 2, .keep_single = 4};

class JournalFoldTest : public ::testing::Test {
 protected:
  void AppendTo(Journal& journal, int count) {
    for (int i = 0; i < count; ++i) {
      PackInfo info = testing::TestPackInfo(1);
      info.name = RandomId<PackName>();
      ASSERT_OK_AND_ASSIGN(const Record record, journal.Append(state_.head(), {.packs = {info}}));
      ASSERT_OK(state_.Apply(record));
    }
  }
  void Append(int count) { AppendTo(journal_, count); }
  size_t SingleRecords() {
    const auto names = store_.List("journal");
    EXPECT_OK(names.status());
    return static_cast<size_t>(
        std::ranges::count_if(*names, [](const std::string& name) { return name != "folds"; }));
  }

  MemoryObjectStore store_;
  Journal journal_{store_, RepositoryKeys(kRepository)};
  JournalState state_;  // at the head
};

TEST_F(JournalFoldTest, IsMadeOnlyWhenEnoughRecordsStandSingly) {
  Append(10);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  EXPECT_THAT(journal_.NewestFold(), IsOkAndHolds(0u));
  EXPECT_EQ(SingleRecords(), 10u);
  Append(1);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  EXPECT_THAT(journal_.NewestFold(), IsOkAndHolds(7u));
  EXPECT_EQ(SingleRecords(), 4u);
}

TEST_F(JournalFoldTest, GrowsRarerAsTheJournalGrows) {
  Append(44);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  ASSERT_THAT(journal_.NewestFold(), IsOkAndHolds(40u));
  Append(16);  // 20 stand singly, which is half of 40 and not more
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  EXPECT_THAT(journal_.NewestFold(), IsOkAndHolds(40u));
  Append(1);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  EXPECT_THAT(journal_.NewestFold(), IsOkAndHolds(57u));
  EXPECT_THAT(store_.List("journal/folds"), IsOkAndHolds(SizeIs(1)));
}

TEST_F(JournalFoldTest, ByDefaultLeavesShortJournalsAlone) {
  Append(20);
  ASSERT_OK(journal_.FoldIfDue(state_));
  EXPECT_THAT(journal_.NewestFold(), IsOkAndHolds(0u));
}

TEST_F(JournalFoldTest, HoldsTheStateAfterItsRecordAndNotAfterLaterOnes) {
  Append(7);
  const JournalState at_seven = state_;
  Append(4);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  std::string damage;
  EXPECT_THAT(journal_.ReadFold(7, &damage), IsOkAndHolds(at_seven));
  EXPECT_EQ(damage, "");
  EXPECT_THAT(journal_.ReadState(), IsOkAndHolds(state_));
}

TEST_F(JournalFoldTest, AProcessFromBeforeGoesOnFromTheFold) {
  Append(3);
  JournalState old = state_;
  Append(20);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  ASSERT_OK(journal_.CatchUp(old));
  EXPECT_EQ(old, state_);
}

TEST_F(JournalFoldTest, AProcessAtTheVeryRecordOfTheFoldGoesOn) {
  Append(7);
  JournalState old = state_;
  Append(4);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  ASSERT_OK(journal_.CatchUp(old));
  EXPECT_EQ(old, state_);
}

TEST_F(JournalFoldTest, AFoldThatReachesTheHeadIsTheHead) {
  Append(11);
  ASSERT_OK(journal_.FoldIfDue(state_, {.min_records = 10, .keep_single = 0}));
  EXPECT_EQ(SingleRecords(), 0u);
  EXPECT_THAT(journal_.ReadState(), IsOkAndHolds(state_));
  JournalState same = state_;
  ASSERT_OK(journal_.CatchUp(same));
  EXPECT_EQ(same, state_);
  Append(1);
  EXPECT_THAT(journal_.ReadState(), IsOkAndHolds(state_));
}

TEST_F(JournalFoldTest, MayBeAskedForByAProcessThatIsBehind) {
  Append(12);
  const JournalState behind = state_;
  Append(20);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  ASSERT_THAT(journal_.NewestFold(), IsOkAndHolds(28u));
  ASSERT_OK(journal_.FoldIfDue(behind, kPolicy));
  EXPECT_THAT(journal_.NewestFold(), IsOkAndHolds(28u));
  EXPECT_THAT(journal_.ReadState(), IsOkAndHolds(state_));
}

TEST_F(JournalFoldTest, AnOlderFoldThatComesLateIsHarmless) {
  Append(12);
  MemoryObjectStore copy;
  ASSERT_OK_AND_ASSIGN(const auto names, store_.List("journal"));
  for (const std::string& name : names) {
    copy.Set("journal/" + name, *store_.ReadAll("journal/" + name, kMiB));
  }
  ASSERT_OK(Journal(copy, RepositoryKeys(kRepository)).FoldIfDue(state_, kPolicy));
  const std::string late = "journal/folds/00000000000000000008";
  ASSERT_OK_AND_ASSIGN(const Bytes late_fold, copy.ReadAll(late, kMiB));

  Append(20);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  store_.Set(late, late_fold);
  EXPECT_THAT(journal_.ReadState(), IsOkAndHolds(state_));
  Append(20);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  EXPECT_THAT(store_.List("journal/folds"), IsOkAndHolds(SizeIs(1)));
  EXPECT_THAT(journal_.ReadState(), IsOkAndHolds(state_));
}

TEST_F(JournalFoldTest, TwoProcessesMayFoldAtOnce) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  Journal journal(*store, RepositoryKeys(kRepository));
  for (int round = 0; round < 10; ++round) {
    AppendTo(journal, 30);
    const JournalState ahead = state_;
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        const auto own = NewLocalObjectStore(fs);
        EXPECT_OK(Journal(*own, RepositoryKeys(kRepository))
                      .FoldIfDue(ahead, {.min_records = 10,
                                         .ratio = 1000,
                                         .keep_single = static_cast<uint64_t>(t)}));
      });
    }
    threads.clear();
    ASSERT_THAT(journal.ReadState(), IsOkAndHolds(state_));
  }
}

TEST_F(JournalFoldTest, NothingIsRemovedWhereTheFoldCannotBeMadeDurable) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  Journal journal(*store, RepositoryKeys(kRepository));
  AppendTo(journal, 12);
  ASSERT_OK_AND_ASSIGN(const auto before, store->List("journal"));
  fs.SetHook([](const DiskOperation& operation) {
    return operation.kind == DiskOperation::Kind::kSyncDirectory &&
                   operation.path == "journal/folds"
               ? Unavailable("injected")
               : OkStatus();
  });
  EXPECT_THAT(journal.FoldIfDue(state_, kPolicy), StatusIs(StatusCode::kUnavailable));
  fs.SetHook(nullptr);
  ASSERT_OK_AND_ASSIGN(const auto after, store->List("journal"));
  EXPECT_EQ(after.size(), before.size() + 1);  // "folds"
  EXPECT_THAT(journal.ReadState(), IsOkAndHolds(state_));
}

TEST_F(JournalFoldTest, AFullDiskFailsTheFoldAndNothingElse) {
  for (size_t step = 0; step < 6; ++step) {
    MemoryFileSystem fs;
    const auto store = NewLocalObjectStore(fs);
    Journal journal(*store, RepositoryKeys(kRepository));
    state_ = JournalState();
    AppendTo(journal, 12);
    fs.FailChanges(
        {.code = StatusCode::kResourceExhausted, .skip = step, .count = DiskFault::kForever});
    EXPECT_THAT(journal.FoldIfDue(state_, kPolicy), Not(testing::IsOk())) << step;
    fs.ClearFaults();
    EXPECT_THAT(Journal(*NewLocalObjectStore(fs), RepositoryKeys(kRepository)).ReadState(),
                IsOkAndHolds(state_))
        << step;
  }
}

TEST_F(JournalFoldTest, RefusesAStateOfAnotherHistory) {
  Append(12);
  MemoryObjectStore other_store;
  Journal other(other_store, RepositoryKeys(kRepository));
  const JournalState mine = state_;
  state_ = JournalState();
  AppendTo(other, 12);
  EXPECT_THAT(other.FoldIfDue(mine, kPolicy), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(other_store.List("journal/folds"), IsOkAndHolds(IsEmpty()));
}

TEST_F(JournalFoldTest, EveryFlippedByteOfAFoldIsReportedAndLosesNothing) {
  Append(11);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  const std::string name = "journal/folds/00000000000000000007";
  ASSERT_OK_AND_ASSIGN(const uint64_t size, store_.Size(name));
  ASSERT_OK_AND_ASSIGN(const JournalState good, journal_.ReadFold(7, nullptr));
  for (size_t i = 0; i < size; ++i) {
    store_.Damage(name, [i](Bytes& bytes) { bytes[i] ^= 8; });
    std::string damage;
    EXPECT_THAT(journal_.ReadFold(7, &damage), IsOkAndHolds(good)) << i;
    EXPECT_NE(damage, "") << i;
    store_.Damage(name, [i](Bytes& bytes) { bytes[i] ^= 8; });
  }
}

TEST_F(JournalFoldTest, AFoldThatIsDestroyedIsAnErrorAndNotTheBeginning) {
  Append(11);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  store_.Set("journal/folds/00000000000000000007", Bytes(300));
  EXPECT_THAT(journal_.ReadState(), StatusIs(StatusCode::kDataLoss, HasSubstr("folds")));
  ASSERT_OK_AND_ASSIGN(const auto findings, journal_.Verify());
  EXPECT_THAT(findings[0].status, StatusIs(StatusCode::kDataLoss));
}

TEST_F(JournalFoldTest, AFoldUnderAnothersNumberIsRefused) {
  Append(11);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  ASSERT_OK_AND_ASSIGN(const Bytes fold,
                       store_.ReadAll("journal/folds/00000000000000000007", kMiB));
  store_.Set("journal/folds/00000000000000000009", fold);
  EXPECT_THAT(journal_.ReadState(), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(Journal(store_, RepositoryKeys(Filled<RepositoryId>(2))).ReadFold(7, nullptr),
              StatusIs(StatusCode::kDataLoss, HasSubstr("another repository")));
  EXPECT_THAT(journal_.ReadFold(8, nullptr), StatusIs(StatusCode::kNotFound));
}

// A fold as somebody would write it who can make hashes hold.
TEST_F(JournalFoldTest, AHeaderThatContradictsTheFoldIsRefused) {
  const RepositoryKeys keys(kRepository);
  Append(11);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  ASSERT_OK_AND_ASSIGN(const Bytes fold, store_.ReadAll(FoldName(7), kMiB));
  ASSERT_OK_AND_ASSIGN(const DecodedTwin decoded, DecodeTwin(keys, kFoldMagic, fold, "fold"));
  const auto with = [&](auto edit) {
    Twin twin = decoded.twin;
    edit(twin);
    store_.Set(FoldName(7), EncodeTwin(keys, twin));
    return journal_.ReadFold(7, nullptr);
  };
  ASSERT_OK(with([](Twin&) {}).status());
  EXPECT_THAT(with([](Twin& twin) { twin.number = 8; }),
              StatusIs(StatusCode::kDataLoss, HasSubstr("another number")));
  EXPECT_THAT(with([](Twin& twin) { twin.features = kFeatureDelta; }),
              StatusIs(StatusCode::kDataLoss, HasSubstr("flags")));
}

// A disk that reads otherwise than was written would take the only records with it.
TEST_F(JournalFoldTest, NothingIsRemovedWhereTheFoldReadsOtherwiseThanItWasWritten) {
  class BadStore : public MemoryObjectStore {
   public:
    Status PutIfAbsent(const std::string& name, ByteSpan bytes, bool* placed) override {
      Bytes stored(bytes.begin(), bytes.end());
      if (name == FoldName(8)) stored[200] ^= 1;
      return MemoryObjectStore::PutIfAbsent(name, stored, placed);
    }
  };
  BadStore bad;
  Journal journal(bad, RepositoryKeys(kRepository));
  AppendTo(journal, 12);
  EXPECT_THAT(journal.FoldIfDue(state_, kPolicy),
              StatusIs(StatusCode::kDataLoss, HasSubstr("otherwise")));
  EXPECT_THAT(bad.List("journal"), IsOkAndHolds(SizeIs(12 + 1)));  // and "folds"
}

TEST_F(JournalFoldTest, AHoleBetweenFoldAndHeadIsDamage) {
  Append(9);
  const std::string missing = RecordName(state_.head());
  Append(2);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  ASSERT_OK(store_.Delete(missing));
  EXPECT_THAT(journal_.ReadState(), StatusIs(StatusCode::kDataLoss, HasSubstr(missing)));
  // Nor is a hole folded over.
  Append(10);
  EXPECT_THAT(journal_.FoldIfDue(state_, kPolicy),
              StatusIs(StatusCode::kDataLoss, HasSubstr(missing)));
}

TEST_F(JournalFoldTest, VerifyFindsASoundJournalSound) {
  Append(11);
  ASSERT_OK(journal_.FoldIfDue(state_, kPolicy));
  ASSERT_OK_AND_ASSIGN(const auto findings, journal_.Verify());
  EXPECT_THAT(findings, SizeIs(1 + 4 + 1));  // the fold, the records, the whole
  for (const Journal::Finding& finding : findings) {
    EXPECT_OK(finding.status) << finding.name;
    EXPECT_EQ(finding.damage, "") << finding.name;
  }
}

}  // namespace
}  // namespace cairn
