// SPDX-License-Identifier: Apache-2.0
#include "core/fs/source_directory.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>

#include <algorithm>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "tests/fs/temp_tree.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOkAndHolds;
using testing::StatusIs;
using testing::TempTree;

using DirectoryPtr = std::shared_ptr<SourceDirectory>;

ino_t InodeOf(int fd) {
  struct stat stat;
  TempTree::Must(::fstat(fd, &stat) == 0, "fstat");
  return stat.st_ino;
}

size_t OpenDescriptors() {
  DIR* const directory = ::opendir("/proc/self/fd");
  size_t count = 0;
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

StatusOr<std::vector<std::string>> NamesIn(int fd) {
  ASSIGN_OR_RETURN(NameList list, NameList::Read(fd, "/tmp"));
  std::vector<std::string> names;
  while (true) {
    ASSIGN_OR_RETURN(const char* name, list.Next());
    if (name == nullptr) return names;
    names.emplace_back(name);
  }
}

TEST(NameListTest, GivesNamesInOrderOfBytes) {
  const TempTree tree;
  for (const char* name : {"b", "a", "\xff", "aa", "\x01", "B", "ä", ".x", "..y", "a\n"}) {
    tree.Write(name, "");
  }
  EXPECT_THAT(NamesIn(tree.fd()), IsOkAndHolds(ElementsAre("\x01", "..y", ".x", "B", "a", "a\n",
                                                           "aa", "b", "ä", "\xff")));
}

TEST(NameListTest, AnEmptyDirectoryHasNone) {
  const TempTree tree;
  EXPECT_THAT(NamesIn(tree.fd()), IsOkAndHolds(IsEmpty()));
}

TEST(NameListTest, ReadsFromTheStartEachTime) {
  const TempTree tree;
  tree.Write("a", "");
  EXPECT_THAT(NamesIn(tree.fd()), IsOkAndHolds(ElementsAre("a")));
  tree.Write("b", "");
  EXPECT_THAT(NamesIn(tree.fd()), IsOkAndHolds(ElementsAre("a", "b")));
}

TEST(NameListTest, RefusesWhatIsNoDirectory) {
  const TempTree tree;
  const UniqueFd file = tree.Create("file");
  EXPECT_THAT(NameList::Read(file.get(), "/tmp"), StatusIs(StatusCode::kNotFound));
}

// Names whose order is not that of their numbers, `width` bytes each.
std::set<std::string> MakeManyFiles(const TempTree& tree, int count, size_t width) {
  std::set<std::string> names;
  tree.Write("0", "");
  for (int i = 1; i < count; ++i) {
    std::string name = absl::StrFormat("%d-", i);
    name.resize(width, 'x');
    TempTree::Must(::linkat(tree.fd(), "0", tree.fd(), name.c_str(), 0) == 0, "link");
    names.insert(std::move(name));
  }
  names.insert("0");
  return names;
}

void ExpectEachOnceInOrder(int count, size_t width) {
  const TempTree tree("/dev/shm");
  const std::set<std::string> names = MakeManyFiles(tree, count, width);
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> read, NamesIn(tree.fd()));
  EXPECT_TRUE(std::equal(read.begin(), read.end(), names.begin(), names.end()));
}

TEST(NameListTest, GivesEachOfManyNamesOnceInOrder) {
  static_assert(100'000 * 12 < NameList::kArenaBytes);
  ExpectEachOnceInOrder(100'000, 12);
}

TEST(NameListTest, GivesEachOfMoreNamesThanItKeepsInMemoryOnceInOrder) {
  static_assert(40'000 * 255 > NameList::kArenaBytes);
  ExpectEachOnceInOrder(40'000, 255);
}

TEST(DirectoryPoolTest, OpensAChildByAnyName) {
  const TempTree tree;
  tree.MakeDirectory("\xff\xfe");
  tree.MakeDirectory("\xff\xfe/below");
  DirectoryPool pool;
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr top, pool.OpenTop(tree.path()));
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr child, pool.OpenChild(top, "\xff\xfe"));
  ASSERT_OK_AND_ASSIGN(const SourceDirectory::Pin pin, child->Open());
  EXPECT_THAT(NamesIn(pin.descriptor()), IsOkAndHolds(ElementsAre("below")));
  EXPECT_EQ(child->status().type, EntryType::kDirectory);
  EXPECT_EQ(child->status().inode, InodeOf(pin.descriptor()));
}

TEST(DirectoryPoolTest, LeavesNoTraceOnAccessTimes) {
  const TempTree tree;
  DirectoryPool pool;
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr top, pool.OpenTop(tree.path()));
  ASSERT_OK_AND_ASSIGN(const SourceDirectory::Pin pin, top->Open());
  EXPECT_NE(::fcntl(pin.descriptor(), F_GETFL) & O_NOATIME, 0);
  EXPECT_NE(::fcntl(pin.descriptor(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(DirectoryPoolTest, FollowsSymlinksAboveTheTopButNotAtIt) {
  const TempTree tree;
  tree.MakeDirectory("real");
  tree.MakeDirectory("real/below");
  tree.MakeSymlink("real", "link");
  DirectoryPool pool;
  EXPECT_OK(pool.OpenTop(tree.Path("link/below")));
  EXPECT_OK(pool.OpenTop(tree.Path("real///")));
  EXPECT_OK(pool.OpenTop("/"));
  for (const char* path : {"link", "link/", "link//"}) {
    EXPECT_THAT(pool.OpenTop(tree.Path(path)), StatusIs(StatusCode::kFailedPrecondition)) << path;
  }
}

TEST(DirectoryPoolTest, RefusesATopThatIsNoAbsolutePath) {
  DirectoryPool pool;
  for (const std::string& path : {std::string(), std::string("tmp"), std::string("/tmp\0/x", 7)}) {
    EXPECT_THAT(pool.OpenTop(path), StatusIs(StatusCode::kInvalidArgument)) << path;
  }
}

TEST(DirectoryPoolTest, SaysWhetherAChildVanishedOrIsNoDirectory) {
  const TempTree tree;
  tree.Write("file", "");
  tree.MakeSymlink("/", "link");
  ASSERT_EQ(::mkfifoat(tree.fd(), "fifo", 0600), 0);
  DirectoryPool pool;
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr top, pool.OpenTop(tree.path()));
  EXPECT_THAT(pool.OpenChild(top, "none"), StatusIs(StatusCode::kNotFound, HasSubstr("none")));
  for (const char* name : {"file", "link", "fifo"}) {
    EXPECT_THAT(pool.OpenChild(top, name),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr(name)));
  }
}

TEST(DirectoryPoolTest, KeepsFewDescriptorsOpen) {
  const TempTree tree;
  tree.MakeChain("deep", 50);
  for (int i = 0; i < 50; ++i) tree.MakeDirectory(absl::StrFormat("wide%d", i));
  const size_t before = OpenDescriptors();
  DirectoryPool pool(4);
  std::vector<DirectoryPtr> all;
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr top, pool.OpenTop(tree.path()));
  all.push_back(top);
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK_AND_ASSIGN(DirectoryPtr child, pool.OpenChild(all.back(), "deep"));
    all.push_back(std::move(child));
  }
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK_AND_ASSIGN(DirectoryPtr child, pool.OpenChild(top, absl::StrFormat("wide%d", i)));
    all.push_back(std::move(child));
  }
  EXPECT_LE(OpenDescriptors(), before + 4);
  for (const DirectoryPtr& directory : all) {
    ASSERT_OK_AND_ASSIGN(const SourceDirectory::Pin pin, directory->Open());
    EXPECT_EQ(InodeOf(pin.descriptor()), directory->status().inode);
    EXPECT_LE(OpenDescriptors(), before + 5);
  }
  all.clear();
  EXPECT_LE(OpenDescriptors(), before + 1);
}

TEST(DirectoryPoolTest, APinnedDirectoryStaysOpen) {
  const TempTree tree;
  tree.MakeDirectory("a");
  tree.MakeDirectory("b");
  DirectoryPool pool(0);
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr top, pool.OpenTop(tree.path()));
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr a, pool.OpenChild(top, "a"));
  ASSERT_OK_AND_ASSIGN(SourceDirectory::Pin pin, a->Open());
  const int descriptor = pin.descriptor();
  for (int i = 0; i < 10; ++i) EXPECT_OK(pool.OpenChild(top, "b"));
  EXPECT_EQ(InodeOf(descriptor), a->status().inode);

  ASSERT_OK_AND_ASSIGN(SourceDirectory::Pin second, a->Open());
  EXPECT_EQ(second.descriptor(), descriptor);
  pin = std::move(second);  // gives up the first
  EXPECT_EQ(InodeOf(descriptor), a->status().inode);
}

TEST(DirectoryPoolTest, IsNotMisledByWhatTookADirectorysPlace) {
  const TempTree tree;
  tree.MakeDirectory("a");
  tree.MakeDirectory("a/b");
  DirectoryPool pool(0);
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr top, pool.OpenTop(tree.path()));
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr a, pool.OpenChild(top, "a"));
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr b, pool.OpenChild(a, "b"));

  ASSERT_EQ(::renameat(tree.fd(), "a", tree.fd(), "moved"), 0);
  EXPECT_THAT(b->Open(), StatusIs(StatusCode::kNotFound));
  tree.MakeDirectory("a");
  tree.MakeDirectory("a/b");
  EXPECT_THAT(b->Open(), StatusIs(StatusCode::kAborted, HasSubstr("taken its place")));
  ASSERT_EQ(::unlinkat(tree.fd(), "a/b", AT_REMOVEDIR), 0);
  ASSERT_EQ(::unlinkat(tree.fd(), "a", AT_REMOVEDIR), 0);
  tree.MakeSymlink("moved", "a");
  EXPECT_THAT(b->Open(), StatusIs(StatusCode::kFailedPrecondition));

  ASSERT_EQ(::renameat(tree.fd(), "moved", tree.fd(), "a"), -1) << "a symlink is in the way";
  ASSERT_EQ(::unlinkat(tree.fd(), "a", 0), 0);
  ASSERT_EQ(::renameat(tree.fd(), "moved", tree.fd(), "a"), 0);
  EXPECT_OK(b->Open());
}

TEST(DirectoryPoolTest, GoesWherePathsAreLongerThanThePathMaximum) {
  const TempTree tree;
  const std::string name(200, 'd');
  constexpr int kDepth = 310;
  const UniqueFd deepest = tree.MakeChain(name, kDepth);

  DirectoryPool pool(8);
  std::vector<DirectoryPtr> chain;
  ASSERT_OK_AND_ASSIGN(DirectoryPtr top, pool.OpenTop(tree.path()));
  chain.push_back(std::move(top));
  std::string path = tree.path();
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_OK_AND_ASSIGN(DirectoryPtr child, pool.OpenChild(chain.back(), name));
    chain.push_back(std::move(child));
    path += "/" + name;
  }
  ASSERT_GT(path.size(), size_t{PATH_MAX});
  EXPECT_EQ(chain.back()->status().inode, InodeOf(deepest.get()));
  for (const size_t level : {0, 1, kDepth, kDepth / 2, 3, kDepth}) {
    ASSERT_OK_AND_ASSIGN(const SourceDirectory::Pin pin, chain[level]->Open());
    EXPECT_EQ(InodeOf(pin.descriptor()), chain[level]->status().inode);
  }

  ASSERT_OK_AND_ASSIGN(const DirectoryPtr by_path, pool.OpenTop(path + "//"));
  EXPECT_EQ(by_path->status().inode, InodeOf(deepest.get()));
  EXPECT_THAT(pool.OpenTop(path + "/none"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(pool.OpenTop("/" + std::string(PATH_MAX, 'x')),
              StatusIs(StatusCode::kInvalidArgument));
}

// Runs `body` where a recursion of some thousand steps does not fit.
void WithSmallStack(void (*body)()) {
  pthread_attr_t attributes;
  ASSERT_EQ(::pthread_attr_init(&attributes), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&attributes, 128 * kKiB), 0);
  const auto run = [](void* argument) -> void* {
    reinterpret_cast<void (*)()>(argument)();
    return nullptr;
  };
  pthread_t thread;
  ASSERT_EQ(::pthread_create(&thread, &attributes, run, reinterpret_cast<void*>(body)), 0);
  ASSERT_EQ(::pthread_join(thread, nullptr), 0);
  ::pthread_attr_destroy(&attributes);
}

TEST(DirectoryPoolTest, TheStackDoesNotGrowWithDepth) {
  WithSmallStack([] {
    const TempTree tree("/dev/shm");
    constexpr int kDepth = 4096;
    const UniqueFd deepest = tree.MakeChain("d", kDepth);
    DirectoryPool pool;
    ASSERT_OK_AND_ASSIGN(DirectoryPtr top, pool.OpenTop(tree.path()));
    DirectoryPtr last = top;
    for (int i = 0; i < kDepth; ++i) {
      ASSERT_OK_AND_ASSIGN(last, pool.OpenChild(std::move(last), "d"));
    }
    {
      std::vector<DirectoryPtr> others;  // so that the deepest has to be opened from the top on
      for (int i = 0; i < 100; ++i) {
        ASSERT_OK_AND_ASSIGN(DirectoryPtr other, pool.OpenTop(tree.path()));
        others.push_back(std::move(other));
      }
      ASSERT_OK_AND_ASSIGN(const SourceDirectory::Pin pin, last->Open());
      EXPECT_EQ(InodeOf(pin.descriptor()), InodeOf(deepest.get()));
    }
    top.reset();
    last.reset();  // the whole chain with it
  });
}

TEST(DirectoryPoolTest, ManyThreadsShareIt) {
  const TempTree tree("/dev/shm");
  constexpr int kDepth = 20;
  tree.MakeChain("d", kDepth);
  DirectoryPool pool(2);
  std::vector<DirectoryPtr> chain;
  ASSERT_OK_AND_ASSIGN(DirectoryPtr top, pool.OpenTop(tree.path()));
  chain.push_back(std::move(top));
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_OK_AND_ASSIGN(DirectoryPtr child, pool.OpenChild(chain.back(), "d"));
    chain.push_back(std::move(child));
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 500; ++i) {
        const DirectoryPtr& directory = chain[random() % chain.size()];
        StatusOr<SourceDirectory::Pin> pin = directory->Open();
        ASSERT_OK(pin);
        EXPECT_EQ(InodeOf(pin->descriptor()), directory->status().inode);
        if (directory != chain.back()) {
          EXPECT_OK(pool.OpenChild(directory, "d"));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace cairn
