// SPDX-License-Identifier: Apache-2.0
// The property of the whole program: snapshot, restore, snapshot again gives the same root id, for
// random trees with every kind of entry.
#include <random>
#include <string>
#include <vector>

#include "core/repo/restore.h"
#include "tests/repo/restore_fixture.h"

namespace cairn::testing {
namespace {

class TreeMaker {
 public:
  TreeMaker(std::string top, uint64_t seed) : top_(std::move(top)), random_(seed) {}

  void Make() {
    MakeDirectory(top_, 0);
    // Of directories after what is in them.
    for (const std::string& path : made_) SetAttributes(path);
    SetAttributes(top_);
  }

 private:
  uint64_t Number(uint64_t below) { return random_() % below; }

  std::string Name() {
    static const std::vector<std::string> kNames = {"a",   "b",         "b.txt",    "B", " ",
                                                    "-",   "new\nline", "\xff\xfe", "*", "ä",
                                                    "..a", "a b",       ".hidden"};
    if (Number(4) > 0) return kNames[Number(kNames.size())];
    return std::string(1 + Number(255), static_cast<char>('a' + Number(26)));
  }

  void MakeDirectory(const std::string& path, int depth) {
    const uint64_t entries = depth == 0 ? 12 : Number(8);
    for (uint64_t i = 0; i < entries; ++i) {
      const std::string child = path + "/" + Name();
      struct stat st {};
      if (::lstat(child.c_str(), &st) == 0) continue;
      MakeEntry(child, depth);
      made_.push_back(child);
    }
  }

  void MakeEntry(const std::string& path, int depth) {
    const bool root = ::geteuid() == 0;
    switch (Number(root ? 10 : 8)) {
      case 0:
      case 1:
        ASSERT_EQ(::mkdir(path.c_str(), 0755), 0);
        if (depth < 4) MakeDirectory(path, depth + 1);
        return;
      case 2:
        ASSERT_EQ(::symlink(std::string(1 + Number(300), 't').c_str(), path.c_str()), 0);
        return;
      case 3:
        ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
        return;
      case 4:
        ASSERT_EQ(::mknod(path.c_str(), S_IFSOCK | 0600, 0), 0);
        return;
      case 5:
        if (!files_.empty()) {
          ASSERT_EQ(::link(files_[Number(files_.size())].c_str(), path.c_str()), 0);
          return;
        }
        [[fallthrough]];
      case 6:
      case 7:
        return MakeFile(path);
      default:
        ASSERT_EQ(::mknod(path.c_str(), (Number(2) == 0 ? S_IFCHR : S_IFBLK) | 0600,
                          makedev(static_cast<unsigned>(Number(200)),
                                  static_cast<unsigned>(Number(70'000)))),
                  0);
    }
  }

  // Data, written zeros and holes, in blocks and beside them.
  void MakeFile(const std::string& path) {
    static constexpr uint64_t kSizes[] = {0, 1, 4095, 4096, 5000, 70'000, 300'000, 1'500'000};
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600));
    ASSERT_TRUE(fd.valid());
    const uint64_t pieces = Number(5);
    for (uint64_t i = 0; i < pieces; ++i) {
      const uint64_t bytes = kSizes[Number(std::size(kSizes))];
      switch (Number(3)) {
        case 0: {
          const off_t end = ::lseek(fd.get(), 0, SEEK_END);
          ASSERT_EQ(::ftruncate(fd.get(), end + static_cast<off_t>(bytes)), 0);
          ::lseek(fd.get(), 0, SEEK_END);
          break;
        }
        case 1:
          Put(fd.get(), std::string(bytes, '\0'));
          break;
        default: {
          std::string noise(bytes, '\0');
          // Few kinds, so that chunks repeat within files and between them.
          std::mt19937_64 bytes_of(Number(4));
          for (char& c : noise) c = static_cast<char>(bytes_of());
          Put(fd.get(), noise);
        }
      }
    }
    files_.push_back(path);
  }

  static void Put(int fd, const std::string& bytes) {
    ASSERT_EQ(::write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }

  void SetAttributes(const std::string& path) {
    struct stat st {};
    ASSERT_EQ(::lstat(path.c_str(), &st), 0);
    const bool symlink = S_ISLNK(st.st_mode);
    if (::geteuid() == 0 && Number(2) == 0) {
      ASSERT_EQ(::lchown(path.c_str(), static_cast<uid_t>(Number(70'000)),
                         static_cast<gid_t>(Number(70'000))),
                0);
    }
    if (!symlink && Number(2) == 0) {
      const mode_t mode = static_cast<mode_t>(Number(010000)) | (::geteuid() == 0 ? 0 : 0700);
      ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    }
    if ((S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && Number(3) == 0) {
      const std::string value(Number(2) == 0 ? Number(100) : 1000 + Number(1000), 'v');
      // Not every file system has them.
      (void)::lsetxattr(path.c_str(), "user.cairn", value.data(), value.size(), 0);
      (void)::lsetxattr(path.c_str(), "user.empty", "", 0, 0);
    }
    const timespec times[2] = {{0, UTIME_OMIT},
                               {static_cast<time_t>(Number(4'000'000'000)) - 100'000'000,
                                static_cast<long>(Number(1'000'000'000))}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }

  const std::string top_;
  std::mt19937_64 random_;
  std::vector<std::string> files_;
  std::vector<std::string> made_;  // directories after what is in them
};

class RoundTripPropertyTest : public RestoreTest, public ::testing::WithParamInterface<int> {};

TEST_P(RoundTripPropertyTest, SnapshotRestoreSnapshotGivesTheSameRoot) {
  const uint64_t seed = static_cast<uint64_t>(GetParam());
  SCOPED_TRACE("seed " + std::to_string(seed));
  TreeMaker(Source(), seed).Make();
  ASSERT_FALSE(HasFatalFailure());
  SnapshotOptions snapshot;
  snapshot.threads = 1 + GetParam() % 3;
  const SnapshotId id = Take(snapshot);
  const BlobId root = RootOf(Source());

  RestoreOptions options;
  options.verify = true;
  options.threads = 1 + GetParam() % 4;
  RestoreAll(Place(id), options);
  EXPECT_EQ(RootOf(Target()), root);

  // Once more over what is there, and over what is not as it was.
  options.overwrite = GetParam() % 2 == 0 ? OverwritePolicy::kAlways : OverwritePolicy::kIfChanged;
  options.delete_extra = true;
  Write(Target("extra/file"), "x");
  RestoreAll(Place(id), options);
  EXPECT_EQ(RootOf(Target()), root);

  // All of it, to where its path is rebuilt.
  RestorePlace whole = Place(id);
  whole.path.clear();
  whole.target = Path("whole");
  RestoreAll(whole, options);
  EXPECT_EQ(RootOf(Path("whole") + Source()), root);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RoundTripPropertyTest, ::testing::Range(1, 25));

}  // namespace
}  // namespace cairn::testing
