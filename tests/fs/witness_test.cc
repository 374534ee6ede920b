// SPDX-License-Identifier: Apache-2.0
#include "core/fs/witness.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <functional>
#include <vector>

#include "tests/fs/temp_tree.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using testing::IsRoot;
using testing::TempTree;

constexpr FileSystemTraits kExt4{.known_good = true};
constexpr FileSystemTraits kTmpfs{.known_good = true, .tmpfs = true};
constexpr FileSystemTraits kUnknown{};
constexpr FileSystemTraits kFuse{.stable_inodes = false, .own_clock = false};

FileStatus SomeFile() {
  FileStatus status;
  status.mode = 0644;
  status.size = 1000;
  status.inode = 77;
  status.device = 5;
  status.mount = 6;
  status.links = 1;
  status.mtime = {1000, 1};
  status.ctime = {2000, 2};
  status.btime = {500, 3};
  return status;
}

using Edit = std::function<void(FileStatus&)>;

TEST(WitnessTest, DiffersWhereAnyOfItsFieldsDiffers) {
  const Edit edits[] = {
      [](FileStatus& s) { s.type = EntryType::kFifo; },
      [](FileStatus& s) { s.inode++; },
      [](FileStatus& s) { s.size++; },
      [](FileStatus& s) { s.mtime.seconds++; },
      [](FileStatus& s) { s.mtime.nanoseconds++; },
      [](FileStatus& s) { s.ctime.seconds++; },
      [](FileStatus& s) { s.ctime.nanoseconds++; },
      [](FileStatus& s) { s.btime.seconds++; },
      [](FileStatus& s) { s.btime.nanoseconds++; },
  };
  const Witness before = MakeWitness(SomeFile(), kExt4);
  EXPECT_NE(before, 0u);
  EXPECT_EQ(before, MakeWitness(SomeFile(), kExt4));
  for (const Edit& edit : edits) {
    FileStatus status = SomeFile();
    edit(status);
    EXPECT_NE(MakeWitness(status, kExt4), before) << "edit " << &edit - edits;
  }
}

TEST(WitnessTest, IgnoresWhatChangesAtAReboot) {
  const Edit edits[] = {
      [](FileStatus& s) { s.device++; },
      [](FileStatus& s) { s.mount++; },
  };
  for (const Edit& edit : edits) {
    FileStatus status = SomeFile();
    edit(status);
    EXPECT_EQ(MakeWitness(status, kExt4), MakeWitness(SomeFile(), kExt4));
  }
}

TEST(WitnessTest, IgnoresInodesThatAreNotStable) {
  FileStatus status = SomeFile();
  status.inode++;
  EXPECT_EQ(MakeWitness(status, kFuse), MakeWitness(SomeFile(), kFuse));
}

TEST(WitnessTest, SeesARewriteWhoseMtimeIsSetBack) {
  const TempTree tree;
  tree.Write("file", "one");
  ASSERT_OK_AND_ASSIGN(const FileStatus before, StatAt(tree.fd(), "file"));
  const timespec mtime{before.mtime.seconds, before.mtime.nanoseconds};
  const timespec times[] = {mtime, mtime};
  FileStatus after = before;
  // The kernel's clock may need a tick to move.
  while (after.ctime == before.ctime) {
    tree.Write("file", "two");
    ASSERT_EQ(::utimensat(tree.fd(), "file", times, 0), 0);
    ASSERT_OK_AND_ASSIGN(after, StatAt(tree.fd(), "file"));
  }
  EXPECT_EQ(after.mtime, before.mtime);
  EXPECT_EQ(after.size, before.size);
  EXPECT_NE(MakeWitness(after, kExt4), MakeWitness(before, kExt4));
}

TEST(IsRacyTest, AllowsForTheTickOfTheClock) {
  const Timestamp now{1000, 5'000'000};
  struct Case {
    Timestamp ctime;
    FileSystemTraits traits;
    bool racy;
  };
  const Case cases[] = {
      {{1000, 5'000'000}, kExt4, true},
      {{1001, 1}, kExt4, true},  // in the future
      {{999, 995'000'000}, kExt4, true},
      {{999, 994'999'999}, kExt4, false},
      {{999, 0}, kExt4, true},  // perhaps whole seconds only
      {{998, 5'000'000}, kUnknown, true},
      {{998, 4'999'999}, kUnknown, false},
      {{998, 0}, kExt4, false},
      {{999, 0}, kUnknown, true},
  };
  for (const Case& c : cases) {
    FileStatus status = SomeFile();
    status.ctime = c.ctime;
    EXPECT_EQ(IsRacy(status, now, c.traits), c.racy)
        << c.ctime.seconds << "." << c.ctime.nanoseconds;
  }
}

TEST(IsRacyTest, MtimePlaysNoPart) {
  FileStatus status = SomeFile();
  status.mtime = {5000, 1};
  EXPECT_FALSE(IsRacy(status, {4000, 1}, kExt4));
}

TEST(IsRacyTest, AFileJustWrittenIsRacy) {
  const TempTree tree;
  const Timestamp before = CoarseNow();
  tree.Write("file", "x");
  ASSERT_OK_AND_ASSIGN(const FileStatus status, StatAt(tree.fd(), "file"));
  EXPECT_TRUE(IsRacy(status, before, kExt4));
}

TEST(WitnessToEarnTest, IsNoneOfARacyFile) {
  FileStatus status = SomeFile();
  const Timestamp before_stat = status.ctime;
  EXPECT_EQ(WitnessToEarn(MakeWitness(status, kExt4), status, before_stat, kExt4, {}), 0U);
  EXPECT_EQ(WitnessToEarn(MakeWitness(status, kFuse), status, before_stat, kFuse, {}), 0U);
}

TEST(WitnessToEarnTest, IsTheFilesOwnWhereTheClockIsOurs) {
  const FileStatus status = SomeFile();
  const Witness seen = MakeWitness(status, kExt4);
  EXPECT_FALSE(IsTentative(seen));
  EXPECT_EQ(WitnessToEarn(seen, status, {3000, 0}, kExt4, {}), seen);
}

TEST(WitnessToEarnTest, IsTentativeWhereTheClockIsAServersUntilASecondRun) {
  const FileStatus status = SomeFile();
  const Witness seen = MakeWitness(status, kFuse);
  const Timestamp before_stat{3000, 0};
  const auto earned = [&](const Remembered& remembered) {
    return WitnessToEarn(seen, status, before_stat, kFuse, remembered);
  };
  const Witness first = earned({});
  EXPECT_TRUE(IsTentative(first));
  EXPECT_NE(first, seen);
  // The second run begins too early, or before the first, or has seen another status.
  EXPECT_EQ(earned({first, 3000}), first);
  EXPECT_EQ(earned({first, 2998}), first);
  EXPECT_EQ(earned({first, 4000}), first);
  EXPECT_EQ(earned({MakeTentative(seen + 2), 2000}), first);
  EXPECT_EQ(earned({first, std::nullopt}), first);
  EXPECT_EQ(earned({first, 2997}), seen);
}

TEST(NeedsLeaseTest, ForYoungFilesAndForTmpfs) {
  FileStatus status = SomeFile();
  status.ctime = {1000, 500};
  EXPECT_TRUE(NeedsLease(status, {1119, 999'999'999}, kExt4));
  EXPECT_TRUE(NeedsLease(status, {1120, 499}, kExt4));
  EXPECT_FALSE(NeedsLease(status, {1120, 500}, kExt4));
  EXPECT_TRUE(NeedsLease(status, {900, 0}, kExt4)) << "a ctime in the future";
  EXPECT_TRUE(NeedsLease(status, {9999, 0}, kTmpfs));
}

TEST(NeedsLeaseTest, OnlyForFiles) {
  FileStatus status = SomeFile();
  status.type = EntryType::kDirectory;
  EXPECT_FALSE(NeedsLease(status, status.ctime, kTmpfs));
}

class NobodyWritesTest : public ::testing::TestWithParam<const char*> {};

TEST_P(NobodyWritesTest, IsTrueForAFileAtRestAndLeavesNoLease) {
  const TempTree tree(GetParam());
  tree.Write("file", "x");
  const UniqueFd reader(::open(tree.Path("file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(NobodyWrites(reader.get(), *TraitsOf(reader.get())));
  EXPECT_EQ(::fcntl(reader.get(), F_GETLEASE), F_UNLCK);
}

TEST_P(NobodyWritesTest, IsFalseWhileSomebodyHasItOpenForWriting) {
  const TempTree tree(GetParam());
  UniqueFd writer = tree.Create("file");
  const UniqueFd reader(::open(tree.Path("file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(NobodyWrites(reader.get(), *TraitsOf(reader.get())));
  writer.Reset();
  EXPECT_TRUE(NobodyWrites(reader.get(), *TraitsOf(reader.get())));
}

TEST_P(NobodyWritesTest, IsFalseWhileItIsMappedForWritingThoughTheDescriptorIsClosed) {
  const TempTree tree(GetParam());
  UniqueFd writer = tree.Create("file");
  ASSERT_EQ(::ftruncate(writer.get(), 4096), 0);
  void* const map = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer.get(), 0);
  ASSERT_NE(map, MAP_FAILED);
  writer.Reset();
  const UniqueFd reader(::open(tree.Path("file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(NobodyWrites(reader.get(), *TraitsOf(reader.get())));
  ASSERT_EQ(::munmap(map, 4096), 0);
  EXPECT_TRUE(NobodyWrites(reader.get(), *TraitsOf(reader.get())));
}

INSTANTIATE_TEST_SUITE_P(FileSystems, NobodyWritesTest, ::testing::Values("/tmp", "/dev/shm"));

// In a process of its own, with mounts of its own. Returns its exit status: 77 if it may not mount.
int NobodyWritesOnOverlay(const TempTree& tree) {
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string options = "lowerdir=" + tree.Path("lower") +
                                ",upperdir=" + tree.Path("upper") + ",workdir=" + tree.Path("work");
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("overlay", tree.Path("merged").c_str(), "overlay", 0, options.c_str()) != 0) {
      ::_exit(77);
    }
    // By its path: the tree's descriptor leads below the mount.
    const std::string path = tree.Path("merged/file");
    UniqueFd writer(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (::ftruncate(writer.get(), 4096) != 0) ::_exit(2);
    if (::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer.get(), 0) == MAP_FAILED) {
      ::_exit(3);
    }
    writer.Reset();
    const UniqueFd reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!reader.valid()) ::_exit(4);
    ::_exit(NobodyWrites(reader.get(), *TraitsOf(reader.get())) ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(NobodyWritesOverlayTest, IsFalseSinceLeasesThereDoNotSeeMappings) {
  if (!IsRoot()) GTEST_SKIP() << "only root may mount";
  const TempTree tree;
  for (const char* name : {"lower", "upper", "work", "merged"}) tree.MakeDirectory(name);
  const int status = NobodyWritesOnOverlay(tree);
  if (status == 77) GTEST_SKIP() << "may not mount an overlay";
  EXPECT_EQ(status, 0);
}

using Entries = std::vector<std::pair<std::string, Witness>>;

std::optional<std::array<uint8_t, 16>> HashOf(const Entries& entries) {
  DirectoryHasher hasher;
  for (const auto& [name, witness] : entries) hasher.Add(name, witness);
  return hasher.Finish();
}

TEST(DirectoryHasherTest, DiffersWithNamesAndWitnesses) {
  const auto hash = HashOf({{"a", 1}, {"b", 5}});
  ASSERT_TRUE(hash.has_value());
  EXPECT_EQ(HashOf({{"a", 1}, {"b", 5}}), hash);
  EXPECT_NE(HashOf({{"a", 1}, {"b", 3}}), hash);
  EXPECT_NE(HashOf({{"a", 1}, {"c", 5}}), hash);
  EXPECT_NE(HashOf({{"a", 1}}), hash);
  EXPECT_NE(HashOf({}), HashOf({{"a", 1}}));
}

TEST(DirectoryHasherTest, DoesNotConfuseANameWithTheWitnessBeforeIt) {
  // 'a' 0 WITNESS "xb" against a witness whose last byte is 'x'.
  const Witness ends_in_x = uint64_t{'x'} << 56 | 1;
  EXPECT_NE(HashOf({{"a", 1}, {"xb", 5}}), HashOf({{"a", ends_in_x}, {"b", 5}}));
  EXPECT_NE(HashOf({{"ab", 1}, {"c", 5}}), HashOf({{"a", 1}, {"bc", 5}}));
}

TEST(DirectoryHasherTest, AnEntryWithATentativeWitnessSpoilsIt) {
  DirectoryHasher hasher;
  hasher.Add("name", MakeTentative(MakeWitness(SomeFile(), kFuse)));
  EXPECT_FALSE(hasher.Finish());
}

TEST(DirectoryHasherTest, AnEntryWithoutWitnessSpoilsIt) {
  EXPECT_EQ(HashOf({{"a", 1}, {"b", 0}, {"c", 3}}), std::nullopt);
}

}  // namespace
}  // namespace cairn
