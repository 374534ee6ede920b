// SPDX-License-Identifier: Apache-2.0
// What a snapshot makes of what each read of a source gives it: files that change between two
// reads, reads that fail, holes. The linker puts __wrap_pread64 below between the code and the
// kernel (CMakeLists.txt).
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/repo/check.h"
#include "core/tree/reader.h"
#include "tests/repo/restore_fixture.h"

namespace cairn::testing {
namespace {

// The reads of one file, by whatever name, while it lives. Not for several threads that read it.
class ReadsOfFile {
 public:
  // Called before each, with the place that it begins at: an error number that is not 0 is all that
  // the reader gets.
  using Hook = std::function<int(uint64_t offset)>;

  explicit ReadsOfFile(const std::string& path, Hook hook = nullptr) : hook_(std::move(hook)) {
    struct stat st {};
    EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
    device_ = st.st_dev;
    inode_ = st.st_ino;
    current_ = this;
  }
  ~ReadsOfFile() { current_ = nullptr; }
  uint64_t bytes() const { return bytes_; }

  static ssize_t Make(int fd, uint64_t offset, const std::function<ssize_t()>& read) {
    ReadsOfFile* const reads = current_;
    struct stat st {};
    if (reads == nullptr || ::fstat(fd, &st) != 0 || st.st_dev != reads->device_ ||
        st.st_ino != reads->inode_) {
      return read();
    }
    if (const int error = reads->hook_ ? reads->hook_(offset) : 0; error != 0) {
      errno = error;
      return -1;
    }
    const ssize_t got = read();
    if (got > 0) reads->bytes_ += static_cast<uint64_t>(got);
    return got;
  }

 private:
  static std::atomic<ReadsOfFile*> current_;
  const Hook hook_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  std::atomic<uint64_t> bytes_ = 0;
};

std::atomic<ReadsOfFile*> ReadsOfFile::current_ = nullptr;

}  // namespace
}  // namespace cairn::testing

extern "C" {
ssize_t __real_pread64(int fd, void* bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void* bytes, size_t size, off_t offset) {
  return cairn::testing::ReadsOfFile::Make(fd, static_cast<uint64_t>(offset),
                                           [&] { return __real_pread64(fd, bytes, size, offset); });
}
}

namespace cairn::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SnapshotReadTest : public RestoreTest {
 protected:
  // Of a file that is read in several pieces.
  static constexpr size_t kLarge = 3 << 20;

  SnapshotResult TakeIt(const std::string& path, SnapshotOptions options = {}) {
    options.labels.host = "host";
    options.threads = 1;
    options.on_problem = [this](const std::string& source, const std::string& problem) {
      MutexLock lock(mutex_);
      problems_[source] = problem;
    };
    problems_.clear();
    StatusOr<SnapshotResult> result = TakeSnapshot(*repository_, {path}, options);
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : SnapshotResult{};
  }
  // `name` below the snapshot's only source; "" is the source itself.
  Entry EntryOf(const SnapshotResult& result, const std::string& name) {
    const StatusOr<Root> root = ReadRoot(*repository_, result.root);
    EXPECT_OK(root);
    if (!root.ok()) return {};
    StatusOr<Entry> entry = FindPath(*repository_, *root, name);
    EXPECT_OK(entry);
    return entry.ok() ? *std::move(entry) : Entry();
  }
  void ExpectUnread(const SnapshotResult& result, const std::string& name) {
    const Entry entry = EntryOf(result, name);
    EXPECT_TRUE(entry.unread);
    EXPECT_EQ(entry.size, 0U);
    EXPECT_FALSE(entry.sparse);
    EXPECT_EQ(entry.content, Content());
    ASSERT_OK_AND_ASSIGN(const CheckResult check, Check(*repository_, {}));
    EXPECT_THAT(check.damages, IsEmpty());
  }
  // Of the same size, with the time of modification that it had, at another tick of the clock.
  static void Overwrite(const std::string& path, char byte) {
    Settle();
    const struct stat before = StatOf(path);
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(::pwrite(file.get(), &byte, 1, 0), 1);
    const timespec times[2] = {{0, UTIME_OMIT}, before.st_mtim};
    EXPECT_EQ(::futimens(file.get(), times), 0);
  }
};

TEST_F(SnapshotReadTest, AFileOverwrittenWhileItIsReadIsReadAgain) {
  for (const size_t size : {size_t{5000}, kLarge}) {
    Write(Source("file"), Noise(size, size));
    bool done = false;
    // After the first bytes of a large one were read.
    const ReadsOfFile reads(Source("file"), [&](uint64_t offset) {
      if ((size < kLarge || offset > 0) && !std::exchange(done, true)) {
        Overwrite(Source("file"), '!');
      }
      return 0;
    });
    const SnapshotResult result = TakeIt(Source());
    EXPECT_TRUE(done);
    EXPECT_EQ(result.problems, 0U);
    EXPECT_EQ(result.statistics.bytes_read, 2 * size);
    ASSERT_TRUE(result.id);
    std::filesystem::remove_all(Target());
    RestoreAll(Place(*result.id));
    EXPECT_TRUE(Read(Target("file")) == Read(Source("file"))) << size;
  }
}

TEST_F(SnapshotReadTest, AFileOverwrittenWheneverItIsReadIsReported) {
  Write(Source("file"), Noise(kLarge, 1));
  char byte = 'a';
  bool overwrite = true;
  const ReadsOfFile reads(Source("file"), [&](uint64_t offset) {
    if (overwrite && offset == 0) Overwrite(Source("file"), byte++);
    return 0;
  });
  const SnapshotResult result = TakeIt(Source());
  EXPECT_EQ(result.problems, 1U);
  EXPECT_THAT(problems_[Source("file")], HasSubstr("changed while it was read"));
  EXPECT_EQ(result.statistics.bytes_read, 2 * kLarge);
  EXPECT_FALSE(EntryOf(result, "file").unread);
  // It was not settled by that.
  overwrite = false;
  Settle();
  EXPECT_EQ(TakeIt(Source()).statistics.bytes_read, kLarge);
}

TEST_F(SnapshotReadTest, AFileThatCannotBeReadToItsEndIsUnread) {
  Write(Source("file"), Noise(kLarge, 1));
  Write(Source("other"), "other");
  const ReadsOfFile reads(Source("file"), [](uint64_t offset) { return offset == 0 ? 0 : EIO; });
  const SnapshotResult result = TakeIt(Source());
  EXPECT_EQ(result.problems, 1U);
  EXPECT_THAT(problems_[Source("file")], HasSubstr("read"));
  ExpectUnread(result, "file");
  EXPECT_EQ(EntryOf(result, "other").size, 5U);
}

// It was read once, but had changed by then.
TEST_F(SnapshotReadTest, NothingStaysOfAFileThatCannotBeReadAgain) {
  Write(Source("file"), "head");
  ASSERT_EQ(::truncate(Source("file").c_str(), kLarge), 0);
  int attempts = 0;
  const ReadsOfFile reads(Source("file"), [&](uint64_t offset) {
    if (offset > 0) return 0;
    if (++attempts == 2) return EIO;
    Overwrite(Source("file"), 'H');
    return 0;
  });
  const SnapshotResult result = TakeIt(Source());
  EXPECT_EQ(attempts, 2);
  EXPECT_EQ(result.problems, 1U);
  ExpectUnread(result, "file");
}

// The kernel's own error: at its first address no process has anything.
TEST_F(SnapshotReadTest, AFileThatOpensAndCannotBeReadIsUnread) {
  const std::string path = "/proc/self/mem";
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char byte;
  if (!file.valid() || ::read(file.get(), &byte, 1) >= 0 || errno != EIO) {
    GTEST_SKIP() << path << " gives no such error here";
  }
  const SnapshotResult result = TakeIt(path);
  EXPECT_EQ(result.problems, 1U);
  EXPECT_THAT(problems_[path], HasSubstr(std::generic_category().message(EIO)));
  ExpectUnread(result, "");
}

// What small files hold is stored when there is enough of it to be hashed together.
TEST_F(SnapshotReadTest, NeighboursOfAnySizeKeepTheirOwnContent) {
  constexpr size_t kSizes[] = {5,       0,       1024,    1025,    130'000, 0,     131'072,
                               524'288, 524'289, 700'000, 1'023,   9,       9'000, 131'071,
                               17,      262'144, 524'287, 300'000, 40'000,  1,     0};
  std::vector<std::pair<std::string, std::string>> files;
  for (const size_t size : kSizes) {
    const std::string name = "file" + std::to_string(100 + files.size());
    Write(Source(name), Noise(size, files.size()));
    files.emplace_back(name, Read(Source(name)));
  }
  // Holes are found where the bytes are not.
  ASSERT_EQ(::truncate(Source("file103").c_str(), 65'536), 0);
  files[3].second.resize(65'536);
  SnapshotOptions options;
  options.threads = 1;
  const SnapshotResult result = TakeIt(Source(), options);
  EXPECT_EQ(result.problems, 0U);
  ASSERT_TRUE(result.id);
  RestoreAll(Place(*result.id));
  for (const auto& [name, content] : files) {
    EXPECT_TRUE(Read(Target(name)) == content) << name << ", " << content.size();
  }
}

TEST_F(SnapshotReadTest, ASmallFileThatCannotBeReadTakesNoOtherWithIt) {
  for (const char* const name : {"a", "b", "c"}) Write(Source(name), Noise(3000, name[0]));
  const ReadsOfFile reads(Source("b"), [](uint64_t) { return EIO; });
  const SnapshotResult result = TakeIt(Source());
  EXPECT_EQ(result.problems, 1U);
  ExpectUnread(result, "b");
  EXPECT_EQ(EntryOf(result, "a").size, 3000U);
  EXPECT_EQ(EntryOf(result, "c").size, 3000U);
}

TEST_F(SnapshotReadTest, AFileThatIsNoLongerSmallIsReadWhole) {
  for (const char* const name : {"a", "b", "c"}) Write(Source(name), Noise(3000, name[0]));
  const std::string grown = Noise(kLarge, 1);
  bool done = false;
  const ReadsOfFile reads(Source("b"), [&](uint64_t) {
    if (!std::exchange(done, true)) Write(Source("b"), grown);
    return 0;
  });
  const SnapshotResult result = TakeIt(Source());
  EXPECT_TRUE(done);
  EXPECT_EQ(result.problems, 0U);
  ASSERT_TRUE(result.id);
  RestoreAll(Place(*result.id));
  for (const char* const name : {"a", "b", "c"}) {
    EXPECT_TRUE(Read(Target(name)) == Read(Source(name))) << name;
  }
}

// SEEK_HOLE has been wrong about data that was not written back yet, on file systems not among
// those that are known to be right.
TEST_F(SnapshotReadTest, HolesOfAYoungFileAreBelievedOnlyWhereTheyAreKnownToBeTrue) {
  constexpr off_t kBytes = 64 << 20;
  Write(Source("file"), "");
  ASSERT_EQ(::truncate(Source("file").c_str(), kBytes), 0);
  {
    const UniqueFd file(::open(Source("file").c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::pwrite(file.get(), "x", 1, kBytes / 2), 1);
    if (::lseek(file.get(), 0, SEEK_DATA) == 0) GTEST_SKIP() << "no holes in " << Source();
  }
  SnapshotOptions options;
  options.rescan = true;
  BlobId roots[2];
  for (const bool known_good : {false, true}) {
    options.traits = FileSystemTraits{.known_good = known_good};
    const ReadsOfFile reads(Source("file"));
    const SnapshotResult result = TakeIt(Source(), options);
    roots[known_good] = result.root;
    if (known_good) {
      EXPECT_LT(reads.bytes(), uint64_t{1} << 20);
    } else {
      EXPECT_EQ(reads.bytes(), uint64_t{kBytes});
    }
    EXPECT_TRUE(EntryOf(result, "file").sparse);
  }
  EXPECT_EQ(roots[0], roots[1]);
}

}  // namespace
}  // namespace cairn::testing
