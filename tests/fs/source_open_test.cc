// SPDX-License-Identifier: Apache-2.0
// Opening files and symlinks of a live tree.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <future>
#include <thread>

#include "absl/strings/str_format.h"
#include "core/fs/source_file.h"
#include "tests/fs/temp_tree.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::HasSubstr;
using testing::IsOkAndHolds;
using testing::IsRoot;
using testing::StatusIs;
using testing::TempTree;

TEST(OpenFileAtTest, OpensForReadingWithoutATrace) {
  const TempTree tree;
  tree.Write("\xff", "content");
  ASSERT_OK_AND_ASSIGN(const Descriptor file, OpenFileAt(tree.fd(), "\xff"));
  const int flags = ::fcntl(file.get(), F_GETFL);
  EXPECT_EQ(flags & O_ACCMODE, O_RDONLY);
  EXPECT_NE(flags & O_NOATIME, 0);
  EXPECT_NE(::fcntl(file.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(OpenFileAtTest, OpensOthersFilesToo) {
  if (!IsRoot()) GTEST_SKIP() << "needs root to be somebody else";
  const TempTree tree;
  tree.Write("file", "content");
  ASSERT_EQ(::chmod(tree.path().c_str(), 0755), 0);
  // The bare system call changes the user of this thread alone.
  std::thread([&] {
    constexpr uid_t kNobody = 65534;
    ASSERT_EQ(::syscall(SYS_setresuid, kNobody, kNobody, kNobody), 0);
    ASSERT_EQ(::openat(tree.fd(), "file", O_RDONLY | O_NOATIME), -1);
    EXPECT_OK(OpenFileAt(tree.fd(), "file"));
  }).join();
}

TEST(OpenFileAtTest, RefusesWhatIsNoFileWithoutBlocking) {
  const TempTree tree;
  tree.Write("file", "");
  tree.MakeSymlink("file", "link");
  tree.MakeDirectory("directory");
  ASSERT_EQ(::mkfifoat(tree.fd(), "fifo", 0600), 0);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  tree.Path("socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  for (const char* name : {"link", "directory", "fifo", "socket"}) {
    EXPECT_THAT(OpenFileAt(tree.fd(), name),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr(name)));
  }
  EXPECT_THAT(OpenFileAt(AT_FDCWD, "/dev/null"), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(OpenFileAt(tree.fd(), "none"), StatusIs(StatusCode::kNotFound, HasSubstr("none")));
}

// Until the thread sleeps in the kernel, or is gone.
void AwaitSleep(pid_t thread) {
  while (true) {
    std::ifstream stat(absl::StrFormat("/proc/self/task/%d/stat", thread));
    std::string number, name, state;
    if (!(stat >> number >> name >> state) || state == "S") return;
    std::this_thread::yield();
  }
}

TEST(OpenFileAtTest, WaitsForALeaseToBeGivenUp) {
  const TempTree tree;
  UniqueFd holder = tree.Create("file");
  ASSERT_NE(::signal(SIGIO, SIG_IGN), SIG_ERR);
  ASSERT_EQ(::fcntl(holder.get(), F_SETLEASE, F_WRLCK), 0);
  ASSERT_EQ(::openat(tree.fd(), "file", O_RDONLY | O_NONBLOCK), -1);
  ASSERT_EQ(errno, EWOULDBLOCK);
  std::promise<pid_t> opener_id;
  std::thread opener([&] {
    opener_id.set_value(::gettid());
    EXPECT_OK(OpenFileAt(tree.fd(), "file"));
  });
  AwaitSleep(opener_id.get_future().get());
  holder.Reset();
  opener.join();
}

TEST(ReadSymlinkTest, GivesTheTargetAsItIs) {
  const TempTree tree;
  const std::string longest(4095, '/');
  tree.MakeSymlink("\xff not there", "link");
  tree.MakeSymlink(longest, "long");
  EXPECT_THAT(ReadSymlink(tree.fd(), "link"), IsOkAndHolds("\xff not there"));
  EXPECT_THAT(ReadSymlink(tree.fd(), "long"), IsOkAndHolds(longest));
}

TEST(ReadSymlinkTest, SaysWhatIsThereInstead) {
  const TempTree tree;
  tree.Write("file", "");
  EXPECT_THAT(ReadSymlink(tree.fd(), "file"), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(ReadSymlink(tree.fd(), "none"), StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace cairn
