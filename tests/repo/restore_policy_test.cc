// SPDX-License-Identifier: Apache-2.0
// What a restore does with what is there already: overwriting and deleting.
#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>

#include "core/repo/restore.h"
#include "tests/fs/target_fixture.h"
#include "tests/repo/restore_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;

class RestorePolicyTest : public RestoreTest {
 protected:
  static RestoreOptions With(OverwritePolicy policy) {
    RestoreOptions options;
    options.overwrite = policy;
    return options;
  }
  static RestoreOptions Deleting() {
    RestoreOptions options;
    options.delete_extra = true;
    return options;
  }
};

TEST_F(RestorePolicyTest, AlwaysReplacesAndNeverKeeps) {
  Write(Source("a"), "snapshot");
  Write(Source("new"), "snapshot");
  const SnapshotId id = Take();
  Write(Target("a"), "present");
  RestoreAll(Place(id), With(OverwritePolicy::kNever));
  EXPECT_EQ(Read(Target("a")), "present");
  EXPECT_EQ(Read(Target("new")), "snapshot");
  RestoreAll(Place(id), With(OverwritePolicy::kAlways));
  EXPECT_EQ(Read(Target("a")), "snapshot");
}

TEST_F(RestorePolicyTest, IfNewerGoesByMtime) {
  for (const char* name : {"older", "newer", "same"}) {
    Write(Source(name), "snapshot");
    SetMtime(Source(name), 1'000'000'000);
  }
  const SnapshotId id = Take();
  Write(Target("older"), "present");
  SetMtime(Target("older"), 999'999'999);
  Write(Target("newer"), "present");
  SetMtime(Target("newer"), 1'000'000'001);
  Write(Target("same"), "present");
  SetMtime(Target("same"), 1'000'000'000);
  RestoreAll(Place(id), With(OverwritePolicy::kIfNewer));
  EXPECT_EQ(Read(Target("older")), "snapshot");
  EXPECT_EQ(Read(Target("newer")), "present");
  EXPECT_EQ(Read(Target("same")), "present");
}

TEST_F(RestorePolicyTest, IfChangedLeavesWhatLooksTheSameButMendsItsAttributes) {
  for (const char* name : {"same", "mode", "size", "time"}) {
    Write(Source(name), "snapshot");
    SetMtime(Source(name), 1'000'000'000, 7);
  }
  const SnapshotId id = Take();
  RestoreAll(Place(id));
  // Seen only where content is written.
  Write(Target("same"), "SNAPSHOT");
  SetMtime(Target("same"), 1'000'000'000, 7);
  ASSERT_EQ(::chmod(Target("mode").c_str(), 0600), 0);
  const ino_t inode = StatOf(Target("mode")).st_ino;
  Write(Target("size"), "longer than it was");
  SetMtime(Target("size"), 1'000'000'000, 7);
  SetMtime(Target("time"), 1'000'000'000, 8);

  const RestoreResult result = RestoreAll(Place(id), With(OverwritePolicy::kIfChanged));
  EXPECT_EQ(Read(Target("same")), "SNAPSHOT");
  EXPECT_EQ(StatOf(Target("mode")).st_mode & 07777U, 0644U);
  EXPECT_EQ(StatOf(Target("mode")).st_ino, inode);
  EXPECT_EQ(Read(Target("size")), "snapshot");
  EXPECT_EQ(StatOf(Target("time")).st_mtim.tv_nsec, 7);
  EXPECT_THAT(actions_, AllOf(Contains(Pair(Source("same"), RestoreAction::kUnchanged)),
                              Contains(Pair(Source("mode"), RestoreAction::kUpdated)),
                              Contains(Pair(Source("size"), RestoreAction::kUpdated)),
                              Contains(Pair(Source("time"), RestoreAction::kUpdated))));
  EXPECT_EQ(result.bytes, 16U);
}

TEST_F(RestorePolicyTest, AttributesAreNotMendedThroughForeignNamesOfTheInode) {
  Write(Source("a"), "snapshot");
  const SnapshotId id = Take();
  RestoreAll(Place(id));
  std::filesystem::create_hard_link(Target("a"), Path("foreign"));
  ASSERT_EQ(::chmod(Target("a").c_str(), 0600), 0);
  RestoreAll(Place(id), With(OverwritePolicy::kIfChanged));
  EXPECT_EQ(StatOf(Target("a")).st_mode & 07777U, 0644U);
  EXPECT_EQ(StatOf(Path("foreign")).st_mode & 07777U, 0600U);
}

TEST_F(RestorePolicyTest, RestoringTwiceIfChangedWritesNothing) {
  Write(Source("d/a"), "snapshot");
  std::filesystem::create_hard_link(Source("d/a"), Source("b"));
  std::filesystem::create_symlink("b", Source("link"));
  const SnapshotId id = Take();
  RestoreAll(Place(id));
  const RestoreResult again = RestoreAll(Place(id), With(OverwritePolicy::kIfChanged));
  EXPECT_EQ(again.files, 0U);
  EXPECT_EQ(again.bytes, 0U);
  EXPECT_EQ(StatOf(Target("b")).st_ino, StatOf(Target("d/a")).st_ino);
}

TEST_F(RestorePolicyTest, OtherNamesOfAReplacedFileKeepItsContent) {
  Write(Source("a"), "snapshot");
  const SnapshotId id = Take();
  Write(Target("a"), "present");
  std::filesystem::create_hard_link(Target("a"), Path("foreign"));
  RestoreAll(Place(id));
  EXPECT_EQ(Read(Target("a")), "snapshot");
  EXPECT_EQ(Read(Path("foreign")), "present");
}

TEST_F(RestorePolicyTest, SymlinkWhereADirectoryShallBeIsReplacedNotFollowed) {
  Write(Source("d/a"), "snapshot");
  const SnapshotId id = Take();
  tree_.MakeDirectory("elsewhere");
  tree_.MakeDirectory("out");
  std::filesystem::create_directory_symlink(Path("elsewhere"), Target("d"));
  RestoreAll(Place(id));
  EXPECT_TRUE(std::filesystem::is_empty(Path("elsewhere")));
  EXPECT_FALSE(std::filesystem::is_symlink(Target("d")));
  EXPECT_EQ(Read(Target("d/a")), "snapshot");
}

TEST_F(RestorePolicyTest, SymlinkOnTheWayThatTheSnapshotDoesNotKnowIsAProblem) {
  Write(Path("x/one/a"), "1");
  Write(Path("x/two/b"), "2");
  RestorePlace place = Place(TakeOf({Path("x/one"), Path("x/two")}));
  place.path.clear();
  tree_.MakeDirectory("elsewhere");
  std::filesystem::create_directories(Target() + tree_.path());
  std::filesystem::create_directory_symlink(Path("elsewhere"), Target() + Path("x"));
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, TryRestore(place));
  EXPECT_GT(result.errors, 0U);
  EXPECT_TRUE(std::filesystem::is_empty(Path("elsewhere")));
}

TEST_F(RestorePolicyTest, FileWhereADirectoryShallBeStaysWhereNothingIsOverwritten) {
  Write(Source("d/a"), "snapshot");
  const SnapshotId id = Take();
  Write(Target("d"), "a file");
  ASSERT_OK_AND_ASSIGN(const RestoreResult result,
                       TryRestore(Place(id), With(OverwritePolicy::kNever)));
  EXPECT_EQ(result.errors, 1U);
  EXPECT_EQ(Read(Target("d")), "a file");
  RestoreAll(Place(id));
  EXPECT_EQ(Read(Target("d/a")), "snapshot");
}

TEST_F(RestorePolicyTest, DirectoryGivesWayToAFileOnlyIfEmptyOrWithDelete) {
  Write(Source("a"), "snapshot");
  std::filesystem::create_symlink("a", Source("b"));
  const SnapshotId id = Take();
  std::filesystem::create_directories(Target("a"));
  std::filesystem::create_directories(Target("b"));
  RestoreAll(Place(id));
  EXPECT_EQ(Read(Target("a")), "snapshot");
  EXPECT_TRUE(std::filesystem::is_symlink(Target("b")));

  for (const char* name : {"a", "b"}) {
    std::filesystem::remove(Target(name));
    Write(Target(std::string(name) + "/inside"), "present");
  }
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, TryRestore(Place(id)));
  EXPECT_EQ(result.errors, 2U);
  EXPECT_EQ(Read(Target("a/inside")), "present");
  EXPECT_EQ(RestoreAll(Place(id), Deleting()).deleted, 4U);
  EXPECT_EQ(Read(Target("a")), "snapshot");
}

TEST_F(RestorePolicyTest, DeleteRemovesWhatTheSnapshotLacks) {
  Write(Source("d/a"), "snapshot");
  const SnapshotId id = Take();
  RestoreAll(Place(id));
  Write(Target("extra"), "x");
  Write(Target("d/more/deep/file"), "x");
  EXPECT_EQ(RestoreAll(Place(id), Deleting()).deleted, 4U);
  EXPECT_FALSE(Exists(Target("extra")));
  EXPECT_FALSE(Exists(Target("d/more")));
  EXPECT_EQ(Read(Target("d/a")), "snapshot");
  EXPECT_EQ(RootOf(Target()), RootOf(Source()));
}

TEST_F(RestorePolicyTest, WithoutDeleteNothingIsDeleted) {
  Write(Source("d/a"), "snapshot");
  const SnapshotId id = Take();
  Write(Target("d/extra"), "x");
  EXPECT_EQ(RestoreAll(Place(id)).deleted, 0U);
  EXPECT_TRUE(Exists(Target("d/extra")));
}

TEST_F(RestorePolicyTest, DeleteSparesWhatTheSnapshotExcluded) {
  Write(Source("a"), "snapshot");
  Write(Source("d/keep.tmp"), "excluded");
  Write(Source("big"), std::string(2000, 'x'));
  SnapshotOptions rules;
  ASSERT_OK(rules.rules.excludes.Add("*.tmp"));
  rules.rules.exclude_larger_than = 1000;
  rules.rules.exclude_if_present = {".nobackup"};
  Write(Source("marked/.nobackup"), "");
  Write(Source("marked/work"), "excluded");
  const SnapshotId id = Take(rules);
  // Made since, but of the kinds that were left out.
  Write(Source("later/new.tmp"), "excluded");
  Write(Source("later/other"), "goes");
  Write(Source("later_marked/.nobackup"), "");
  Write(Source("later_marked/work"), "excluded");

  RestoreOptions options = Deleting();
  const RestorePlace in_place{.snapshot = id, .path = "", .target = "", .in_place = true};
  EXPECT_EQ(RestoreAll(in_place, options).deleted, 1U);
  EXPECT_TRUE(Exists(Source("d/keep.tmp")));
  EXPECT_TRUE(Exists(Source("big")));
  EXPECT_TRUE(Exists(Source("marked/work")));
  EXPECT_TRUE(Exists(Source("later/new.tmp")));
  EXPECT_FALSE(Exists(Source("later/other")));
  EXPECT_TRUE(Exists(Source("later_marked/work")));
}

TEST_F(RestorePolicyTest, DeleteSparesCaches) {
  const std::string tag = "Signature: 8a477f597d28d172789f06886806bc55\n";
  Write(Source("cache/CACHEDIR.TAG"), tag);
  Write(Source("cache/x"), "excluded");
  SnapshotOptions rules;
  rules.rules.exclude_caches = true;
  const SnapshotId id = Take(rules);
  Write(Source("later/CACHEDIR.TAG"), tag);
  Write(Source("no_cache/CACHEDIR.TAG"), "something else");
  RestoreAll({.snapshot = id, .path = "", .target = "", .in_place = true}, Deleting());
  EXPECT_TRUE(Exists(Source("cache/x")));
  EXPECT_TRUE(Exists(Source("later/CACHEDIR.TAG")));
  EXPECT_FALSE(Exists(Source("no_cache")));
}

TEST_F(RestorePolicyTest, DeleteSparesWhatTheRestoreItselfLeavesOut) {
  Write(Source("a"), "snapshot");
  Write(Source("d/a"), "snapshot");
  const SnapshotId id = Take();
  RestoreAll(Place(id));
  Write(Target("d/extra"), "x");
  Write(Target("d/extra.o"), "x");
  Write(Target("extra"), "x");
  RestoreOptions options = Deleting();
  ASSERT_OK(options.exclude.Add("*.o"));
  ASSERT_OK(options.include.Add(Source("d")));
  RestoreAll(Place(id), options);
  EXPECT_TRUE(Exists(Target("extra")));
  EXPECT_FALSE(Exists(Target("d/extra")));
  EXPECT_TRUE(Exists(Target("d/extra.o")));
}

TEST_F(RestorePolicyTest, DeleteSparesOtherMounts) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Write(Source("a"), "snapshot");
  const SnapshotId id = Take();
  InChild([&] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return;
    }
    std::filesystem::create_directories(Target("extra/mount"));
    ASSERT_EQ(::mount("none", Target("extra/mount").c_str(), "tmpfs", 0, nullptr), 0);
    Write(Target("extra/mount/file"), "x");
    Write(Target("extra/file"), "x");
    RestoreAll(Place(id), Deleting());
    EXPECT_TRUE(Exists(Target("extra/mount/file")));
    EXPECT_FALSE(Exists(Target("extra/file")));
  });
}

TEST_F(RestorePolicyTest, UnreadFilesAreNeitherMadeNorReplacedNorDeleted) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  ASSERT_EQ(::chmod(tree_.path().c_str(), 0755), 0);
  Write(Source("secret"), "secret");
  Write(Source("closed/inside"), "inside");
  Write(Source("open"), "open");
  ASSERT_EQ(::chmod(Source("secret").c_str(), 0), 0);
  ASSERT_EQ(::chmod(Source("closed").c_str(), 0), 0);
  InChild([&] {
    ASSERT_EQ(::setresuid(65534, 65534, 65534), 0);
    const SnapshotId id = Take();
    ASSERT_EQ(::setresuid(-1, 0, -1), -1);  // for good
    RestorePlace place = Place(id);
    place.target = "/tmp/" + std::filesystem::path(tree_.path()).filename().string() + ".out";
    ASSERT_EQ(::mkdir(place.target.c_str(), 0755), 0);
    Write(place.target + "/secret", "mine");
    Write(place.target + "/closed/mine", "mine");
    StatusOr<RestoreResult> result = TryRestore(place, Deleting());
    EXPECT_OK(result);
    if (result.ok()) {
      EXPECT_EQ(result->errors, 0U);
      EXPECT_EQ(result->unread_in_snapshot, 2U);
      EXPECT_GE(result->owners_not_set, 1U);
      EXPECT_EQ(Read(place.target + "/open"), "open");
      EXPECT_EQ(Read(place.target + "/secret"), "mine");
    }
    ::chmod((place.target + "/closed").c_str(), 0700);
    EXPECT_EQ(Read(place.target + "/closed/mine"), "mine");
    std::filesystem::remove_all(place.target);
  });
}

TEST_F(RestorePolicyTest, OrdinaryUserRestoresWhatHeCan) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  ASSERT_EQ(::chmod(tree_.path().c_str(), 0777), 0);
  Write(Source("d/a"), "content");
  ASSERT_EQ(::mknod(Source("device").c_str(), S_IFCHR | 0600, makedev(1, 3)), 0);
  ASSERT_EQ(::chmod(Source("d").c_str(), 0500), 0);
  const SnapshotId id = Take();
  InChild([&] {
    ASSERT_EQ(::setresgid(65534, 65534, 65534), 0);
    ASSERT_EQ(::setresuid(65534, 65534, 65534), 0);
    ASSERT_OK_AND_ASSIGN(const RestoreResult result, TryRestore(Place(id)));
    EXPECT_EQ(result.errors, 0U);
    EXPECT_EQ(result.specials_not_made, 1U);
    EXPECT_EQ(result.owners_not_set, 3U);
    EXPECT_EQ(Read(Target("d/a")), "content");
    EXPECT_EQ(StatOf(Target("d")).st_mode & 07777U, 0500U);
    ::chmod(Target("d").c_str(), 0700);
  });
}

TEST_F(RestorePolicyTest, TheRepositoryItselfIsLeftAlone) {
  const auto write_repository = [&](const std::string& path) {
    ASSERT_OK_AND_ASSIGN(const auto config, repository_files_.OpenRead("config"));
    Bytes bytes(128);
    ASSERT_OK(config->ReadAt(0, bytes));
    Write(path + "/config", std::string(AsText(bytes)));
    Write(path + "/journal/1", "old");
  };
  write_repository(Source("repo"));
  Write(Source("a"), "snapshot");
  const SnapshotId id = Take();
  Write(Source("repo/journal/1"), "new");
  Write(Source("repo/journal/2"), "new");
  write_repository(Source("moved/repo"));
  ASSERT_OK_AND_ASSIGN(
      const RestoreResult result,
      TryRestore({.snapshot = id, .path = "", .target = "", .in_place = true}, Deleting()));
  EXPECT_EQ(result.errors, 1U);
  EXPECT_THAT(problems_, Contains(Pair(Source("repo"), HasSubstr("repository"))));
  EXPECT_EQ(Read(Source("repo/journal/1")), "new");
  EXPECT_EQ(Read(Source("repo/journal/2")), "new");
  EXPECT_TRUE(Exists(Source("moved/repo/journal/1")));
}

TEST_F(RestorePolicyTest, WhatCannotBeDeletedIsReported) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  std::filesystem::create_directory(Source("dir"));
  const SnapshotId id = Take();
  Write(Target("dir/extra"), "x");
  Write(Target("more"), "x");
  for (const std::string& mine : {tree_.path(), Target(), Target("more")}) {
    ASSERT_EQ(::chown(mine.c_str(), kOrdinaryUser, kOrdinaryUser), 0);
  }
  AsOrdinaryUser({}, [&] {
    ASSERT_OK_AND_ASSIGN(const RestoreResult result, TryRestore(Place(id), Deleting()));
    EXPECT_THAT(problems_, Contains(Pair(Source("dir/extra"), HasSubstr("remove"))));
    EXPECT_TRUE(Exists(Target("dir/extra")));
    EXPECT_FALSE(Exists(Target("more")));
    EXPECT_GE(result.errors, 1U);
    EXPECT_EQ(result.deleted, 1U);
  });
}

}  // namespace
}  // namespace cairn::testing
