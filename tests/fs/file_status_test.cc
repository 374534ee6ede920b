// SPDX-License-Identifier: Apache-2.0
#include "core/fs/file_status.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "tests/fs/temp_tree.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using testing::StatusIs;
using testing::TempTree;

TEST(StatAtTest, SaysWhatTheKernelSays) {
  const TempTree tree;
  tree.Write("file", std::string(5000, 'x'));
  ASSERT_EQ(::linkat(tree.fd(), "file", tree.fd(), "other", 0), 0);
  ASSERT_EQ(::fchmodat(tree.fd(), "file", 04751, 0), 0);
  const timespec times[] = {{100, 1}, {-5, 999'999'999}};
  ASSERT_EQ(::utimensat(tree.fd(), "file", times, 0), 0);
  struct stat stat;
  ASSERT_EQ(::fstatat(tree.fd(), "file", &stat, 0), 0);

  ASSERT_OK_AND_ASSIGN(const FileStatus status, StatAt(tree.fd(), "file"));
  EXPECT_EQ(status.type, EntryType::kFile);
  EXPECT_EQ(status.mode, 04751u);
  EXPECT_EQ(status.uid, ::getuid());
  EXPECT_EQ(status.gid, stat.st_gid);
  EXPECT_EQ(status.size, 5000u);
  EXPECT_EQ(status.blocks, static_cast<uint64_t>(stat.st_blocks));
  EXPECT_EQ(status.inode, stat.st_ino);
  EXPECT_EQ(status.device, stat.st_dev);
  EXPECT_EQ(status.links, 2u);
  EXPECT_EQ(status.mtime, (Timestamp{-5, 999'999'999}));
  EXPECT_EQ(status.ctime,
            (Timestamp{stat.st_ctim.tv_sec, static_cast<uint32_t>(stat.st_ctim.tv_nsec)}));
}

TEST(StatAtTest, DoesNotFollowSymlinks) {
  const TempTree tree;
  tree.MakeSymlink("/", "link");
  ASSERT_OK_AND_ASSIGN(const FileStatus status, StatAt(tree.fd(), "link"));
  EXPECT_EQ(status.type, EntryType::kSymlink);
  EXPECT_EQ(status.mode, 0u);
  EXPECT_EQ(status.size, 1u);
}

TEST(StatAtTest, EmptyNameMeansWhatTheDescriptorRefersTo) {
  const TempTree tree;
  struct stat stat;
  ASSERT_EQ(::fstat(tree.fd(), &stat), 0);
  ASSERT_OK_AND_ASSIGN(const FileStatus directory, StatAt(tree.fd(), ""));
  EXPECT_EQ(directory.type, EntryType::kDirectory);
  EXPECT_EQ(directory.inode, stat.st_ino);

  const UniqueFd file = tree.Create("file");
  ASSERT_OK_AND_ASSIGN(const FileStatus status, StatAt(file.get(), ""));
  EXPECT_EQ(status.type, EntryType::kFile);
}

TEST(StatAtTest, KnowsEveryTypeOfFile) {
  const TempTree tree;
  ASSERT_EQ(::mkfifoat(tree.fd(), "fifo", 0600), 0);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  tree.Path("socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);

  ASSERT_OK_AND_ASSIGN(const FileStatus fifo, StatAt(tree.fd(), "fifo"));
  EXPECT_EQ(fifo.type, EntryType::kFifo);
  ASSERT_OK_AND_ASSIGN(const FileStatus bound, StatAt(tree.fd(), "socket"));
  EXPECT_EQ(bound.type, EntryType::kSocket);
  ASSERT_OK_AND_ASSIGN(const FileStatus null, StatAt(AT_FDCWD, "/dev/null"));
  EXPECT_EQ(null.type, EntryType::kCharacterDevice);
  EXPECT_EQ(null.device_major, 1u);
  EXPECT_EQ(null.device_minor, 3u);
}

TEST(StatAtTest, KnowsBlockDevices) {
  const TempTree tree;
  if (::mknodat(tree.fd(), "block", S_IFBLK | 0600, makedev(7, 1000)) != 0) {
    GTEST_SKIP() << "may not make device nodes";
  }
  ASSERT_OK_AND_ASSIGN(const FileStatus status, StatAt(tree.fd(), "block"));
  EXPECT_EQ(status.type, EntryType::kBlockDevice);
  EXPECT_EQ(status.device_major, 7u);
  EXPECT_EQ(status.device_minor, 1000u);
}

TEST(StatAtTest, TakesNamesAsBytes) {
  const TempTree tree;
  tree.Write("\xff\xfe\n", "x");
  EXPECT_OK(StatAt(tree.fd(), "\xff\xfe\n"));
  EXPECT_THAT(StatAt(tree.fd(), "\xff\xfe"), StatusIs(StatusCode::kNotFound));
}

TEST(StatAtTest, TellsMountsApart) {
  ASSERT_OK_AND_ASSIGN(const FileStatus root, StatAt(AT_FDCWD, "/"));
  ASSERT_OK_AND_ASSIGN(const FileStatus proc, StatAt(AT_FDCWD, "/proc"));
  EXPECT_NE(root.mount, 0u);
  EXPECT_NE(root.mount, proc.mount);
  EXPECT_NE(root.device, proc.device);
}

TEST(TraitsOfTest, TmpfsHasHolesToBelieveAndNoWriteback) {
  const TempTree tree("/dev/shm");
  ASSERT_OK_AND_ASSIGN(const FileSystemTraits traits, TraitsOf(tree.fd()));
  EXPECT_TRUE(traits.known_good);
  EXPECT_TRUE(traits.stable_inodes);
  EXPECT_TRUE(traits.own_clock);
  EXPECT_TRUE(traits.tmpfs);
}

TEST(TraitsOfTest, AnUnknownFileSystemIsNotTrusted) {
  const UniqueFd proc(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_OK_AND_ASSIGN(const FileSystemTraits traits, TraitsOf(proc.get()));
  EXPECT_FALSE(traits.known_good);
  EXPECT_FALSE(traits.own_clock);
}

TEST(StatAtTest, RefusesATypeThatIsNotKnown) {
  const UniqueFd event(::eventfd(0, EFD_CLOEXEC));  // has none
  ASSERT_TRUE(event.valid());
  EXPECT_THAT(StatAt(event.get(), ""), StatusIs(StatusCode::kUnimplemented));
}

}  // namespace
}  // namespace cairn
