// SPDX-License-Identifier: Apache-2.0
// Lost nodes are made anew from the live directories, where these still give the very same.
#include <sys/xattr.h>

#include "tests/repo/repair_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::IsEmpty;

class RepairDirectoriesTest : public RepairTest {
 protected:
  void WriteMany(const std::string& folder, int count) const {
    for (int i = 0; i < count; ++i) {
      Write(Source(folder + "/name-" + std::to_string(i)), std::to_string(i));
    }
  }
  // What is lost is made up for by the sources alone, and all of it is there again.
  void ExpectMended() {
    const RepairResult result = Mend();
    EXPECT_GT(result.blobs_from_sources, 0U);
    EXPECT_EQ(result.blobs_missing, 0U);
    EXPECT_THAT(result.left.affected, IsEmpty());
    ExpectSound();
  }
};

TEST_F(RepairDirectoriesTest, AllNodesOfASnapshotAreMadeAnew) {
  Write(Source("a"), Noise(300'000, 1));
  Write(Source("folder/b"), Noise(100'000, 2));
  Write(Source("folder/c"), "text");
  Write(Source("folder/deep/er/still/file"), "at the end");
  std::filesystem::create_directory(Source("empty"));
  std::filesystem::create_symlink("folder", Source("link"));
  std::filesystem::create_hard_link(Source("a"), Source("folder/a too"));
  id_ = TakeWithoutParity();
  RuinNodes();
  ExpectMended();
  ExpectRestores();
  EXPECT_EQ(StatOf(Target("a")).st_ino, StatOf(Target("folder/a too")).st_ino);
  EXPECT_EQ(Read(Target("folder/deep/er/still/file")), "at the end");
}

TEST_F(RepairDirectoriesTest, SoAreThoseOfSeveralSourcesAndTheirRoot) {
  Write(Source("x/one/file"), "1");
  Write(Source("y/two"), "2");
  std::filesystem::create_hard_link(Source("y/two"), Source("x/one/too"));
  SnapshotOptions options;
  options.parity = false;
  id_ = TakeOf({Source("x/one"), Source("y")}, options);
  RuinNodes();
  ExpectMended();
}

TEST_F(RepairDirectoriesTest, TheSnapshotsOwnRulesHold) {
  Write(Source("kept/file"), "kept");
  Write(Source("kept/file.tmp"), "left out");
  Write(Source("kept/large"), Noise(50'000, 3));
  Write(Source("cache/CACHEDIR.TAG"), std::string(kCacheTag) + "\n");
  Write(Source("cache/file"), "left out");
  Write(Source("marked/.nobackup"), "");
  SnapshotOptions options;
  ASSERT_OK(options.rules.excludes.Add("*.tmp"));
  options.rules.exclude_larger_than = 10'000;
  options.rules.exclude_caches = true;
  options.rules.exclude_if_present = {".nobackup"};
  options.rules.one_file_system = true;
  id_ = TakeWithoutParity(options);
  RuinNodes();
  ExpectMended();
}

TEST_F(RepairDirectoriesTest, WhatChangedIsNotTaken) {
  Write(Source("folder/b"), "before");
  Write(Source("folder/c"), "text");
  SetMtime(Source("folder/b"), 1'000'000'000);
  id_ = TakeWithoutParity();
  RuinNodes();
  Write(Source("folder/b"), "after!");
  SetMtime(Source("folder/b"), 1'000'000'000);
  const std::vector<std::string> packs = Packs();
  const RepairResult result = Mend();
  EXPECT_EQ(result.blobs_from_sources, 0U);
  EXPECT_GT(result.blobs_missing, 0U);
  EXPECT_THAT(result.left.affected, Contains(Field(&AffectedPath::unknown_below, true)));
  EXPECT_EQ(Packs(), packs);
  // It is again as it was.
  Write(Source("folder/b"), "before");
  SetMtime(Source("folder/b"), 1'000'000'000);
  ExpectMended();
}

TEST_F(RepairDirectoriesTest, OfALargeDirectoryTheNodesThatStillAreTheSame) {
  WriteMany("big", 3000);
  SetMtime(Source("big/name-1"), 1'000'000'000);
  SetMtime(Source("big/name-2999"), 1'000'000'000);
  const SnapshotId first = TakeWithoutParity();
  const std::vector<std::string> old = Packs();
  // The next snapshot has nodes of its own above most of the first one's leaves.
  SetMtime(Source("big/name-1"), 1'000'000'001);
  id_ = TakeWithoutParity();
  std::vector<std::pair<std::string, Bytes>> whole;
  for (const std::string& pack : Packs()) {
    if (std::ranges::find(old, pack) == old.end()) whole.emplace_back(pack, ContentOf(pack));
  }
  ASSERT_FALSE(whole.empty());
  RuinNodes();
  for (const auto& [pack, bytes] : whole) {
    Damage(pack, [&bytes = bytes](Bytes& damaged) { damaged = bytes; });
  }
  Reopen();
  SetMtime(Source("big/name-2999"), 1'000'000'002);
  const RepairResult result = Mend();
  EXPECT_GT(result.blobs_from_sources, 10U);
  for (const AffectedPath& path : result.left.affected) {
    EXPECT_TRUE(path.snapshot != id_ || path.path == Source("big")) << path.path;
  }
  uint64_t of_second = 0;
  std::filesystem::remove_all(Target());
  ASSERT_OK_AND_ASSIGN(const RestoreResult restored, TryRestore(Place(id_)));
  EXPECT_GT(restored.errors, 0U);
  for (int i = 0; i < 3000; ++i) {
    of_second += Exists(Target("big/name-" + std::to_string(i))) ? 1 : 0;
  }
  EXPECT_GT(of_second, 1000U);
  SetMtime(Source("big/name-2999"), 1'000'000'000);
  EXPECT_GT(Mend().blobs_from_sources, 0U);
  for (const AffectedPath& path : CheckAll(*repository_).affected) {
    EXPECT_EQ(path.snapshot, first);
  }
}

TEST_F(RepairDirectoriesTest, ContentBelowALostNodeComesWithIt) {
  TakeFiles();
  for (const std::string& pack : Packs()) {
    ASSERT_OK(repository_files_.Unlink(pack));
    ASSERT_OK(repository_files_.Unlink(pack + ".par"));
  }
  Reopen();
  ExpectMended();
  ExpectRestores();
}

TEST_F(RepairDirectoriesTest, WhatAppearedSinceIsNotStored) {
  Write(Source("lost/file"), "text");
  id_ = TakeWithoutParity();
  RuinNodes();
  Write(Source("new/file"), "new");  // so the top is another, and is not taken
  const uint64_t blobs = CheckAll(*repository_).blobs;
  const std::vector<std::string> packs = Packs();
  EXPECT_EQ(Mend().blobs_from_sources, 0U);
  EXPECT_EQ(CheckAll(*repository_).blobs, blobs);
  EXPECT_EQ(Packs(), packs);
}

TEST_F(RepairDirectoriesTest, LargeAttributesAreFoundAgain) {
  Write(Source("folder/file"), "text");
  const std::string value = Noise(3000, 9);
  if (::setxattr(Source("folder").c_str(), "user.large", value.data(), value.size(), 0) != 0) {
    GTEST_SKIP() << "no attributes here";
  }
  id_ = TakeWithoutParity();
  Ruin(Packs().front());
  for (const std::string& pack : Packs()) {
    Damage(pack, [](Bytes& bytes) { std::fill_n(bytes.begin() + 128, 64, uint8_t{0xaa}); });
  }
  Reopen();
  ExpectMended();
}

TEST_F(RepairDirectoriesTest, ADryRunSaysSoAndWritesNothing) {
  TakeFiles();
  for (const std::string& pack : Packs()) ASSERT_OK(repository_files_.Unlink(pack + ".par"));
  RuinNodes();
  const std::vector<std::string> packs = Packs();
  RepairOptions options;
  options.dry_run = true;
  const RepairResult result = Mend(options);
  EXPECT_GT(result.blobs_from_sources, 0U);
  EXPECT_EQ(Packs(), packs);
  EXPECT_FALSE(CheckAll(*repository_).clean());
}

TEST_F(RepairDirectoriesTest, AnyNumberOfThreadsFindsTheSame) {
  for (int folder = 0; folder < 20; ++folder) {
    WriteMany("many/" + std::to_string(folder), 20);
  }
  id_ = TakeWithoutParity();
  RuinNodes();
  RepairOptions options;
  options.threads = 4;
  ASSERT_OK_AND_ASSIGN(const RepairResult result, Repair(*repository_, options));
  EXPECT_EQ(result.blobs_missing, 0U);
  ExpectSound();
}

}  // namespace
}  // namespace cairn::testing
