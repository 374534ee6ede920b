// SPDX-License-Identifier: Apache-2.0
// What only the real file system has: modes, links, and a root that has to be opened.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "core/base/file_system.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class PosixFileSystemTest : public ::testing::Test {
 protected:
  PosixFileSystemTest() {
    std::string name = ::testing::TempDir() + "cairn-posix-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    old_mask_ = ::umask(022);
  }
  ~PosixFileSystemTest() override {
    ::umask(old_mask_);
    std::filesystem::remove_all(directory_);
  }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  mode_t Mode(const std::string& name) const {
    struct stat st {};
    EXPECT_EQ(::stat(Path(name).c_str(), &st), 0) << name;
    return st.st_mode & 07777;
  }
  std::unique_ptr<FileSystem> Open(const std::string& root, bool create = false) {
    StatusOr<std::unique_ptr<FileSystem>> fs = OpenPosixFileSystem(root, create);
    EXPECT_OK(fs);
    return *std::move(fs);
  }

  std::string directory_;
  mode_t old_mask_;
};

TEST_F(PosixFileSystemTest, AnAbsentRootIsMadeOnlyIfAsked) {
  EXPECT_THAT(OpenPosixFileSystem(Path("a/b/repo"), false),
              StatusIs(StatusCode::kNotFound, HasSubstr(Path("a/b/repo"))));
  const auto fs = Open(Path("a/b/repo/"), true);
  EXPECT_OK(fs->CreateNew("f"));
  EXPECT_EQ(Mode("a/b/repo"), 0700);
  EXPECT_EQ(Mode("a/b"), 0755);
  EXPECT_OK(OpenPosixFileSystem(Path("a/b/repo"), true));
}

TEST_F(PosixFileSystemTest, AFileIsNoRoot) {
  ASSERT_OK(Open(directory_)->CreateNew("f"));
  EXPECT_THAT(OpenPosixFileSystem(Path("f"), true), StatusIs(StatusCode::kNotFound));
}

TEST_F(PosixFileSystemTest, FilesAndDirectoriesArePrivate) {
  for (const mode_t root_mode : {0755, 0775, 02755}) {
    ASSERT_EQ(::chmod(directory_.c_str(), root_mode), 0);
    const auto fs = Open(directory_);
    const std::string suffix = std::to_string(root_mode);
    ASSERT_OK(fs->CreateNew("f" + suffix));
    ASSERT_OK(fs->CreateDirectory("d" + suffix));
    ASSERT_OK(fs->TryLock("l" + suffix, true));
    EXPECT_EQ(Mode("f" + suffix), 0600);
    EXPECT_EQ(Mode("d" + suffix) & 0777, 0700);
    EXPECT_EQ(Mode("l" + suffix), 0600);
  }
}

TEST_F(PosixFileSystemTest, AGroupsRootSharesWhatIsMadeInIt) {
  ASSERT_EQ(::chmod(directory_.c_str(), 02775), 0);
  const auto fs = Open(directory_);
  ASSERT_OK(fs->CreateNew("f"));
  ASSERT_OK(fs->CreateDirectory("d"));
  ASSERT_OK(fs->CreateDirectory("d/e"));
  ASSERT_OK(fs->TryLock("l", true));
  EXPECT_EQ(Mode("f"), 0664);
  EXPECT_EQ(Mode("d"), 02775);
  EXPECT_EQ(Mode("d/e"), 02775);
  EXPECT_EQ(Mode("l"), 0664);
  ::umask(077);
  ASSERT_OK(fs->CreateNew("g"));
  EXPECT_EQ(Mode("g"), 0660);
}

TEST_F(PosixFileSystemTest, SymbolicLinksAreNotFollowed) {
  const auto fs = Open(directory_);
  ASSERT_OK(fs->CreateNew("f"));
  ASSERT_EQ(::symlink("f", Path("link").c_str()), 0);
  ASSERT_EQ(::symlink("none", Path("dangling").c_str()), 0);
  EXPECT_THAT(fs->OpenRead("link"), StatusIs(StatusCode::kDataLoss, HasSubstr(Path("link"))));
  EXPECT_THAT(fs->FileSize("link"), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(fs->TryLock("link", true), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(fs->CreateNew("dangling"), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_FALSE(std::filesystem::exists(Path("none")));
}

TEST_F(PosixFileSystemTest, AFifoDoesNotStopAReader) {
  ASSERT_EQ(::mkfifo(Path("fifo").c_str(), 0600), 0);
  const auto fs = Open(directory_);
  EXPECT_THAT(fs->OpenRead("fifo"), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(fs->TryLock("fifo", true), StatusIs(StatusCode::kDataLoss));
}

TEST_F(PosixFileSystemTest, FollowsItsRootWhenThatIsMoved) {
  const auto fs = Open(Path("old"), true);
  ASSERT_OK(fs->CreateDirectory("d"));
  std::filesystem::rename(Path("old"), Path("new"));
  ASSERT_OK(fs->CreateNew("d/f"));
  EXPECT_TRUE(std::filesystem::exists(Path("new/d/f")));
  EXPECT_THAT(fs->FileSize("d/f"), IsOkAndHolds(0));
}

TEST_F(PosixFileSystemTest, MessagesHaveTheOperationAndTheWholePath) {
  const auto fs = Open(directory_);
  EXPECT_THAT(fs->OpenRead("d/none"),
              StatusIs(StatusCode::kNotFound, AllOf(HasSubstr("open"), HasSubstr(Path("d/none")))));
  EXPECT_THAT(fs->RenameReplace("none", "to"),
              StatusIs(StatusCode::kNotFound,
                       AllOf(HasSubstr("rename"), HasSubstr(Path("none")), HasSubstr(Path("to")))));
}

TEST_F(PosixFileSystemTest, ProgramsThatAreStartedInheritNothing) {
  const auto descriptors = [] {
    std::set<int> open;
    for (int fd = 0; fd < 256; ++fd) {
      const int flags = ::fcntl(fd, F_GETFD);
      if (flags >= 0 && (flags & FD_CLOEXEC) == 0) open.insert(fd);
    }
    return open;
  };
  const std::set<int> before = descriptors();
  const auto fs = Open(directory_);
  ASSERT_OK_AND_ASSIGN(const auto writer, fs->CreateNew("f"));
  ASSERT_OK_AND_ASSIGN(const auto reader, fs->OpenRead("f"));
  ASSERT_OK_AND_ASSIGN(const auto lock, fs->TryLock("l", true));
  EXPECT_EQ(descriptors(), before);
}

// In this thread renameat2 fails as it does on NFS, until the thread ends.
bool ForbidRenameat2() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = 4, .filter = filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_F(PosixFileSystemTest, RenamesWithoutReplacingWhereTheKernelDoesNotKnowHow) {
  const auto fs = Open(directory_);
  ASSERT_OK(fs->CreateNew("a"));
  ASSERT_OK(fs->CreateNew("b"));
  bool forbidden = false;
  std::jthread([&] {
    forbidden = ForbidRenameat2();
    if (!forbidden) return;
    EXPECT_OK(fs->RenameNoReplace("a", "c"));
    EXPECT_THAT(fs->RenameNoReplace("b", "c"), StatusIs(StatusCode::kAlreadyExists));
    EXPECT_THAT(fs->RenameNoReplace("none", "d"), StatusIs(StatusCode::kNotFound));
  }).join();
  if (!forbidden) GTEST_SKIP() << "system calls cannot be filtered here";
  EXPECT_THAT(fs->List(""), IsOkAndHolds(UnorderedElementsAre("b", "c")));
}

TEST_F(PosixFileSystemTest, ALockEndsWithItsProcess) {
  const auto fs = Open(directory_);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = fs->TryLock("l", true);
    const char result = lock.ok() ? '+' : '-';
    static_cast<void>(!::write(ready[1], &result, 1));
    ::pause();
    ::_exit(0);
  }
  char result = 0;
  ASSERT_EQ(::read(ready[0], &result, 1), 1);
  EXPECT_EQ(result, '+');
  EXPECT_THAT(fs->TryLock("l", false), StatusIs(StatusCode::kAborted));
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_OK(fs->TryLock("l", false));
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace cairn
