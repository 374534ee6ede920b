// SPDX-License-Identifier: Apache-2.0
// What PosixFileSystem asks of the kernel, and what it makes of the answers: each sync on the right
// inode, errors that come once and never again, interruptions, and calls that do a part of what
// they were asked for. The linker puts the __wrap_ functions below between the two
// (CMakeLists.txt).
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/file_system.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

// The calls of the thread that made it, while it lives.
class KernelDouble {
 public:
  enum class Call : uint8_t { kFsync, kFdatasync, kRead, kWrite };
  struct Seen {
    Call call;
    ino_t inode;
    bool operator==(const Seen&) const = default;
  };
  // What becomes of a call.
  struct Fate {
    int error = 0;
    size_t most_bytes = SIZE_MAX;
  };
  static constexpr Fate Fails(int error) { return {.error = error}; }
  static constexpr Fate Moves(size_t most_bytes) { return {.most_bytes = most_bytes}; }

  KernelDouble() { current_ = this; }
  ~KernelDouble() { current_ = nullptr; }

  // Of the next calls, one after another; those behind them succeed.
  void Let(std::vector<Fate> fates) { fates_.assign(fates.begin(), fates.end()); }
  std::vector<Seen> TakeSeen() { return std::exchange(seen_, {}); }

  // The fate of a call that is being made; the real one where nobody looks.
  static Fate Meet(Call call, int fd) {
    if (current_ == nullptr) return {};
    struct stat st {};
    EXPECT_EQ(::fstat(fd, &st), 0);
    current_->seen_.push_back({call, st.st_ino});
    if (current_->fates_.empty()) return {};
    const Fate fate = current_->fates_.front();
    current_->fates_.pop_front();
    return fate;
  }

 private:
  static thread_local KernelDouble* current_;
  std::deque<Fate> fates_;
  std::vector<Seen> seen_;
};

thread_local KernelDouble* KernelDouble::current_ = nullptr;

template <typename Make>
auto MeetOrMake(KernelDouble::Call call, int fd, const Make& make) -> decltype(make(size_t{})) {
  const KernelDouble::Fate fate = KernelDouble::Meet(call, fd);
  if (fate.error == 0) return make(fate.most_bytes);
  errno = fate.error;
  return -1;
}

}  // namespace
}  // namespace cairn

extern "C" {
int __real_fsync(int fd);
int __real_fdatasync(int fd);
ssize_t __real_pread64(int fd, void* bytes, size_t size, off_t offset);
ssize_t __real_write(int fd, const void* bytes, size_t size);

int __wrap_fsync(int fd) {
  return cairn::MeetOrMake(cairn::KernelDouble::Call::kFsync, fd,
                           [&](size_t) { return __real_fsync(fd); });
}
int __wrap_fdatasync(int fd) {
  return cairn::MeetOrMake(cairn::KernelDouble::Call::kFdatasync, fd,
                           [&](size_t) { return __real_fdatasync(fd); });
}
ssize_t __wrap_pread64(int fd, void* bytes, size_t size, off_t offset) {
  return cairn::MeetOrMake(cairn::KernelDouble::Call::kRead, fd, [&](size_t most) {
    return __real_pread64(fd, bytes, std::min(size, most), offset);
  });
}
ssize_t __wrap_write(int fd, const void* bytes, size_t size) {
  return cairn::MeetOrMake(cairn::KernelDouble::Call::kWrite, fd, [&](size_t most) {
    return __real_write(fd, bytes, std::min(size, most));
  });
}
}

namespace cairn {
namespace {

using ::cairn::testing::IsOk;
using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Call = KernelDouble::Call;
using Seen = KernelDouble::Seen;

class PosixSystemCallsTest : public ::testing::Test {
 protected:
  PosixSystemCallsTest() {
    std::string name = ::testing::TempDir() + "cairn-calls-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    fs_ = *OpenPosixFileSystem(directory_, false);
  }
  ~PosixSystemCallsTest() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  ino_t Inode(const std::string& path) const {
    struct stat st {};
    EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
    return st.st_ino;
  }
  std::string ContentOf(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::unique_ptr<WritableFile> Create(const std::string& name) {
    StatusOr<std::unique_ptr<WritableFile>> file = fs_->CreateNew(name);
    EXPECT_OK(file);
    return *std::move(file);
  }

  std::string directory_;
  std::unique_ptr<FileSystem> fs_;
};

TEST_F(PosixSystemCallsTest, EachSyncReachesItsOwnInodeOnce) {
  ASSERT_OK(fs_->CreateDirectory("d"));
  const auto other = Create("other");
  const auto file = Create("d/f");
  KernelDouble kernel;
  ASSERT_OK(file->Append(AsBytes("content")));
  EXPECT_THAT(kernel.TakeSeen(), ElementsAre(Seen{Call::kWrite, Inode(Path("d/f"))}));
  ASSERT_OK(file->Sync());
  EXPECT_THAT(kernel.TakeSeen(), ElementsAre(Seen{Call::kFdatasync, Inode(Path("d/f"))}));
  ASSERT_OK(fs_->SyncDirectory("d"));
  EXPECT_THAT(kernel.TakeSeen(), ElementsAre(Seen{Call::kFsync, Inode(Path("d"))}));
  ASSERT_OK(fs_->SyncDirectory(""));
  EXPECT_THAT(kernel.TakeSeen(), ElementsAre(Seen{Call::kFsync, Inode(directory_)}));
}

// The names that lead to it, from the first directory that was made; none where it was there.
TEST_F(PosixSystemCallsTest, ARootThatIsMadeIsDurable) {
  ASSERT_TRUE(std::filesystem::create_directory(Path("old")));
  KernelDouble kernel;
  ASSERT_OK(OpenPosixFileSystem(Path("old/a/b/repo"), true));
  EXPECT_THAT(kernel.TakeSeen(), ElementsAre(Seen{Call::kFsync, Inode(Path("old"))},
                                             Seen{Call::kFsync, Inode(Path("old/a"))},
                                             Seen{Call::kFsync, Inode(Path("old/a/b"))}));
  ASSERT_OK(OpenPosixFileSystem(Path("old/a/b/repo"), true));
  EXPECT_THAT(kernel.TakeSeen(), IsEmpty());
}

TEST_F(PosixSystemCallsTest, ARootThatCannotBeMadeDurableIsNone) {
  KernelDouble kernel;
  kernel.Let({KernelDouble::Fails(EIO)});
  EXPECT_THAT(OpenPosixFileSystem(Path("a/repo"), true),
              StatusIs(StatusCode::kUnavailable, AllOf(HasSubstr("sync"), HasSubstr(directory_))));
}

// The kernel tells it once: the next sync would succeed, with the bytes lost.
TEST_F(PosixSystemCallsTest, NothingIsWrittenAfterASyncThatFailed) {
  const auto file = Create("f");
  KernelDouble kernel;
  ASSERT_OK(file->Append(AsBytes("lost")));
  kernel.Let({KernelDouble::Fails(EIO)});
  EXPECT_THAT(file->Sync(),
              StatusIs(StatusCode::kUnavailable, AllOf(HasSubstr("sync"), HasSubstr(Path("f")))));
  kernel.TakeSeen();
  EXPECT_THAT(file->Sync(), StatusIs(StatusCode::kFailedPrecondition, HasSubstr(Path("f"))));
  EXPECT_THAT(file->Append(AsBytes("more")),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr(Path("f"))));
  EXPECT_THAT(kernel.TakeSeen(), IsEmpty());
}

TEST_F(PosixSystemCallsTest, NothingIsWrittenAfterAWriteThatFailed) {
  const auto file = Create("f");
  KernelDouble kernel;
  kernel.Let({KernelDouble::Moves(3), KernelDouble::Fails(ENOSPC)});
  EXPECT_THAT(
      file->Append(AsBytes("content")),
      StatusIs(StatusCode::kResourceExhausted, AllOf(HasSubstr("write"), HasSubstr(Path("f")))));
  kernel.TakeSeen();
  EXPECT_THAT(file->Append(AsBytes("tent")), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(file->Sync(), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(kernel.TakeSeen(), IsEmpty());
}

TEST_F(PosixSystemCallsTest, ADirectoryThatCannotBeSyncedIsAnErrorUnlessThereIsNothingToSync) {
  ASSERT_OK(fs_->CreateDirectory("d"));
  KernelDouble kernel;
  for (const int error : {EIO, ENOSPC, EDQUOT, EBADF}) {
    kernel.Let({KernelDouble::Fails(error)});
    const Status status = fs_->SyncDirectory("d");
    EXPECT_FALSE(status.ok()) << error;
    EXPECT_THAT(Message(status), AllOf(HasSubstr("sync"), HasSubstr(Path("d"))));
  }
  for (const int error : {EINVAL, EOPNOTSUPP}) {
    kernel.Let({KernelDouble::Fails(error)});
    EXPECT_OK(fs_->SyncDirectory("d")) << error;
  }
}

TEST_F(PosixSystemCallsTest, InterruptedCallsAreMadeAgain) {
  const auto file = Create("f");
  ASSERT_OK_AND_ASSIGN(const auto reader, fs_->OpenRead("f"));
  const std::vector<KernelDouble::Fate> twice = {KernelDouble::Fails(EINTR),
                                                 KernelDouble::Fails(EINTR)};
  KernelDouble kernel;
  kernel.Let(twice);
  EXPECT_OK(file->Append(AsBytes("content")));
  EXPECT_THAT(kernel.TakeSeen(), SizeIs(3));
  kernel.Let(twice);
  EXPECT_OK(file->Sync());
  EXPECT_THAT(kernel.TakeSeen(), SizeIs(3));
  kernel.Let(twice);
  EXPECT_OK(fs_->SyncDirectory(""));
  EXPECT_THAT(kernel.TakeSeen(), SizeIs(3));
  kernel.Let(twice);
  Bytes bytes(7);
  EXPECT_THAT(reader->ReadAt(0, bytes), IsOkAndHolds(7));
  EXPECT_THAT(kernel.TakeSeen(), SizeIs(3));
  EXPECT_EQ(bytes, ToBytes("content"));
  EXPECT_EQ(ContentOf("f"), "content");
}

TEST_F(PosixSystemCallsTest, WritesOfAPartAreCompleted) {
  const std::string text = "0123456789abcdef";
  const auto file = Create("f");
  ASSERT_OK_AND_ASSIGN(const auto lock, fs_->TryLock("l", true));
  const std::vector<KernelDouble::Fate> parts = {KernelDouble::Moves(1), KernelDouble::Moves(7),
                                                 KernelDouble::Fails(EINTR), KernelDouble::Moves(3),
                                                 KernelDouble::Moves(2)};
  KernelDouble kernel;
  kernel.Let(parts);
  EXPECT_OK(file->Append(AsBytes(text)));
  EXPECT_THAT(kernel.TakeSeen(), SizeIs(6));
  EXPECT_EQ(ContentOf("f"), text);
  kernel.Let(parts);
  EXPECT_OK(lock->WriteContent(AsBytes(text)));
  EXPECT_THAT(kernel.TakeSeen(), SizeIs(6));
  EXPECT_EQ(ContentOf("l"), text);
}

TEST_F(PosixSystemCallsTest, AWriteOfNothingIsAnErrorAndNoLoop) {
  const auto file = Create("f");
  KernelDouble kernel;
  kernel.Let({KernelDouble::Moves(2), KernelDouble::Moves(0)});
  EXPECT_THAT(file->Append(AsBytes("content")),
              StatusIs(StatusCode::kUnavailable, HasSubstr(Path("f"))));
  EXPECT_THAT(kernel.TakeSeen(), SizeIs(2));
}

TEST_F(PosixSystemCallsTest, ReadsOfAPartAreCompletedUpToTheEnd) {
  const std::string text = "0123456789abcdef";
  ASSERT_OK(Create("f")->Append(AsBytes(text)));
  ASSERT_OK_AND_ASSIGN(const auto reader, fs_->OpenRead("f"));
  KernelDouble kernel;
  kernel.Let({KernelDouble::Moves(1), KernelDouble::Moves(4), KernelDouble::Fails(EINTR),
              KernelDouble::Moves(2)});
  Bytes bytes(9);
  EXPECT_THAT(reader->ReadAt(3, bytes), IsOkAndHolds(9));
  EXPECT_EQ(bytes, ToBytes("3456789ab"));
  kernel.Let({KernelDouble::Moves(2)});
  EXPECT_THAT(reader->ReadAt(12, bytes), IsOkAndHolds(4));
  bytes.resize(4);
  EXPECT_EQ(bytes, ToBytes("cdef"));
}

TEST_F(PosixSystemCallsTest, AnErrorBehindAPartThatWasReadIsAnError) {
  ASSERT_OK(Create("f")->Append(AsBytes("content")));
  ASSERT_OK_AND_ASSIGN(const auto reader, fs_->OpenRead("f"));
  KernelDouble kernel;
  kernel.Let({KernelDouble::Moves(3), KernelDouble::Fails(EIO)});
  Bytes bytes(7);
  EXPECT_THAT(reader->ReadAt(0, bytes),
              StatusIs(StatusCode::kUnavailable, AllOf(HasSubstr("read"), HasSubstr(Path("f")))));
}

}  // namespace
}  // namespace cairn
