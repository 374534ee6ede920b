// SPDX-License-Identifier: Apache-2.0
#include "core/store/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "tests/store/store_data.h"
#include "tests/support/memory_object_store.h"

namespace cairn {
namespace {

using ::cairn::testing::Filled;
using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::kRepository;
using ::cairn::testing::MemoryObjectStore;
using ::cairn::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Kind = DiskOperation::Kind;

RecordEntries NamePack(const PackName& name) {
  PackInfo info = testing::TestPackInfo(1);
  info.name = name;
  return {.packs = {info}};
}
RecordEntries NewPack() { return NamePack(RandomId<PackName>()); }

// A process's commit: looks for the head and tries until its record is placed there.
StatusOr<JournalState> Commit(Journal& journal, const RecordEntries& entries) {
  JournalState state;
  for (;;) {
    RETURN_IF_ERROR(journal.CatchUp(state));
    RETURN_IF_ERROR(state.CheckEntries(entries));
    const StatusOr<Record> record = journal.Append(state.head(), entries);
    if (record.ok()) {
      RETURN_IF_ERROR(state.Apply(*record));
      return state;
    }
    if (record.status().code() != StatusCode::kAborted) return record.status();
  }
}

StatusOr<JournalState> CommitMany(Journal& journal, int count) {
  JournalState state;
  for (int i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(state, Commit(journal, NewPack()));
  }
  return state;
}

class JournalTest : public ::testing::Test {
 protected:
  MemoryObjectStore store_;
  Journal journal_{store_, RepositoryKeys(kRepository)};
};

TEST(RecordNameTest, IsTheNumberAndTheHashBefore) {
  EXPECT_EQ(RecordName({}), "journal/00000000000000000001-0000000000000000");
  EXPECT_EQ(RecordName({.number = 41, .hash = Filled<RecordHash>(0xab)}),
            "journal/00000000000000000042-abababababababab");
}

TEST_F(JournalTest, IsEmptyAtFirst) {
  EXPECT_THAT(journal_.NextRecord({}), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(journal_.NewestFold(), IsOkAndHolds(0u));
  EXPECT_THAT(journal_.ReadState(), IsOkAndHolds(JournalState()));
  EXPECT_THAT(journal_.Verify(), IsOkAndHolds(SizeIs(1)));
}

TEST_F(JournalTest, ReadsBackWhatWasAppended) {
  RecordEntries entries = NewPack();
  entries.snapshots = {testing::TestSnapshot(7)};
  ASSERT_OK_AND_ASSIGN(const Record placed, journal_.Append({}, entries));
  ASSERT_OK_AND_ASSIGN(const std::optional<Record> read, journal_.NextRecord({}));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->number, 1u);
  EXPECT_EQ(read->hash, placed.hash);
  EXPECT_EQ(read->nonce, placed.nonce);
  EXPECT_EQ(read->entries, entries);
  ASSERT_OK_AND_ASSIGN(const JournalState state, journal_.ReadState());
  EXPECT_EQ(state.head(), (JournalHead{1, placed.hash}));
  EXPECT_THAT(state.snapshots(), SizeIs(1));
}

TEST_F(JournalTest, EqualEntriesMakeDifferentRecords) {
  ASSERT_OK_AND_ASSIGN(const Record first, journal_.Append({}, {}));
  MemoryObjectStore other_store;
  ASSERT_OK_AND_ASSIGN(const Record other,
                       Journal(other_store, RepositoryKeys(kRepository)).Append({}, {}));
  EXPECT_NE(first.hash, other.hash);
}

TEST_F(JournalTest, LookingForNewsAtTheHeadIsOneRead) {
  ASSERT_OK_AND_ASSIGN(const JournalState state, CommitMany(journal_, 3));
  store_.ResetCounts();
  EXPECT_THAT(journal_.NextRecord(state.head()), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_EQ(store_.reads(), 1u);
}

TEST_F(JournalTest, WhoComesSecondIsAborted) {
  ASSERT_OK(journal_.Append({}, NewPack()).status());
  EXPECT_THAT(journal_.Append({}, NewPack()), StatusIs(StatusCode::kAborted));
  ASSERT_OK_AND_ASSIGN(const JournalState state, journal_.ReadState());
  EXPECT_EQ(state.head().number, 1u);
}

TEST_F(JournalTest, RefusesEntriesThatNobodyCouldRead) {
  RecordEntries entries;
  entries.tags = {{Filled<SnapshotId>(1), {"b", "a"}}};
  EXPECT_THAT(journal_.Append({}, entries), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(store_.List("journal"), IsOkAndHolds(IsEmpty()));
}

TEST_F(JournalTest, RefusesARecordThatReadersWouldFindTooLarge) {
  RecordEntries entries;
  for (uint8_t i = 0; i < 8; ++i) {
    entries.snapshots.push_back({.id = {}, .object = Bytes(kMaxSnapshotObjectBytes, i)});
  }
  EXPECT_THAT(journal_.Append({}, entries),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("too large")));
  EXPECT_THAT(store_.List("journal"), IsOkAndHolds(IsEmpty()));
}

TEST_F(JournalTest, CatchUpAppliesWhatOthersAppended) {
  JournalState state;
  ASSERT_OK(CommitMany(journal_, 5).status());
  ASSERT_OK(journal_.CatchUp(state));
  EXPECT_EQ(state.head().number, 5u);
  EXPECT_THAT(journal_.ReadState(), IsOkAndHolds(state));
}

TEST_F(JournalTest, AMissingRecordBeforeOneThatIsThereIsDamage) {
  ASSERT_OK_AND_ASSIGN(const JournalState two, CommitMany(journal_, 2));
  ASSERT_OK(CommitMany(journal_, 2).status());
  const std::string missing = RecordName(two.head());
  ASSERT_OK(store_.Delete(missing));
  EXPECT_THAT(journal_.ReadState(), StatusIs(StatusCode::kDataLoss, HasSubstr(missing)));
  ASSERT_OK_AND_ASSIGN(const auto findings, journal_.Verify());
  EXPECT_THAT(findings.back().status, StatusIs(StatusCode::kDataLoss, HasSubstr(missing)));
}

TEST_F(JournalTest, ARecordWithOneDamagedCopyIsReadAndReported) {
  ASSERT_OK(CommitMany(journal_, 2).status());
  const std::string name = RecordName({});
  store_.Damage(name, [](Bytes& bytes) { bytes[100] ^= 1; });
  ASSERT_OK_AND_ASSIGN(const auto record, journal_.NextRecord({}));
  EXPECT_THAT(record->damage, HasSubstr("first copy"));
  EXPECT_OK(journal_.ReadState().status());
  ASSERT_OK_AND_ASSIGN(const auto findings, journal_.Verify());
  ASSERT_THAT(findings, SizeIs(3));
  EXPECT_EQ(findings[0].name, name);
  EXPECT_OK(findings[0].status);
  EXPECT_NE(findings[0].damage, "");
  EXPECT_EQ(findings[1].damage, "");
}

TEST_F(JournalTest, ARecordThatIsDestroyedIsAnErrorAndNotTheEnd) {
  ASSERT_OK(CommitMany(journal_, 2).status());
  const std::string name = RecordName({});
  store_.Set(name, Bytes(200));
  EXPECT_THAT(journal_.NextRecord({}), StatusIs(StatusCode::kDataLoss, HasSubstr(name)));
  EXPECT_THAT(journal_.ReadState(), StatusIs(StatusCode::kDataLoss));
  ASSERT_OK_AND_ASSIGN(const auto findings, journal_.Verify());
  EXPECT_THAT(findings[0].status, StatusIs(StatusCode::kDataLoss));
}

TEST_F(JournalTest, ARecordInAnothersPlaceIsRefused) {
  ASSERT_OK_AND_ASSIGN(const JournalState one, CommitMany(journal_, 1));
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, store_.ReadAll(RecordName({}), kMiB));
  store_.Set(RecordName(one.head()), bytes);
  EXPECT_THAT(journal_.NextRecord(one.head()),
              StatusIs(StatusCode::kDataLoss, HasSubstr("another place")));
  ASSERT_OK_AND_ASSIGN(const auto findings, journal_.Verify());
  EXPECT_THAT(findings[1].status, StatusIs(StatusCode::kDataLoss));
}

TEST_F(JournalTest, ARecordOfAnotherRepositoryIsRefused) {
  ASSERT_OK(CommitMany(journal_, 1).status());
  Journal other(store_, RepositoryKeys(Filled<RepositoryId>(2)));
  EXPECT_THAT(other.NextRecord({}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("another repository")));
}

TEST_F(JournalTest, NamesOfOtherThingsInItsFolderAreIgnored) {
  ASSERT_OK(CommitMany(journal_, 1).status());
  for (const char* name :
       {"journal/lost+found", "journal/99999999999999999999-0000000000000000",
        "journal/0000000000000000000x-0000000000000000", "journal/folds/1", "journal/folds/.nfs"}) {
    store_.Set(name, Bytes(10));
  }
  EXPECT_OK(journal_.ReadState().status());
  EXPECT_THAT(journal_.NewestFold(), IsOkAndHolds(0u));
}

// What happens on a file system, with several processes and errors.
class JournalOnDiskTest : public ::testing::Test {
 protected:
  // Another process.
  struct Process {
    explicit Process(FileSystem& fs)
        : store(NewLocalObjectStore(fs)), journal(*store, RepositoryKeys(kRepository)) {}
    std::unique_ptr<ObjectStore> store;
    Journal journal;
  };

  MemoryFileSystem fs_;
};

TEST_F(JournalOnDiskTest, ManyProcessesAppendInOneOrderAndLoseNothing) {
  constexpr int kProcesses = 4;
  constexpr int kRecords = 15;
  std::vector<std::set<PackName>> named(kProcesses);
  {
    std::vector<std::jthread> threads;
    for (std::set<PackName>& mine : named) {
      threads.emplace_back([&] {
        Process process(fs_);
        for (int i = 0; i < kRecords; ++i) {
          const auto name = RandomId<PackName>();
          const auto state = Commit(process.journal, NamePack(name));
          EXPECT_OK(state.status());
          mine.insert(name);
          // Small folds all the time, by everybody.
          if (state.ok()) {
            EXPECT_OK(process.journal.FoldIfDue(
                *state, {.min_records = 5, .ratio = 100, .keep_single = 2}));
          }
        }
      });
    }
  }
  ASSERT_OK_AND_ASSIGN(const JournalState state, Process(fs_).journal.ReadState());
  EXPECT_EQ(state.head().number, kProcesses * kRecords);
  EXPECT_THAT(state.packs(), SizeIs(kProcesses * kRecords));
  for (const std::set<PackName>& mine : named) {
    for (const PackName& name : mine) EXPECT_NE(state.FindPack(name), nullptr);
  }
  EXPECT_GT(*Process(fs_).journal.NewestFold(), 0u);
}

TEST_F(JournalOnDiskTest, ARecordWhoseNameCannotBeMadeDurableIsNotAcknowledgedAndStays) {
  Process process(fs_);
  ASSERT_OK_AND_ASSIGN(const JournalState one, CommitMany(process.journal, 1));
  fs_.SetHook([](const DiskOperation& operation) {
    return operation.kind == Kind::kSyncDirectory ? Unavailable("injected") : OkStatus();
  });
  EXPECT_THAT(process.journal.Append(one.head(), NewPack()), StatusIs(StatusCode::kUnavailable));
  fs_.SetHook(nullptr);
  // Others may have seen it and built on it.
  EXPECT_THAT(Process(fs_).journal.NextRecord(one.head()), IsOkAndHolds(Not(Eq(std::nullopt))));
  // This process knows no better than before.
  ASSERT_OK_AND_ASSIGN(const JournalState two, process.journal.ReadState());
  EXPECT_THAT(process.journal.Append(two.head(), NewPack()), StatusIs(StatusCode::kUnavailable));
}

TEST_F(JournalOnDiskTest, ItsOwnRecordIsNotTakenForAnothers) {
  Process process(fs_);
  ASSERT_OK_AND_ASSIGN(const JournalState one, CommitMany(process.journal, 1));
  // A rename that is done, and said to have found the name taken: create, append, sync, rename.
  fs_.FailChanges({.code = StatusCode::kAlreadyExists, .skip = 3, .applied = true});
  EXPECT_THAT(process.journal.Append(one.head(), NewPack()), StatusIs(StatusCode::kUnavailable));
}

TEST_F(JournalOnDiskTest, AFoldMadeWhileTheHeadIsLookedForHidesNothing) {
  Process reader(fs_);
  ASSERT_OK_AND_ASSIGN(JournalState state, CommitMany(reader.journal, 3));
  ASSERT_OK(Commit(reader.journal, NewPack()).status());
  const std::string successor = RecordName(state.head());
  // Just before the reader opens the successor, it is folded away together with many others.
  Process writer(fs_);
  JournalState newest;
  fs_.SetHook([&](const DiskOperation& operation) {
    if (operation.kind == Kind::kOpenRead && operation.path == successor &&
        newest.packs().empty()) {
      auto committed = CommitMany(writer.journal, 10);
      EXPECT_OK(committed.status());
      newest = *std::move(committed);
      EXPECT_OK(writer.journal.FoldIfDue(newest, {.min_records = 5, .keep_single = 2}));
      EXPECT_THAT(writer.store->Size(successor), StatusIs(StatusCode::kNotFound));
    }
    return OkStatus();
  });
  ASSERT_OK(reader.journal.CatchUp(state));
  EXPECT_EQ(state.head().number, 14u);
  EXPECT_EQ(state, newest);
}

TEST_F(JournalOnDiskTest, AFolderListedWhileOneFoldReplacesAnotherHidesNothing) {
  Process reader(fs_);
  const Journal::FoldPolicy policy{.min_records = 2, .ratio = 100, .keep_single = 0};
  ASSERT_OK_AND_ASSIGN(JournalState state, CommitMany(reader.journal, 3));
  ASSERT_OK_AND_ASSIGN(JournalState later, CommitMany(reader.journal, 3));
  ASSERT_OK(reader.journal.FoldIfDue(later, policy));
  ASSERT_THAT(reader.journal.NewestFold(), IsOkAndHolds(6u));

  // A listing that shows neither: the old fold is gone, the new one not yet seen.
  class BlinkingStore : public MemoryObjectStore {
   public:
    StatusOr<std::vector<std::string>> List(const std::string& folder) override {
      if (folder == "journal/folds" && !blinked_.exchange(true)) return std::vector<std::string>();
      return MemoryObjectStore::List(folder);
    }
    std::atomic<bool> blinked_ = false;
  };
  BlinkingStore blinking;
  ASSERT_OK_AND_ASSIGN(const auto records, reader.store->List("journal"));
  for (const std::string& name : records) {
    if (name == "folds") continue;
    blinking.Set("journal/" + name, *reader.store->ReadAll("journal/" + name, kMiB));
  }
  const std::string fold = "journal/folds/00000000000000000006";
  blinking.Set(fold, *reader.store->ReadAll(fold, kMiB));
  ASSERT_OK(Journal(blinking, RepositoryKeys(kRepository)).CatchUp(state));
  EXPECT_EQ(state.head().number, 6u);
}

TEST_F(JournalOnDiskTest, ARecordPlacedWhereAFoldMadeRoomIsWithdrawn) {
  Process sleeper(fs_);
  ASSERT_OK_AND_ASSIGN(const JournalState stale, CommitMany(sleeper.journal, 2));
  Process writer(fs_);
  ASSERT_OK_AND_ASSIGN(const JournalState newest, CommitMany(writer.journal, 20));
  ASSERT_OK(writer.journal.FoldIfDue(newest, {.min_records = 5, .keep_single = 3}));

  EXPECT_THAT(sleeper.journal.Append(stale.head(), NewPack()), StatusIs(StatusCode::kAborted));
  EXPECT_THAT(sleeper.store->Size(RecordName(stale.head())), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(writer.journal.ReadState(), IsOkAndHolds(newest));
  // It catches up and tries again.
  ASSERT_OK_AND_ASSIGN(const JournalState after, Commit(sleeper.journal, NewPack()));
  EXPECT_EQ(after.head().number, 23u);
}

TEST_F(JournalOnDiskTest, ARecordInAFoldsGapThatCouldNotBeWithdrawnIsBelievedByNobody) {
  Process sleeper(fs_);
  ASSERT_OK_AND_ASSIGN(JournalState stale, CommitMany(sleeper.journal, 2));
  Process writer(fs_);
  ASSERT_OK_AND_ASSIGN(const JournalState newest, CommitMany(writer.journal, 20));
  ASSERT_OK(writer.journal.FoldIfDue(newest, {.min_records = 5, .keep_single = 3}));
  fs_.SetHook([](const DiskOperation& operation) {
    return operation.kind == Kind::kUnlink ? Unavailable("injected") : OkStatus();
  });
  EXPECT_THAT(sleeper.journal.Append(stale.head(), NewPack()), StatusIs(StatusCode::kAborted));
  fs_.SetHook(nullptr);
  EXPECT_OK(sleeper.store->Size(RecordName(stale.head())).status());

  // Another process that slept as long reads it first, and then the fold.
  ASSERT_OK(Process(fs_).journal.CatchUp(stale));
  EXPECT_EQ(stale, newest);
  // The next fold removes it.
  ASSERT_OK_AND_ASSIGN(const JournalState more, CommitMany(writer.journal, 10));
  ASSERT_OK(writer.journal.FoldIfDue(more, {.min_records = 5, .keep_single = 3}));
  EXPECT_THAT(sleeper.store->Size("journal/" + RecordName({2, newest.head().hash}).substr(8)),
              StatusIs(StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(const auto names, writer.store->List("journal"));
  EXPECT_THAT(names, SizeIs(3 + 1));  // three records and "folds"
}

TEST_F(JournalOnDiskTest, ARecordThatWasFoldedAtOnceIsNotWithdrawn) {
  Process process(fs_);
  ASSERT_OK_AND_ASSIGN(const JournalState state, CommitMany(process.journal, 5));
  Process other(fs_);
  bool folded = false;
  fs_.SetHook([&](const DiskOperation& operation) {
    if (operation.kind == Kind::kList && operation.path == "journal/folds" &&
        !std::exchange(folded, true)) {
      auto newest = other.journal.ReadState();
      EXPECT_OK(newest.status());
      EXPECT_EQ(newest->head().number, 6u);
      EXPECT_OK(other.journal.FoldIfDue(*newest, {.min_records = 1, .keep_single = 0}));
    }
    return OkStatus();
  });
  ASSERT_OK_AND_ASSIGN(const Record record, process.journal.Append(state.head(), NewPack()));
  EXPECT_TRUE(folded);
  ASSERT_OK_AND_ASSIGN(const JournalState newest, other.journal.ReadState());
  EXPECT_EQ(newest.head(), (JournalHead{6, record.hash}));
}

TEST_F(JournalOnDiskTest, AcknowledgedRecordsSurviveEveryCrashDuringAppendsAndFolds) {
  struct Acknowledged {
    size_t operations;
    PackName pack;
  };
  std::vector<Acknowledged> acknowledged;
  Process process(fs_);
  JournalState state;
  for (int i = 0; i < 12; ++i) {
    const auto name = RandomId<PackName>();
    ASSERT_OK_AND_ASSIGN(state, Commit(process.journal, NamePack(name)));
    acknowledged.push_back({fs_.operation_count(), name});
    ASSERT_OK(process.journal.FoldIfDue(state, {.min_records = 3, .ratio = 100, .keep_single = 2}));
  }
  ASSERT_THAT(process.journal.NewestFold(), IsOkAndHolds(10u));
  for (size_t n = 0; n <= fs_.operation_count(); ++n) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      const auto after = fs_.CrashedAt(n, {.policy = CrashPolicy::kRandom, .seed = seed});
      Process reopened(*after);
      ASSERT_OK_AND_ASSIGN(const JournalState found, reopened.journal.ReadState());
      for (const Acknowledged& each : acknowledged) {
        if (each.operations <= n) {
          ASSERT_NE(found.FindPack(each.pack), nullptr) << "cut after " << n << ", seed " << seed;
        }
      }
      // And it goes on.
      ASSERT_OK(Commit(reopened.journal, NewPack()).status());
    }
  }
}

}  // namespace
}  // namespace cairn
