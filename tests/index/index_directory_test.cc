// SPDX-License-Identifier: Apache-2.0
#include "core/index/index_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "tests/index/child_process.h"
#include "tests/index/index_data.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::HasSubstr;

namespace stdfs = std::filesystem;

mode_t ModeOf(const std::string& path) {
  struct stat stat;
  EXPECT_EQ(lstat(path.c_str(), &stat), 0) << path;
  return stat.st_mode & 0777;
}

class IndexDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(mkdir(path_.c_str(), 0700), 0); }

  ScratchDirectory scratch_;
  const std::string path_ = scratch_ / "index";
};

TEST_F(IndexDirectoryTest, IsMadeWithItsParentsForItsUserAlone) {
  const std::string path = scratch_ / "a/b/c";
  EXPECT_OK(IndexDirectory::Open(path));
  EXPECT_EQ(ModeOf(path), 0700u);
  EXPECT_EQ(ModeOf(scratch_ / "a"), 0700u);
}

TEST_F(IndexDirectoryTest, IsClosedToReaders) {
  ASSERT_EQ(chmod(path_.c_str(), 0755), 0);
  EXPECT_OK(IndexDirectory::Open(path_));
  EXPECT_EQ(ModeOf(path_), 0700u);
}

TEST_F(IndexDirectoryTest, IsRefusedIfOthersCanWriteToIt) {
  for (const mode_t mode : {0770, 0720, 0702, 0777}) {
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
    EXPECT_THAT(IndexDirectory::Open(path_),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("other users can write")));
    EXPECT_EQ(ModeOf(path_), mode);
  }
}

TEST_F(IndexDirectoryTest, IsRefusedIfItIsSomebodyElses) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  ASSERT_EQ(chown(path_.c_str(), 12345, 12345), 0);
  EXPECT_THAT(IndexDirectory::Open(path_),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("belongs to user 12345")));
}

TEST_F(IndexDirectoryTest, IsRefusedToRootIfOthersCanExchangeIt) {
  if (geteuid() != 0) GTEST_SKIP() << "for root only";
  ASSERT_EQ(chmod(scratch_.path().c_str(), 0777), 0);
  EXPECT_THAT(IndexDirectory::Open(path_),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("root uses no index")));
  ASSERT_EQ(chmod(scratch_.path().c_str(), 01777), 0);
  EXPECT_OK(IndexDirectory::Open(path_));
  ASSERT_EQ(chown(scratch_.path().c_str(), 12345, 12345), 0);
  EXPECT_THAT(IndexDirectory::Open(path_), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(IndexDirectoryTest, OrdinaryUsersArrangeTheirOwnParents) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  ASSERT_EQ(chmod(scratch_.path().c_str(), 0777), 0);
  ASSERT_EQ(chown(path_.c_str(), 12345, 12345), 0);
  EXPECT_TRUE(RunInChild([&]() -> Status {
    if (setgid(12345) != 0 || setuid(12345) != 0) return Internal("setuid");
    return IndexDirectory::Open(path_).status();
  }));
}

TEST_F(IndexDirectoryTest, IsNotReachedThroughASymbolicLink) {
  const std::string link = scratch_ / "link";
  stdfs::create_symlink(path_, link);
  EXPECT_FALSE(IndexDirectory::Open(link).ok());
}

TEST_F(IndexDirectoryTest, IsLockedWhileItIsOpen) {
  const UniqueFd other(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(other.valid());
  {
    ASSERT_OK_AND_ASSIGN(const IndexDirectory directory, IndexDirectory::Open(path_));
    EXPECT_EQ(flock(other.get(), LOCK_EX | LOCK_NB), -1);
    EXPECT_EQ(errno, EWOULDBLOCK);
  }
  EXPECT_EQ(flock(other.get(), LOCK_EX | LOCK_NB), 0);
}

TEST_F(IndexDirectoryTest, PutsAReplacementInPlaceOfTheEnvironment) {
  ASSERT_OK_AND_ASSIGN(IndexDirectory directory, IndexDirectory::Open(path_));
  ASSERT_OK(directory.CreateEnvironment());
  std::ofstream(directory.environment() + "/old").flush();
  ASSERT_OK_AND_ASSIGN(const std::string replacement, directory.CreateReplacement());
  std::ofstream(replacement + "/new").flush();
  ASSERT_OK(directory.Replace(replacement));
  EXPECT_TRUE(stdfs::exists(directory.environment() + "/new"));
  EXPECT_FALSE(stdfs::exists(directory.environment() + "/old"));
  EXPECT_FALSE(stdfs::exists(replacement));
}

TEST_F(IndexDirectoryTest, DiscardsTheEnvironmentWhole) {
  ASSERT_OK_AND_ASSIGN(IndexDirectory directory, IndexDirectory::Open(path_));
  ASSERT_OK(directory.CreateEnvironment());
  std::ofstream(directory.environment() + "/file").flush();
  EXPECT_OK(directory.DiscardEnvironment());
  EXPECT_TRUE(stdfs::is_empty(path_));
  EXPECT_OK(directory.DiscardEnvironment());
}

}  // namespace
}  // namespace cairn::testing
