// SPDX-License-Identifier: Apache-2.0
// What the local store makes of the file system: the order of syncs and names, errors, crashes.
// What it shares with every other store stands in tests/conformance/object_store_conformance.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "core/base/memory_file_system.h"
#include "core/store/object_store.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::StatusIs;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Kind = DiskOperation::Kind;

std::vector<Kind> KindsSince(const MemoryFileSystem& fs, size_t first) {
  std::vector<Kind> kinds;
  const std::vector<DiskOperation> operations = fs.operations();
  for (size_t i = first; i < operations.size(); ++i) kinds.push_back(operations[i].kind);
  return kinds;
}

Status WriteObject(ObjectStore& store, const std::string& name, std::string_view content) {
  ASSIGN_OR_RETURN(const auto writer, store.Create(name, "owner"));
  RETURN_IF_ERROR(writer->Append(AsBytes(content)));
  return writer->Commit();
}

TEST(LocalObjectStoreTest, PutSyncsTheFileBeforeItsNameAndTheFolderAfter) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK(store->PutIfAbsent("journal/1", AsBytes("1"), nullptr));
  const size_t before = fs.operation_count();
  ASSERT_OK(store->PutIfAbsent("journal/2", AsBytes("2"), nullptr));
  EXPECT_THAT(KindsSince(fs, before), ElementsAre(Kind::kCreate, Kind::kAppend, Kind::kSync,
                                                  Kind::kRename, Kind::kSyncDirectory));
}

TEST(LocalObjectStoreTest, APutInAFolderThatIsInUseCostsTwoSyncs) {
  MemoryFileSystem fs;
  ASSERT_OK(NewLocalObjectStore(fs)->PutIfAbsent("journal/1", AsBytes("1"), nullptr));
  const size_t before = fs.operation_count();
  // Another process.
  ASSERT_OK(NewLocalObjectStore(fs)->PutIfAbsent("journal/2", AsBytes("2"), nullptr));
  const std::vector<Kind> kinds = KindsSince(fs, before);
  EXPECT_EQ(
      std::ranges::count(kinds, Kind::kSync) + std::ranges::count(kinds, Kind::kSyncDirectory), 2);
}

TEST(LocalObjectStoreTest, AFolderIsDurableBeforeItHoldsAnything) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK(WriteObject(*store, "packs/3f/a", "a"));
  bool packs_synced = false;
  for (const DiskOperation& operation : fs.operations()) {
    if (operation.kind == Kind::kSyncDirectory && operation.path == "packs") packs_synced = true;
    if (operation.kind == Kind::kRename) {
      EXPECT_TRUE(packs_synced);
    }
  }
}

TEST(LocalObjectStoreTest, AnEmptyFolderOfAnotherProcessIsMadeDurable) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("journal"));  // and its maker has not synced it yet
  ASSERT_OK(NewLocalObjectStore(fs)->PutIfAbsent("journal/1", AsBytes("1"), nullptr));
  const auto after = fs.CrashedAt(fs.operation_count(), {.policy = CrashPolicy::kDropUnsynced});
  EXPECT_THAT(NewLocalObjectStore(*after)->ReadAll("journal/1", 10), IsOkAndHolds(ToBytes("1")));
}

TEST(LocalObjectStoreTest, AcknowledgedPutsSurviveEveryCrash) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  std::vector<size_t> acknowledged_at;
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(store->PutIfAbsent("journal/" + std::to_string(i), AsBytes("content"), nullptr));
    acknowledged_at.push_back(fs.operation_count());
  }
  for (size_t n = 0; n <= fs.operation_count(); ++n) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      const auto after = fs.CrashedAt(n, {.policy = CrashPolicy::kRandom, .seed = seed});
      const auto reopened = NewLocalObjectStore(*after);
      for (size_t i = 0; i < acknowledged_at.size(); ++i) {
        const auto content = reopened->ReadAll("journal/" + std::to_string(i), 100);
        // What is there is whole, whether or not anybody was told of it.
        if (n >= acknowledged_at[i] || content.ok()) {
          EXPECT_THAT(content, IsOkAndHolds(ToBytes("content"))) << "cut after " << n;
        }
      }
    }
  }
}

TEST(LocalObjectStoreTest, CommittedObjectsSurviveEveryCrashAfterSyncNames) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  const std::vector<std::string> names = {"packs/00/a", "packs/01/b", "packs/00/c"};
  for (const std::string& name : names) ASSERT_OK(WriteObject(*store, name, "content of " + name));
  ASSERT_OK(store->SyncNames());
  const size_t synced = fs.operation_count();
  for (size_t n = 0; n <= synced; ++n) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      const auto after = fs.CrashedAt(n, {.policy = CrashPolicy::kRandom, .seed = seed});
      const auto reopened = NewLocalObjectStore(*after);
      for (const std::string& name : names) {
        const auto content = reopened->ReadAll(name, 100);
        if (n == synced || content.ok()) {
          EXPECT_THAT(content, IsOkAndHolds(ToBytes("content of " + name))) << "cut after " << n;
        }
      }
    }
  }
}

TEST(LocalObjectStoreTest, CommittedNamesMayBeLostBeforeSyncNames) {
  MemoryFileSystem fs;
  ASSERT_OK(WriteObject(*NewLocalObjectStore(fs), "packs/00/a", "a"));
  const auto after = fs.CrashedAt(fs.operation_count(), {.policy = CrashPolicy::kDropUnsynced});
  EXPECT_THAT(NewLocalObjectStore(*after)->Size("packs/00/a"), StatusIs(StatusCode::kNotFound));
}

TEST(LocalObjectStoreTest, ANameThatIsPlacedWhileOthersSyncIsSyncedByTheNext) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK(WriteObject(*store, "packs/00/a", "a"));
  fs.SetHook([&](const DiskOperation& operation) {
    return operation.kind == Kind::kRename ? store->SyncNames() : OkStatus();
  });
  ASSERT_OK(WriteObject(*store, "packs/00/b", "b"));
  fs.SetHook(nullptr);
  ASSERT_OK(store->SyncNames());
  const auto after = fs.CrashedAt(fs.operation_count(), {.policy = CrashPolicy::kDropUnsynced});
  EXPECT_OK(NewLocalObjectStore(*after)->Size("packs/00/b").status());
}

TEST(LocalObjectStoreTest, SyncNamesSyncsEachFolderOnceAndOnlyIfSomethingIsNew) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  for (const char* name : {"packs/00/a", "packs/00/b", "packs/01/c"}) {
    ASSERT_OK(WriteObject(*store, name, "x"));
  }
  size_t before = fs.operation_count();
  ASSERT_OK(store->SyncNames());
  EXPECT_THAT(KindsSince(fs, before), ElementsAre(Kind::kSyncDirectory, Kind::kSyncDirectory));
  before = fs.operation_count();
  ASSERT_OK(store->SyncNames());
  EXPECT_THAT(KindsSince(fs, before), IsEmpty());
}

TEST(LocalObjectStoreTest, SyncNamesWaitsForASyncThatIsUnderWay) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK(WriteObject(*store, "packs/00/a", "x"));
  ASSERT_OK(WriteObject(*store, "packs/01/b", "x"));
  // The first of two callers stops inside its first sync and lets the second one start.
  std::atomic<bool> first = true;
  std::atomic<bool> second_started = false;
  std::atomic<size_t> count_seen_by_second = 0;
  std::jthread second;
  fs.SetHook([&](const DiskOperation& operation) {
    if (operation.kind == Kind::kSyncDirectory && first.exchange(false)) {
      second = std::jthread([&] {
        second_started = true;
        EXPECT_OK(store->SyncNames());
        count_seen_by_second = fs.operation_count();
      });
      while (!second_started) std::this_thread::yield();
      for (int i = 0; i < 20; ++i) std::this_thread::yield();
    }
    return OkStatus();
  });
  ASSERT_OK(store->SyncNames());
  const size_t all_synced = fs.operation_count();
  second.join();
  EXPECT_GE(count_seen_by_second, all_synced);
}

TEST(LocalObjectStoreTest, AFolderWhoseSyncFailedIsNeverTrustedAgain) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK(WriteObject(*store, "packs/00/a", "x"));
  fs.FailChanges({});
  EXPECT_THAT(store->SyncNames(), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(store->SyncNames(), StatusIs(StatusCode::kUnavailable));
  ASSERT_OK(WriteObject(*store, "packs/00/b", "x"));
  EXPECT_THAT(store->SyncNames(), StatusIs(StatusCode::kUnavailable));
}

TEST(LocalObjectStoreTest, ARenamedObjectHasOneOfItsNamesAfterEveryCrash) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK(WriteObject(*store, "packs/00/a", "content"));
  ASSERT_OK(store->SyncNames());
  const size_t begin = fs.operation_count();
  ASSERT_OK(store->Rename("packs/00/a", "packs/01/b"));
  ASSERT_OK(store->SyncNames());
  for (size_t n = begin; n <= fs.operation_count(); ++n) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      const auto after = fs.CrashedAt(n, {.policy = CrashPolicy::kRandom, .seed = seed});
      const auto reopened = NewLocalObjectStore(*after);
      const auto old = reopened->ReadAll("packs/00/a", 100);
      const auto renamed = reopened->ReadAll("packs/01/b", 100);
      EXPECT_NE(old.ok(), renamed.ok()) << "cut after " << n;
      if (n == fs.operation_count()) {
        EXPECT_THAT(renamed, IsOkAndHolds(ToBytes("content")));
      }
    }
  }
  EXPECT_THAT(store->Rename("packs/../config", "a"), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(store->Rename("packs/01/b", "packs//b"), StatusIs(StatusCode::kInvalidArgument));
}

TEST(LocalObjectStoreTest, APutWhoseFolderCannotBeSyncedStandsAndIsNotAcknowledged) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK(store->PutIfAbsent("journal/1", AsBytes("1"), nullptr));
  fs.SetHook([](const DiskOperation& operation) {
    return operation.kind == Kind::kSyncDirectory ? Unavailable("injected") : OkStatus();
  });
  bool placed = false;
  EXPECT_THAT(store->PutIfAbsent("journal/2", AsBytes("2"), &placed),
              StatusIs(StatusCode::kUnavailable));
  EXPECT_TRUE(placed);
  EXPECT_OK(store->Size("journal/2").status());
  fs.SetHook(nullptr);
  EXPECT_THAT(store->PutIfAbsent("journal/3", AsBytes("3"), nullptr),
              StatusIs(StatusCode::kUnavailable));
}

TEST(LocalObjectStoreTest, APutThatMayHaveTakenTheNameSaysSo) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK(store->PutIfAbsent("journal/1", AsBytes("1"), nullptr));
  fs.FailChanges({.skip = 3, .applied = true});  // create, append, sync; then the rename
  bool placed = false;
  EXPECT_THAT(store->PutIfAbsent("journal/2", AsBytes("2"), &placed), Not(testing::IsOk()));
  EXPECT_TRUE(placed);
}

TEST(LocalObjectStoreTest, EveryFailedStepOfAPutLeavesNoTemporaryFile) {
  for (size_t step = 0; step < 4; ++step) {
    MemoryFileSystem fs;
    const auto store = NewLocalObjectStore(fs);
    ASSERT_OK(store->PutIfAbsent("journal/1", AsBytes("1"), nullptr));
    fs.FailChanges({.code = StatusCode::kResourceExhausted, .skip = step});
    bool placed = true;
    EXPECT_THAT(store->PutIfAbsent("journal/2", AsBytes("2"), &placed),
                StatusIs(StatusCode::kResourceExhausted))
        << step;
    EXPECT_FALSE(placed) << step;
    EXPECT_THAT(store->ListUnfinished(), IsOkAndHolds(IsEmpty())) << step;
    EXPECT_THAT(store->Size("journal/2"), StatusIs(StatusCode::kNotFound)) << step;
    EXPECT_OK(store->PutIfAbsent("journal/2", AsBytes("2"), nullptr)) << step;
  }
}

TEST(LocalObjectStoreTest, APutIsWrittenAnewWhenItsTemporaryFileIsRemoved) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  bool removed = false;
  fs.SetHook([&](const DiskOperation& operation) {
    if (operation.kind == Kind::kRename && !std::exchange(removed, true)) {
      return fs.Unlink(operation.path);
    }
    return OkStatus();
  });
  ASSERT_OK(store->PutIfAbsent("journal/1", AsBytes("1"), nullptr));
  EXPECT_TRUE(removed);
  EXPECT_THAT(store->ReadAll("journal/1", 10), IsOkAndHolds(ToBytes("1")));
}

TEST(LocalObjectStoreTest, APutWhoseTemporaryFileIsRemovedFindsANameThatWasTakenMeanwhile) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  bool removed = false;
  fs.SetHook([&](const DiskOperation& operation) {
    if (operation.kind != Kind::kRename || std::exchange(removed, true)) return OkStatus();
    RETURN_IF_ERROR(store->PutIfAbsent("journal/1", AsBytes("another's"), nullptr));
    return fs.Unlink(operation.path);
  });
  bool placed = true;
  EXPECT_THAT(store->PutIfAbsent("journal/1", AsBytes("1"), &placed),
              StatusIs(StatusCode::kAlreadyExists));
  EXPECT_FALSE(placed);
  EXPECT_THAT(store->ReadAll("journal/1", 10), IsOkAndHolds(ToBytes("another's")));
}

TEST(LocalObjectStoreTest, AWriterRefusesEverythingAfterAnError) {
  MemoryFileSystem fs;
  fs.SetCapacityBytes(100);
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK_AND_ASSIGN(const auto writer, store->Create("packs/00/a", "owner"));
  ASSERT_OK(writer->Append(Bytes(200)));
  EXPECT_THAT(writer->Commit(), StatusIs(StatusCode::kResourceExhausted));
  fs.SetCapacityBytes(kMiB);
  EXPECT_THAT(writer->Append(AsBytes("x")), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(writer->Drain(), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(writer->Commit(), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store->ListUnfinished(), IsOkAndHolds(IsEmpty()));
}

TEST(LocalObjectStoreTest, WritesAreGathered) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK_AND_ASSIGN(const auto writer, store->Create("packs/00/a", "owner"));
  for (int i = 0; i < 3000; ++i) ASSERT_OK(writer->Append(Bytes(1024)));
  ASSERT_OK(writer->Commit());
  const std::vector<Kind> kinds = KindsSince(fs, 0);
  EXPECT_EQ(std::ranges::count(kinds, Kind::kAppend), 3);
}

TEST(LocalObjectStoreTest, AKilledWritersFileIsUnfinishedAndNamesItsOwner) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK_AND_ASSIGN(const auto writer, store->Create("packs/00/a", "0123"));
  const auto after = fs.CrashedAt(fs.operation_count(), {.policy = CrashPolicy::kKeepAll});
  const auto reopened = NewLocalObjectStore(*after);
  ASSERT_OK_AND_ASSIGN(const auto unfinished, reopened->ListUnfinished());
  ASSERT_THAT(unfinished, SizeIs(1));
  EXPECT_EQ(unfinished[0].owner, "0123");
  EXPECT_THAT(unfinished[0].name, StartsWith("tmp/"));
  EXPECT_OK(reopened->Delete(unfinished[0].name));
  EXPECT_THAT(reopened->ListUnfinished(), IsOkAndHolds(IsEmpty()));
}

TEST(LocalObjectStoreTest, OpensAFileOnceForManyReads) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  ASSERT_OK(store->PutIfAbsent("packs/00/a", AsBytes("0123456789"), nullptr));
  size_t opens = 0;
  fs.SetHook([&](const DiskOperation& operation) {
    if (operation.kind == Kind::kOpenRead) ++opens;
    return OkStatus();
  });
  Bytes out(2);
  for (uint64_t offset = 0; offset < 10; offset += 2) {
    EXPECT_THAT(store->ReadAt("packs/00/a", offset, out), IsOkAndHolds(2u));
  }
  EXPECT_EQ(opens, 1u);
}

TEST(LocalObjectStoreTest, RefusesNamesThatLeaveTheStore) {
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  for (const char* name : {"", "/etc", "a/../b", "..", "./a", "a//b", "a/"}) {
    EXPECT_THAT(store->PutIfAbsent(name, AsBytes("x"), nullptr),
                StatusIs(StatusCode::kInvalidArgument))
        << name;
    EXPECT_THAT(store->ReadAll(name, 10), StatusIs(StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(store->Delete(name), StatusIs(StatusCode::kInvalidArgument)) << name;
  }
  EXPECT_THAT(store->Create("a", "own/er"), StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace cairn
