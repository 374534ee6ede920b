// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <optional>

#include "core/repo/snapshot_file.h"

namespace cairn::testing {
namespace {

class SharedInodesTest : public ::testing::Test {
 protected:
  static FileStatus StatusOf(uint64_t inode, int64_t birth) {
    FileStatus status;
    status.type = EntryType::kFile;
    status.device = 1;
    status.inode = inode;
    status.links = 3;
    status.btime.seconds = birth;
    status.ctime.seconds = 1000;
    return status;
  }
  static ReadEntry EntryOf(uint64_t size) {
    ReadEntry read;
    read.entry.size = size;
    return read;
  }
  // Whether the caller is to read; else the size that it was given goes to given_.
  bool Claim(const FileStatus& status) {
    return inodes_.ClaimOrWait(status, [&](const ReadEntry& read) { given_ = read.entry.size; });
  }

  SharedInodes inodes_;
  std::optional<uint64_t> given_;
};

TEST_F(SharedInodesTest, OneReadsAndOthersAreGivenIt) {
  EXPECT_TRUE(Claim(StatusOf(7, 1)));
  EXPECT_FALSE(Claim(StatusOf(7, 1)));
  EXPECT_FALSE(given_);
  inodes_.Publish(StatusOf(7, 1), EntryOf(10));
  EXPECT_EQ(given_, 10U);
  given_.reset();
  EXPECT_FALSE(Claim(StatusOf(7, 1)));
  EXPECT_EQ(given_, 10U);
}

// While the walk went on, the file was removed, and another got its inode.
TEST_F(SharedInodesTest, ANumberThatCameBackIsAnotherFile) {
  EXPECT_TRUE(Claim(StatusOf(7, 1)));
  inodes_.Publish(StatusOf(7, 1), EntryOf(10));
  EXPECT_TRUE(Claim(StatusOf(7, 2)));
  FileStatus symlink = StatusOf(7, 1);
  symlink.type = EntryType::kSymlink;
  EXPECT_TRUE(Claim(symlink));
  EXPECT_FALSE(given_);
}

TEST_F(SharedInodesTest, WithoutATimeOfBirthTheChangeTimeTells) {
  FileStatus status = StatusOf(7, 0);
  EXPECT_TRUE(Claim(status));
  inodes_.Publish(status, EntryOf(10));
  EXPECT_FALSE(Claim(status));
  EXPECT_EQ(given_, 10U);
  status.ctime.seconds = 2000;
  EXPECT_TRUE(Claim(status));
}

}  // namespace
}  // namespace cairn::testing
