// SPDX-License-Identifier: Apache-2.0
#include "core/base/memory_file_system.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::cairn::testing::IsOk;
using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::StatusIs;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Kind = DiskOperation::Kind;

const CrashChoices kKeepAll{.policy = CrashPolicy::kKeepAll};
const CrashChoices kDropUnsynced{.policy = CrashPolicy::kDropUnsynced};
const CrashChoices kKeepNamesDropData{.policy = CrashPolicy::kKeepNamesDropData};
CrashChoices Random(uint64_t seed) { return {.policy = CrashPolicy::kRandom, .seed = seed}; }

StatusOr<std::string> Read(FileSystem& fs, const std::string& path) {
  ASSIGN_OR_RETURN(const Bytes bytes, ReadWholeFile(fs, path, kGiB));
  return std::string(AsText(bytes));
}

std::unique_ptr<WritableFile> Create(FileSystem& fs, const std::string& path,
                                     std::string_view content) {
  StatusOr<std::unique_ptr<WritableFile>> file = fs.CreateNew(path);
  EXPECT_OK(file);
  EXPECT_OK((*file)->Append(AsBytes(content)));
  return *std::move(file);
}

void CreateDurable(FileSystem& fs, const std::string& path, std::string_view content) {
  EXPECT_OK(Create(fs, path, content)->Sync());
  const size_t slash = path.rfind('/');
  EXPECT_OK(fs.SyncDirectory(slash == std::string::npos ? "" : path.substr(0, slash)));
}

std::unique_ptr<MemoryFileSystem> CrashNow(const MemoryFileSystem& fs, const CrashChoices& how) {
  return fs.CrashedAt(fs.operation_count(), how);
}

// The different disks that many seeds make, as "path=content" lines.
std::set<std::string> AllOutcomes(const MemoryFileSystem& fs, int seeds) {
  std::set<std::string> outcomes;
  for (int seed = 0; seed < seeds; ++seed) {
    const auto after = CrashNow(fs, Random(seed));
    std::string outcome;
    for (const std::string& path : after->AllPaths()) {
      outcome.append(path).append("=").append(Read(*after, path).value_or("DIRECTORY")).append(";");
    }
    outcomes.insert(outcome);
  }
  return outcomes;
}

TEST(MemoryFileSystemCrashTest, SyncedFileInSyncedDirectorySurvivesEveryCrash) {
  MemoryFileSystem fs;
  CreateDurable(fs, "f", "content");
  EXPECT_THAT(Read(*CrashNow(fs, kDropUnsynced), "f"), IsOkAndHolds("content"));
  EXPECT_THAT(Read(*CrashNow(fs, kKeepNamesDropData), "f"), IsOkAndHolds("content"));
  EXPECT_THAT(AllOutcomes(fs, 50), ElementsAre("f=content;"));
}

TEST(MemoryFileSystemCrashTest, UnsyncedAppendIsLost) {
  MemoryFileSystem fs;
  const auto file = Create(fs, "f", "synced");
  ASSERT_OK(file->Sync());
  ASSERT_OK(fs.SyncDirectory(""));
  ASSERT_OK(file->Append(AsBytes(" not")));
  EXPECT_THAT(Read(fs, "f"), IsOkAndHolds("synced not"));
  EXPECT_THAT(Read(*CrashNow(fs, kDropUnsynced), "f"), IsOkAndHolds("synced"));
  EXPECT_THAT(Read(*CrashNow(fs, kKeepNamesDropData), "f"), IsOkAndHolds("synced"));
  EXPECT_THAT(Read(*CrashNow(fs, kKeepAll), "f"), IsOkAndHolds("synced not"));
}

TEST(MemoryFileSystemCrashTest, SyncedFileWithoutSyncedDirectoryMayBeLost) {
  MemoryFileSystem fs;
  ASSERT_OK(Create(fs, "f", "x")->Sync());
  EXPECT_THAT(CrashNow(fs, kDropUnsynced)->AllPaths(), IsEmpty());
  EXPECT_THAT(AllOutcomes(fs, 50), ElementsAre("", "f=x;"));
}

TEST(MemoryFileSystemCrashTest, SyncOfADirectoryDoesNotCoverItsOwnName) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("d"));
  CreateDurable(fs, "d/f", "x");
  EXPECT_THAT(CrashNow(fs, kDropUnsynced)->AllPaths(), IsEmpty());
  ASSERT_OK(fs.SyncDirectory(""));
  EXPECT_THAT(CrashNow(fs, kDropUnsynced)->AllPaths(), ElementsAre("d", "d/f"));
}

TEST(MemoryFileSystemCrashTest, RenamedFileMayHaveItsNameAndNotItsBytes) {
  MemoryFileSystem fs;
  Create(fs, "tmp", "bytes");
  ASSERT_OK(fs.RenameNoReplace("tmp", "final"));
  ASSERT_OK(fs.SyncDirectory(""));
  EXPECT_THAT(Read(*CrashNow(fs, kDropUnsynced), "final"), IsOkAndHolds(""));
  EXPECT_THAT(Read(*CrashNow(fs, kKeepNamesDropData), "final"), IsOkAndHolds(""));
}

TEST(MemoryFileSystemCrashTest, UnsyncedRenameIsLostOrKeptAsAWhole) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("a"));
  ASSERT_OK(fs.CreateDirectory("b"));
  ASSERT_OK(fs.SyncDirectory(""));
  CreateDurable(fs, "a/f", "x");
  ASSERT_OK(fs.RenameNoReplace("a/f", "b/f"));
  EXPECT_THAT(AllOutcomes(fs, 50),
              ElementsAre("a=DIRECTORY;a/f=x;b=DIRECTORY;", "a=DIRECTORY;b=DIRECTORY;b/f=x;"));
}

TEST(MemoryFileSystemCrashTest, SyncOfEitherDirectoryCoversARename) {
  for (const char* synced : {"a", "b"}) {
    MemoryFileSystem fs;
    ASSERT_OK(fs.CreateDirectory("a"));
    ASSERT_OK(fs.CreateDirectory("b"));
    ASSERT_OK(fs.SyncDirectory(""));
    CreateDurable(fs, "a/f", "x");
    ASSERT_OK(fs.RenameNoReplace("a/f", "b/f"));
    ASSERT_OK(fs.SyncDirectory(synced));
    EXPECT_THAT(CrashNow(fs, kDropUnsynced)->AllPaths(), ElementsAre("a", "b", "b/f")) << synced;
  }
}

TEST(MemoryFileSystemCrashTest, ReplacedFileIsOldOrNewAndNeverAbsent) {
  MemoryFileSystem fs;
  CreateDurable(fs, "f", "old");
  CreateDurable(fs, "tmp", "new");
  ASSERT_OK(fs.RenameReplace("tmp", "f"));
  EXPECT_THAT(AllOutcomes(fs, 50), ElementsAre("f=new;", "f=old;tmp=new;"));
}

TEST(MemoryFileSystemCrashTest, UnsyncedUnlinkMayBeUndone) {
  MemoryFileSystem fs;
  CreateDurable(fs, "f", "x");
  ASSERT_OK(fs.Unlink("f"));
  EXPECT_THAT(Read(*CrashNow(fs, kDropUnsynced), "f"), IsOkAndHolds("x"));
  EXPECT_THAT(AllOutcomes(fs, 50), ElementsAre("", "f=x;"));
  ASSERT_OK(fs.SyncDirectory(""));
  EXPECT_THAT(AllOutcomes(fs, 50), ElementsAre(""));
}

TEST(MemoryFileSystemCrashTest, DifferentNamesLandInAnyOrder) {
  MemoryFileSystem fs;
  Create(fs, "a", "")->Sync().IgnoreError();
  Create(fs, "b", "")->Sync().IgnoreError();
  EXPECT_THAT(AllOutcomes(fs, 200), ElementsAre("", "a=;", "a=;b=;", "b=;"));
}

TEST(MemoryFileSystemCrashTest, ChangesOfOneNameLandInOrder) {
  MemoryFileSystem fs;
  CreateDurable(fs, "a", "1");
  ASSERT_OK(fs.RenameNoReplace("a", "b"));
  ASSERT_OK(fs.RenameNoReplace("b", "c"));
  EXPECT_THAT(AllOutcomes(fs, 200), ElementsAre("a=1;", "b=1;", "c=1;"));
}

TEST(MemoryFileSystemCrashTest, UnsyncedSectorsAreKeptZeroOrGarbageAndSyncedOnesStand) {
  MemoryFileSystem fs;
  const std::string synced(700, 's');
  const std::string more(20000, 'u');
  const auto file = Create(fs, "f", synced);
  ASSERT_OK(file->Sync());
  ASSERT_OK(fs.SyncDirectory(""));
  ASSERT_OK(file->Append(AsBytes(more)));
  bool kept = false, dropped = false, zeros = false, garbage = false, cut = false;
  for (int seed = 0; seed < 200; ++seed) {
    ASSERT_OK_AND_ASSIGN(const std::string after, Read(*CrashNow(fs, Random(seed)), "f"));
    ASSERT_GE(after.size(), synced.size());
    ASSERT_LE(after.size(), synced.size() + more.size());
    ASSERT_EQ(after.substr(0, synced.size()), synced);
    const std::string rest = after.substr(synced.size());
    kept |= rest == more;
    dropped |= rest.empty();
    cut |= !rest.empty() && rest.size() < more.size();
    zeros |= rest.find(std::string(512, '\0')) != std::string::npos;
    garbage |= rest.find_first_not_of(std::string("u\0", 2)) != std::string::npos;
  }
  EXPECT_TRUE(kept && dropped && zeros && garbage && cut);
}

TEST(MemoryFileSystemCrashTest, EqualSeedsMakeEqualDisks) {
  MemoryFileSystem fs;
  Create(fs, "f", std::string(50000, 'x'));
  for (int seed = 0; seed < 20; ++seed) {
    const auto first = CrashNow(fs, Random(seed));
    const auto second = CrashNow(fs, Random(seed));
    ASSERT_EQ(first->AllPaths(), second->AllPaths());
    EXPECT_EQ(Read(*first, "f").value_or("absent"), Read(*second, "f").value_or("absent"));
  }
}

TEST(MemoryFileSystemCrashTest, EachOpenThingCanBeChosen) {
  MemoryFileSystem fs;
  const std::string content(2048, 'a');
  Create(fs, "file", content);
  const auto after = [&](std::vector<size_t> answers) -> StatusOr<std::string> {
    std::vector<size_t> counts;
    const auto disk = fs.CrashedAt(fs.operation_count(),
                                   {.policy = CrashPolicy::kChosen, .choose = [&](size_t count) {
                                      counts.push_back(count);
                                      return answers[counts.size() - 1];
                                    }});
    EXPECT_EQ(counts.size(), answers.size());
    return Read(*disk, "file");
  };
  const std::string half(1024, 'a');
  const std::string zeros(1024, '\0');
  EXPECT_THAT(after({0}), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(after({1, 0}), IsOkAndHolds(content));
  EXPECT_THAT(after({1, 1}), IsOkAndHolds(""));
  EXPECT_THAT(after({1, 2}), IsOkAndHolds(zeros + zeros));
  EXPECT_THAT(after({1, 3}), IsOkAndHolds(half));
  EXPECT_THAT(after({1, 4}), IsOkAndHolds(half + zeros));
  EXPECT_THAT(after({1, 5}), IsOkAndHolds(zeros + half));
}

TEST(MemoryFileSystemCrashTest, WhatHasSettledIsDurableWithoutASync) {
  MemoryFileSystem fs;
  Create(fs, "old", "content");
  const size_t settled = fs.operation_count();
  Create(fs, "new", "content");
  const auto disk = fs.CrashedAt(fs.operation_count(), {.settled = settled});
  EXPECT_THAT(disk->AllPaths(), ElementsAre("old"));
  EXPECT_THAT(Read(*disk, "old"), IsOkAndHolds("content"));
}

TEST(MemoryFileSystemCrashTest, CutsThePowerAfterAnyOperation) {
  MemoryFileSystem fs;
  CreateDurable(fs, "f", "x");  // create, append, sync, sync directory
  ASSERT_EQ(fs.operation_count(), 4);
  for (size_t n = 0; n < 4; ++n) {
    EXPECT_THAT(fs.CrashedAt(n, kDropUnsynced)->AllPaths(), IsEmpty()) << n;
  }
  EXPECT_THAT(fs.CrashedAt(4, kDropUnsynced)->AllPaths(), ElementsAre("f"));
  EXPECT_THAT(fs.CrashedAt(0, kKeepAll)->AllPaths(), IsEmpty());
  EXPECT_THAT(Read(*fs.CrashedAt(1, kKeepAll), "f"), IsOkAndHolds(""));
  EXPECT_THAT(Read(*fs.CrashedAt(2, kKeepAll), "f"), IsOkAndHolds("x"));
}

TEST(MemoryFileSystemCrashTest, ADiskAfterACrashIsDurableAndCanCrashAgain) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("d"));
  Create(fs, "d/f", "x");
  const auto after = CrashNow(fs, kKeepAll);
  EXPECT_EQ(after->operation_count(), 0);
  EXPECT_THAT(after->operations(), IsEmpty());
  Create(*after, "d/g", "y");
  const auto again = CrashNow(*after, kDropUnsynced);
  EXPECT_THAT(again->AllPaths(), ElementsAre("d", "d/f"));
  EXPECT_THAT(Read(*again, "d/f"), IsOkAndHolds("x"));
  EXPECT_THAT(fs.AllPaths(), ElementsAre("d", "d/f"));
}

TEST(MemoryFileSystemCrashTest, LocksEndWithTheCrash) {
  MemoryFileSystem fs;
  ASSERT_OK_AND_ASSIGN(const auto lock, fs.TryLock("l", true));
  ASSERT_OK(lock->WriteContent(AsBytes("pid")));
  EXPECT_THAT(fs.TryLock("l", true), StatusIs(StatusCode::kAborted));
  const auto after = CrashNow(fs, kKeepAll);
  EXPECT_OK(after->TryLock("l", false));
  EXPECT_THAT(Read(*after, "l"), IsOkAndHolds("pid"));
}

TEST(MemoryFileSystemCrashTest, ReplacedLockContentIsOldNewOrTorn) {
  MemoryFileSystem fs;
  CreateDurable(fs, "l", "old");
  ASSERT_OK_AND_ASSIGN(const auto lock, fs.TryLock("l", false));
  ASSERT_OK(lock->WriteContent(AsBytes("newer")));
  EXPECT_THAT(Read(*CrashNow(fs, kDropUnsynced), "l"), IsOkAndHolds("old"));
  const std::set<std::string> outcomes = AllOutcomes(fs, 100);
  EXPECT_TRUE(outcomes.contains("l=old;"));
  EXPECT_TRUE(outcomes.contains("l=newer;"));
  EXPECT_TRUE(outcomes.contains("l=;"));
}

TEST(MemoryFileSystemCrashTest, FailedSyncCoversNothing) {
  MemoryFileSystem fs;
  const auto file = Create(fs, "f", "x");
  ASSERT_OK(fs.SyncDirectory(""));
  fs.FailChanges({.code = StatusCode::kUnavailable});
  EXPECT_THAT(file->Sync(), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(file->Sync(), StatusIs(StatusCode::kFailedPrecondition, HasSubstr("f")));
  EXPECT_THAT(file->Append(AsBytes("y")), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(Read(*CrashNow(fs, kDropUnsynced), "f"), IsOkAndHolds(""));
}

TEST(MemoryFileSystemCrashTest, DamageIsDurable) {
  MemoryFileSystem fs;
  CreateDurable(fs, "f", "abc");
  ASSERT_OK(fs.Damage("f", [](Bytes& bytes) { bytes[1] ^= 0x20; }));
  EXPECT_THAT(Read(fs, "f"), IsOkAndHolds("aBc"));
  EXPECT_THAT(Read(*CrashNow(fs, kDropUnsynced), "f"), IsOkAndHolds("aBc"));
  EXPECT_THAT(fs.Damage("none", [](Bytes&) {}), StatusIs(StatusCode::kNotFound));
}

TEST(MemoryFileSystemTest, RecordsChangesAndNotReads) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("d"));
  CreateDurable(fs, "d/t", "xyz");
  ASSERT_OK(fs.RenameNoReplace("d/t", "d/f"));
  ASSERT_OK(fs.FileSize("d/f"));
  EXPECT_THAT(fs.RenameNoReplace("d/t", "d/f"), Not(IsOk()));
  std::vector<Kind> kinds;
  for (const DiskOperation& operation : fs.operations()) kinds.push_back(operation.kind);
  EXPECT_THAT(kinds, ElementsAre(Kind::kCreateDirectory, Kind::kCreate, Kind::kAppend, Kind::kSync,
                                 Kind::kSyncDirectory, Kind::kRename));
  EXPECT_EQ(fs.operations()[2].bytes, 3);
  EXPECT_EQ(fs.operations()[5].path, "d/t");
  EXPECT_EQ(fs.operations()[5].to, "d/f");
}

TEST(MemoryFileSystemTest, AFullDiskTakesWhatFits) {
  MemoryFileSystem fs;
  fs.SetCapacityBytes(10);
  const auto file = Create(fs, "f", "12345678");
  EXPECT_THAT(fs.FreeBytes(), IsOkAndHolds(2));
  EXPECT_THAT(file->Append(AsBytes("9abc")), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(Read(fs, "f"), IsOkAndHolds("123456789a"));
  EXPECT_THAT(fs.FreeBytes(), IsOkAndHolds(0));
}

TEST(MemoryFileSystemTest, SpaceOfARemovedFileIsFreeOnceItIsClosed) {
  MemoryFileSystem fs;
  fs.SetCapacityBytes(10);
  auto file = Create(fs, "f", "12345678");
  ASSERT_OK(fs.Unlink("f"));
  EXPECT_THAT(fs.FreeBytes(), IsOkAndHolds(2));
  file.reset();
  EXPECT_THAT(fs.FreeBytes(), IsOkAndHolds(10));
}

TEST(MemoryFileSystemTest, TheChosenChangesFail) {
  MemoryFileSystem fs;
  fs.FailChanges(
      {.code = StatusCode::kResourceExhausted, .message = "full", .skip = 1, .count = 2});
  EXPECT_OK(fs.CreateDirectory("a"));
  EXPECT_THAT(fs.CreateDirectory("b"), StatusIs(StatusCode::kResourceExhausted, "full"));
  EXPECT_OK(fs.List(""));
  EXPECT_THAT(fs.Unlink("none"), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_OK(fs.CreateDirectory("c"));
  EXPECT_THAT(fs.AllPaths(), ElementsAre("a", "c"));
  EXPECT_EQ(fs.operation_count(), 2);
}

TEST(MemoryFileSystemTest, AFaultMayLastUntilItIsCleared) {
  MemoryFileSystem fs;
  fs.FailChanges({.count = DiskFault::kForever});
  for (int i = 0; i < 5; ++i) EXPECT_THAT(fs.CreateDirectory("a"), Not(IsOk()));
  fs.ClearFaults();
  EXPECT_OK(fs.CreateDirectory("a"));
}

TEST(MemoryFileSystemTest, AnAppliedFaultHidesASuccess) {
  MemoryFileSystem fs;
  CreateDurable(fs, "tmp", "x");
  fs.FailChanges({.applied = true});
  EXPECT_THAT(fs.RenameNoReplace("tmp", "final"), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(fs.AllPaths(), ElementsAre("final"));
}

TEST(MemoryFileSystemTest, AnAppendMayFailHalfway) {
  MemoryFileSystem fs;
  ASSERT_OK_AND_ASSIGN(const auto file, fs.CreateNew("f"));
  fs.FailChanges({.partial_bytes = 3});
  EXPECT_THAT(file->Append(AsBytes("abcdef")), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(Read(fs, "f"), IsOkAndHolds("abc"));
}

TEST(MemoryFileSystemTest, TheChosenReadsFail) {
  MemoryFileSystem fs;
  CreateDurable(fs, "f", "x");
  ASSERT_OK_AND_ASSIGN(const auto file, fs.OpenRead("f"));
  fs.FailReads({.message = "bad sector", .count = 4});
  Bytes out(1);
  EXPECT_THAT(file->ReadAt(0, out), StatusIs(StatusCode::kUnavailable, "bad sector"));
  EXPECT_THAT(file->Size(), Not(IsOk()));
  EXPECT_THAT(fs.List(""), Not(IsOk()));
  EXPECT_THAT(fs.OpenRead("f"), Not(IsOk()));
  EXPECT_THAT(file->ReadAt(0, out), IsOkAndHolds(1));
}

TEST(MemoryFileSystemTest, AHookRunsBeforeEachOperationAndMayUseTheDisk) {
  MemoryFileSystem fs;
  std::vector<Kind> seen;
  fs.SetHook([&](const DiskOperation& operation) {
    seen.push_back(operation.kind);
    // Another process takes the name first.
    if (operation.kind == Kind::kRename) CreateDurable(fs, operation.to, "theirs");
    return OkStatus();
  });
  CreateDurable(fs, "tmp", "mine");
  EXPECT_THAT(fs.RenameNoReplace("tmp", "final"), StatusIs(StatusCode::kAlreadyExists));
  fs.SetHook(nullptr);
  EXPECT_THAT(seen, ElementsAre(Kind::kCreate, Kind::kAppend, Kind::kSync, Kind::kSyncDirectory,
                                Kind::kRename));
  EXPECT_THAT(Read(fs, "final"), IsOkAndHolds("theirs"));
}

TEST(MemoryFileSystemTest, AnErrorOfTheHookIsTheOperations) {
  MemoryFileSystem fs;
  fs.SetHook([](const DiskOperation& operation) {
    return operation.kind == Kind::kList ? Cancelled("hook") : OkStatus();
  });
  EXPECT_THAT(fs.List(""), StatusIs(StatusCode::kCancelled, "hook"));
  EXPECT_OK(fs.CreateDirectory("d"));
}

TEST(MemoryFileSystemTest, FilesOutliveTheFileSystem) {
  auto fs = std::make_unique<MemoryFileSystem>();
  const auto file = Create(*fs, "f", "x");
  ASSERT_OK_AND_ASSIGN(const auto reader, fs->OpenRead("f"));
  fs.reset();
  EXPECT_OK(file->Append(AsBytes("y")));
  EXPECT_THAT(reader->Size(), IsOkAndHolds(2));
}

TEST(MemoryFileSystemTest, ThreadsShareOneDisk) {
  MemoryFileSystem fs;
  fs.SetHook([](const DiskOperation&) { return OkStatus(); });
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&fs, t] {
        for (int i = 0; i < 50; ++i) {
          const std::string name = std::to_string(t) + "-" + std::to_string(i);
          CreateDurable(fs, name, name);
          EXPECT_THAT(Read(fs, name), IsOkAndHolds(name));
        }
      });
    }
  }
  EXPECT_THAT(fs.AllPaths(), ::testing::SizeIs(200));
  EXPECT_THAT(CrashNow(fs, kDropUnsynced)->AllPaths(), ::testing::SizeIs(200));
}

}  // namespace
}  // namespace cairn
