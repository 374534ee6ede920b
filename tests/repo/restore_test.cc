// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/repo/restore_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST_F(RestoreTest, PathsOwnContentsLandInTheTarget) {
  Write(Source("a.txt"), "hello");
  Write(Source("d/b.txt"), "world");
  const RestoreResult result = RestoreAll(Place(Take()));
  EXPECT_EQ(Read(Target("a.txt")), "hello");
  EXPECT_EQ(Read(Target("d/b.txt")), "world");
  EXPECT_EQ(result.files, 2U);
  EXPECT_EQ(result.bytes, 10U);
}

TEST_F(RestoreTest, WholeSnapshotIsRebuiltFromTheRootBelowTheTarget) {
  Write(Source("a.txt"), "hello");
  ASSERT_EQ(::chmod(Source().c_str(), 0711), 0);
  SetMtime(Source(), 1'000'000'000, 5);
  RestorePlace place = Place(Take());
  place.path.clear();
  RestoreAll(place);
  EXPECT_EQ(Read(Target() + Source("a.txt")), "hello");
  const struct stat st = StatOf(Target() + Source());
  EXPECT_EQ(st.st_mode & 07777U, 0711U);
  EXPECT_EQ(st.st_mtim.tv_sec, 1'000'000'000);
  EXPECT_EQ(st.st_mtim.tv_nsec, 5);
  // The way to it has no attributes in the snapshot.
  EXPECT_EQ(StatOf(Target("tmp")).st_mode & 0700U, 0700U);
}

TEST_F(RestoreTest, SeveralSourcesGoBelowTheTargetByTheirPaths) {
  Write(Path("x/one/a"), "1");
  Write(Path("x/two/b"), "2");
  Write(Path("y"), "3");
  RestorePlace place = Place(TakeOf({Path("x/one"), Path("x/two"), Path("y")}));
  place.path.clear();
  RestoreAll(place);
  EXPECT_EQ(Read(Target() + Path("x/one/a")), "1");
  EXPECT_EQ(Read(Target() + Path("x/two/b")), "2");
  EXPECT_EQ(Read(Target() + Path("y")), "3");
}

TEST_F(RestoreTest, PathBetweenOrAboveTheSourcesCanBeNamed) {
  Write(Path("x/one/a"), "1");
  Write(Path("x/two/b"), "2");
  Write(Path("y"), "3");
  const SnapshotId id = TakeOf({Path("x/one"), Path("x/two"), Path("y")});
  RestoreAll(Place(id, Path("x")));
  EXPECT_EQ(Read(Target("one/a")), "1");
  EXPECT_FALSE(Exists(Target("y")));

  RestorePlace above = Place(id, "/");
  above.target = Path("all");
  RestoreAll(above);
  EXPECT_EQ(Read(Path("all") + Path("y")), "3");
}

TEST_F(RestoreTest, OneFileLandsUnderItsOwnName) {
  Write(Source("d/b.txt"), "world");
  Write(Source("d/c.txt"), "other");
  const SnapshotId id = Take();
  EXPECT_EQ(RestoreAll(Place(id, Source("d/b.txt"))).files, 1U);
  EXPECT_EQ(Read(Target("b.txt")), "world");
  EXPECT_FALSE(Exists(Target("c.txt")));

  const SnapshotId alone = TakeOf({Source("d/b.txt")});
  RestorePlace place = Place(alone, Source("d/b.txt"));
  place.target = Path("alone");
  RestoreAll(place);
  EXPECT_EQ(Read(Path("alone/b.txt")), "world");
}

TEST_F(RestoreTest, InPlaceGoesBackToWhereItWas) {
  Write(Source("a.txt"), "before");
  Write(Source("d/b.txt"), "before");
  const SnapshotId id = Take();
  Write(Source("a.txt"), "after");
  std::filesystem::remove_all(Source("d"));
  RestoreAll({.snapshot = id, .path = "", .target = "", .in_place = true});
  EXPECT_EQ(Read(Source("a.txt")), "before");
  EXPECT_EQ(Read(Source("d/b.txt")), "before");

  Write(Source("a.txt"), "again");
  Write(Source("d/b.txt"), "again");
  RestoreAll({.snapshot = id, .path = Source("d"), .target = "", .in_place = true});
  EXPECT_EQ(Read(Source("a.txt")), "again");
  EXPECT_EQ(Read(Source("d/b.txt")), "before");
}

TEST_F(RestoreTest, InPlaceFindsSourcesThatLieBehindSymlinks) {
  Write(Path("real/x/one/a"), "1");
  Write(Path("real/x/two/b"), "2");
  tree_.MakeSymlink("real", "link");
  const SnapshotId id = TakeOf({Path("link/x/one"), Path("link/x/two")});
  std::filesystem::remove_all(Path("real/x/one"));
  RestoreAll({.snapshot = id, .path = "", .target = "", .in_place = true});
  EXPECT_EQ(Read(Path("real/x/one/a")), "1");
  EXPECT_TRUE(std::filesystem::is_symlink(Path("link")));
}

TEST_F(RestoreTest, NamesWhatIsNotThere) {
  Write(Source("a.txt"), "hello");
  const SnapshotId id = Take();
  EXPECT_THAT(TryRestore(Place(id, Source("none"))), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(TryRestore(Place(id, "/elsewhere")),
              StatusIs(StatusCode::kNotFound, HasSubstr("/elsewhere")));
  EXPECT_THAT(TryRestore(Place(SnapshotId{})), StatusIs(StatusCode::kNotFound));
  EXPECT_FALSE(Exists(Target()));
}

TEST_F(RestoreTest, RefusesAPlaceThatIsNotClear) {
  Write(Source("a.txt"), "hello");
  const SnapshotId id = Take();
  EXPECT_THAT(TryRestore({.snapshot = id, .path = "", .target = "", .in_place = false}),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(TryRestore({.snapshot = id, .path = "", .target = Target(), .in_place = true}),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(TryRestore(Place(id, "relative")), StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(RestoreTest, TargetWithALifeOfItsOwnKeepsItsAttributes) {
  Write(Source("a.txt"), "hello");
  ASSERT_EQ(::chmod(Source().c_str(), 0700), 0);
  SetMtime(Source(), 1'000'000'000);
  const SnapshotId id = Take();
  Write(Target("other"), "mine");
  ASSERT_EQ(::chmod(Target().c_str(), 01777), 0);
  RestoreAll(Place(id));
  EXPECT_EQ(StatOf(Target()).st_mode & 07777U, 01777U);

  RestorePlace fresh = Place(id);
  fresh.target = Path("fresh");
  tree_.MakeDirectory("fresh");
  RestoreAll(fresh);
  EXPECT_EQ(StatOf(Path("fresh")).st_mode & 07777U, 0700U);
  EXPECT_EQ(StatOf(Path("fresh")).st_mtim.tv_sec, 1'000'000'000);
}

TEST_F(RestoreTest, DirectoriesGetTheirTimesAfterTheirChildren) {
  Write(Source("d/e/f"), "x");
  tree_.MakeSymlink("f", "src/d/e/s");
  SetMtime(Source("d/e"), 1'000'000'000, 1);
  SetMtime(Source("d"), 1'100'000'000, 2);
  RestoreAll(Place(Take()));
  EXPECT_EQ(StatOf(Target("d/e")).st_mtim.tv_sec, 1'000'000'000);
  EXPECT_EQ(StatOf(Target("d")).st_mtim.tv_sec, 1'100'000'000);
}

TEST_F(RestoreTest, ReadOnlyDirectoriesAreFilledBeforeTheyAreClosed) {
  Write(Source("d/e/f"), "x");
  ASSERT_EQ(::chmod(Source("d/e").c_str(), 0500), 0);
  ASSERT_EQ(::chmod(Source("d").c_str(), 0500), 0);
  RestoreAll(Place(Take()));
  EXPECT_EQ(StatOf(Target("d/e")).st_mode & 07777U, 0500U);
  EXPECT_EQ(Read(Target("d/e/f")), "x");
}

TEST_F(RestoreTest, MoreDirectoriesAndFilesThanWaitAtATime) {
  for (int d = 0; d < 70; ++d) {
    for (int s = 0; s < 40; ++s) {
      const std::string directory = "d" + std::to_string(d) + "/s" + std::to_string(s);
      Write(Source(directory + "/f"), directory);
      SetMtime(Source(directory), 1'000'000'000 + s);
    }
  }
  RestoreAll(Place(Take()));
  EXPECT_EQ(RootOf(Target()), RootOf(Source()));
}

TEST_F(RestoreTest, LargeFileIsWrittenThroughSeveralWindows) {
  const std::string noise = Noise(40 << 20, 7);
  Write(Source("big"), noise);
  Write(Source("later"), "x");
  RestoreOptions options;
  options.verify = true;
  options.threads = 3;
  const RestoreResult result = RestoreAll(Place(Take()), options);
  EXPECT_TRUE(Read(Target("big")) == noise);
  EXPECT_EQ(result.verified, 2U);
}

TEST_F(RestoreTest, SparseFilesStaySparseAndOthersAreWritten) {
  const uint64_t size = 8 << 20;
  Write(Source("sparse"), "head");
  ASSERT_EQ(::truncate(Source("sparse").c_str(), static_cast<off_t>(size)), 0);
  Write(Source("zeros"), std::string(size, '\0'));
  // A hole that is too short for an extent: the zeros stand in chunks.
  Write(Source("small_hole"), Noise(8192, 1));
  ASSERT_EQ(::truncate(Source("small_hole").c_str(), 16384), 0);
  {
    std::ofstream file(Source("small_hole"), std::ios::in | std::ios::binary);
    file.seekp(16384);
    file << Noise(100'000, 2);
  }
  RestoreOptions options;
  options.verify = true;
  RestoreAll(Place(Take()), options);
  const auto first_hole = [](const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY));
    return ::lseek(fd.get(), 0, SEEK_HOLE);
  };
  EXPECT_EQ(first_hole(Target("sparse")), 4096);
  EXPECT_LT(StatOf(Target("sparse")).st_blocks, 64);
  EXPECT_EQ(first_hole(Target("zeros")), static_cast<off_t>(size));
  EXPECT_EQ(first_hole(Target("small_hole")), first_hole(Source("small_hole")));
  for (const char* name : {"sparse", "zeros", "small_hole"}) {
    EXPECT_TRUE(Read(Target(name)) == Read(Source(name))) << name;
  }
}

TEST_F(RestoreTest, IncludeTakesWhatItNamesAndMakesOnlyTheWayThere) {
  Write(Source("a/keep.o"), "1");
  Write(Source("a/other"), "2");
  Write(Source("b/other"), "3");
  Write(Source("c/deep/x"), "4");
  ASSERT_EQ(::chmod(Source("a").c_str(), 0750), 0);
  const SnapshotId id = Take();
  RestoreOptions options;
  ASSERT_OK(options.include.Add("*.o"));
  ASSERT_OK(options.include.Add(Source("c")));
  RestoreAll(Place(id), options);
  EXPECT_EQ(Read(Target("a/keep.o")), "1");
  EXPECT_EQ(StatOf(Target("a")).st_mode & 07777U, 0750U);
  EXPECT_FALSE(Exists(Target("a/other")));
  EXPECT_FALSE(Exists(Target("b")));
  EXPECT_EQ(Read(Target("c/deep/x")), "4");
}

TEST_F(RestoreTest, ExcludeLeavesOut) {
  Write(Source("a/x"), "1");
  Write(Source("b/x"), "2");
  Write(Source("b/y"), "3");
  const SnapshotId id = Take();
  RestoreOptions options;
  ASSERT_OK(options.exclude.Add(Source("a")));
  ASSERT_OK(options.exclude.Add("y"));
  RestoreAll(Place(id), options);
  EXPECT_FALSE(Exists(Target("a")));
  EXPECT_TRUE(Exists(Target("b/x")));
  EXPECT_FALSE(Exists(Target("b/y")));
}

TEST_F(RestoreTest, IncludeOfADirectoryAboveThePathTakesAllOfIt) {
  Write(Source("a/x"), "1");
  const SnapshotId id = Take();
  RestoreOptions options;
  ASSERT_OK(options.include.Add(Source("a")));
  RestoreAll(Place(id, Source("a")), options);
  EXPECT_EQ(Read(Target("x")), "1");
}

TEST_F(RestoreTest, HardLinksAcrossDirectoriesAreOneInodeAgain) {
  Write(Source("a/one"), "shared");
  std::filesystem::create_directories(Source("b/c"));
  std::filesystem::create_hard_link(Source("a/one"), Source("b/c/two"));
  std::filesystem::create_hard_link(Source("a/one"), Source("a/zzz"));
  SetMtime(Source("b/c"), 1'000'000'000);
  const RestoreResult result = RestoreAll(Place(Take()));
  EXPECT_EQ(StatOf(Target("a/one")).st_nlink, 3U);
  EXPECT_EQ(StatOf(Target("a/one")).st_ino, StatOf(Target("b/c/two")).st_ino);
  EXPECT_EQ(StatOf(Target("a/one")).st_ino, StatOf(Target("a/zzz")).st_ino);
  EXPECT_EQ(result.bytes, 6U);
  EXPECT_EQ(StatOf(Target("b/c")).st_mtim.tv_sec, 1'000'000'000);
}

TEST_F(RestoreTest, FirstRestoredNameLeadsWhereTheGroupsFirstIsLeftOut) {
  Write(Source("a/one"), "shared");
  std::filesystem::create_directories(Source("b"));
  std::filesystem::create_hard_link(Source("a/one"), Source("b/two"));
  std::filesystem::create_hard_link(Source("a/one"), Source("b/three"));
  const SnapshotId id = Take();
  RestoreOptions options;
  ASSERT_OK(options.exclude.Add(Source("a")));
  RestoreAll(Place(id), options);
  EXPECT_EQ(Read(Target("b/two")), "shared");
  EXPECT_EQ(StatOf(Target("b/two")).st_nlink, 2U);
  EXPECT_EQ(StatOf(Target("b/two")).st_ino, StatOf(Target("b/three")).st_ino);

  RestorePlace part = Place(id, Source("b"));
  part.target = Path("part");
  RestoreAll(part);
  EXPECT_EQ(StatOf(Path("part/two")).st_ino, StatOf(Path("part/three")).st_ino);
}

TEST_F(RestoreTest, LinksAreNotMadeToWhatWasKept) {
  Write(Source("one"), "shared");
  std::filesystem::create_hard_link(Source("one"), Source("two"));
  const SnapshotId id = Take();
  Write(Target("one"), "something else");
  RestoreOptions options;
  options.overwrite = OverwritePolicy::kNever;
  RestoreAll(Place(id), options);
  EXPECT_EQ(Read(Target("one")), "something else");
  EXPECT_EQ(Read(Target("two")), "shared");
}

TEST_F(RestoreTest, MoreLinksThanWaitAtATime) {
  Write(Source("a/first"), "shared");
  std::filesystem::create_directories(Source("b"));
  for (int i = 0; i < 3000; ++i) {
    std::filesystem::create_hard_link(Source("a/first"), Source("b/n" + std::to_string(i)));
  }
  RestoreAll(Place(Take()));
  EXPECT_EQ(StatOf(Target("a/first")).st_nlink, 3001U);
}

TEST_F(RestoreTest, PathsLongerThanPathMaxAreRestored) {
  const std::string name(200, 'n');
  constexpr int kDepth = 40;  // 8,000 bytes
  const UniqueFd deep(::dup(tree_.MakeChain(name, 1).get()));
  UniqueFd at(::open(Path(name).c_str(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0755), 0);
    at.Reset(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
  }
  const UniqueFd file(::openat(at.get(), "f", O_WRONLY | O_CREAT, 0644));
  ASSERT_EQ(::write(file.get(), "deep", 4), 4);
  RestorePlace place = Place(TakeOf({Path(name)}), Path(name));
  const RestoreResult result = RestoreAll(place);
  EXPECT_EQ(result.files, 1U);
  EXPECT_EQ(RootOf(Target()), RootOf(Path(name)));
}

TEST_F(RestoreTest, DryRunTouchesNothingAndSaysWhatItWouldDo) {
  Write(Source("a"), "1");
  Write(Source("d/b"), "22");
  const SnapshotId id = Take();
  RestoreOptions options;
  options.dry_run = true;
  const RestoreResult result = RestoreAll(Place(id), options);
  EXPECT_FALSE(Exists(Target()));
  EXPECT_EQ(result.files, 2U);
  EXPECT_EQ(result.bytes, 3U);
  EXPECT_THAT(actions_, Contains(Pair(Source("d/b"), RestoreAction::kRestored)));

  Write(Target("a"), "old");
  Write(Target("extra"), "x");
  options.delete_extra = true;
  EXPECT_EQ(RestoreAll(Place(id), options).deleted, 1U);
  EXPECT_EQ(Read(Target("a")), "old");
  EXPECT_TRUE(Exists(Target("extra")));
  EXPECT_THAT(actions_, Contains(Pair(Source("a"), RestoreAction::kUpdated)));
  EXPECT_THAT(actions_, Contains(Pair(Source("extra"), RestoreAction::kDeleted)));
}

TEST_F(RestoreTest, StopEndsItAndLeavesNoUnfinishedFile) {
  for (int i = 0; i < 100; ++i) Write(Source("f" + std::to_string(i)), Noise(10'000, i));
  const SnapshotId id = Take();
  StopFlag stop;
  RestoreOptions options;
  options.stop = &stop;
  stop.Request();
  EXPECT_THAT(TryRestore(Place(id), options), StatusIs(StatusCode::kCancelled));
  EXPECT_TRUE(!Exists(Target()) || std::filesystem::is_empty(Target()));
}

TEST_F(RestoreTest, ProgressKnowsTheTotalsOfAWholeRestore) {
  Write(Source("a"), "1");
  Write(Source("d/b"), "22");
  RestorePlace place = Place(Take());
  place.path.clear();
  RestoreProgress progress;
  RestoreOptions options;
  options.progress = &progress;
  RestoreAll(place, options);
  EXPECT_EQ(progress.total_files, 2U);
  EXPECT_EQ(progress.total_bytes, 3U);
  EXPECT_EQ(progress.files, 2U);
  EXPECT_EQ(progress.bytes, 3U);
}

}  // namespace
}  // namespace cairn::testing
