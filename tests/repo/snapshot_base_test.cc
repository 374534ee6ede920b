// SPDX-License-Identifier: Apache-2.0
// What a snapshot takes over from an earlier one without reading it, and that it never takes what
// may be gone or was never so.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/base/unique_fd.h"
#include "core/repo/check.h"
#include "core/repo/commit.h"
#include "core/repo/forget.h"
#include "core/repo/place_finder.h"
#include "core/repo/prune.h"
#include "core/tree/reader.h"
#include "tests/repo/restore_fixture.h"
#include "tests/support/encryption.h"

namespace cairn::testing {
namespace {

using ::testing::IsEmpty;

class SnapshotBaseTest : public RestoreTest {
 protected:
  static constexpr int kFiles = 40;

  void SetUp() override {
    RestoreTest::SetUp();
    for (int i = 0; i < kFiles; ++i) {
      Write(Source("dir" + std::to_string(i % 4) + "/sub/" + std::to_string(i)),
            Noise(5000, static_cast<uint64_t>(i)));
    }
    Settle();
  }
  SnapshotResult TakeBy(Repository& repository, const std::string& host = "host", int threads = 1) {
    SnapshotOptions options;
    options.labels.host = host;
    options.threads = threads;
    StatusOr<SnapshotResult> result = TakeSnapshot(repository, {Source()}, options);
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : SnapshotResult{};
  }
  void ForgetAndPrune(const std::vector<SnapshotId>& ids, double max_unused_share = 0.05) {
    ASSERT_OK_AND_ASSIGN(const auto other,
                         Repository::Open(repository_files_, TestRepositoryOptions()));
    ASSERT_OK(ForgetSnapshots(*other, ids));
    PruneOptions options;
    options.max_unused_share = max_unused_share;
    options.now = true;
    options.threads = 1;
    ASSERT_OK(Prune(*other, options));
  }
  void ExpectRestoresAsItIs(const SnapshotId& id) {
    std::filesystem::remove_all(Target());
    RestoreAll(Place(id));
    for (const auto& entry : std::filesystem::recursive_directory_iterator(Source())) {
      if (!entry.is_regular_file()) continue;
      const std::string name = entry.path().string().substr(Source().size() + 1);
      EXPECT_TRUE(Read(Target(name)) == Read(entry.path())) << name;
    }
    CheckOptions options;
    options.read_data.kind = ReadSubset::Kind::kAll;
    ASSERT_OK_AND_ASSIGN(const CheckResult result, Check(*repository_, options));
    EXPECT_THAT(result.damages, IsEmpty());
  }
};

TEST_F(SnapshotBaseTest, WhatDidNotChangeIsNotRead) {
  TakeBy(*repository_);
  const SnapshotResult again = TakeBy(*repository_);
  EXPECT_TRUE(again.unchanged);
  EXPECT_EQ(again.statistics.bytes_read, 0U);
  EXPECT_EQ(again.statistics.files_unchanged, uint64_t{kFiles});
  EXPECT_EQ(again.statistics.blobs_added, 0U);
}

// A page that is dirty already may be written through a mapping, and no time stamp moves.
TEST_F(SnapshotBaseTest, WhatIsWrittenThroughAMappingIsSeen) {
  constexpr size_t kBytes = 8192;
  for (const char* base : {"/tmp", "/dev/shm"}) {
    SCOPED_TRACE(base);
    if (::access(base, W_OK) != 0) continue;
    const TempTree tree(base);
    const std::string path = tree.Path("mapped");
    tree.Write("mapped", std::string(kBytes, '.'));
    char* const map = [&] {
      const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
      return static_cast<char*>(
          ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
    }();
    ASSERT_NE(map, MAP_FAILED);
    map[0] = 'a';
    Settle();
    TakeOf({tree.path()});
    map[1] = 'b';
    const SnapshotId second = TakeOf({tree.path()});
    std::filesystem::remove_all(Target());
    RestoreAll(Place(second, tree.path()));
    EXPECT_EQ(Read(Target("mapped")).substr(0, 3), "ab.");
    // Once nobody can write to it any more, it is as any other file.
    ::munmap(map, kBytes);
    Settle();
    TakeOf({tree.path()});
    SnapshotOptions options;
    options.labels.host = "host";
    ASSERT_OK_AND_ASSIGN(const SnapshotResult last,
                         TakeSnapshot(*repository_, {tree.path()}, options));
    ASSERT_OK_AND_ASSIGN(const FileSystemTraits traits, TraitsOf(tree.fd()));
    EXPECT_EQ(last.statistics.bytes_read, traits.leases_tell && traits.own_clock ? 0U : kBytes);
  }
}

// The server's clock may stand behind ours, so that what seems settled can still change.
TEST_F(SnapshotBaseTest, AFirstRunSettlesNothingWhereTheClockIsAServers) {
  SnapshotOptions options;
  options.labels.host = "host";
  options.threads = 1;
  options.traits = {.own_clock = false};
  ASSERT_OK(TakeSnapshot(*repository_, {Source()}, options));
  ASSERT_OK_AND_ASSIGN(const SnapshotResult second,
                       TakeSnapshot(*repository_, {Source()}, options));
  EXPECT_EQ(second.statistics.bytes_read, uint64_t{kFiles} * 5000);
  EXPECT_TRUE(second.unchanged);
}

TEST_F(SnapshotBaseTest, ACommitOfLittleIsOnePackOfChunksAndNodes) {
  TakeBy(*repository_);
  ASSERT_OK_AND_ASSIGN(const JournalState state, repository_->journal().ReadState());
  ASSERT_EQ(state.packs().size(), 1U);
  EXPECT_EQ(state.packs().begin()->second.info.content,
            kPackHasChunks | kPackHasNodes | kPackHasParity);
  EXPECT_EQ(state.head().number, 1U);
}

TEST_F(SnapshotBaseTest, NothingIsTakenFromASnapshotThatIsForgotten) {
  const SnapshotResult first = TakeBy(*repository_);
  ForgetAndPrune({*first.id});
  const SnapshotResult second = TakeBy(*repository_);
  EXPECT_FALSE(second.parent);
  EXPECT_EQ(second.statistics.bytes_read, uint64_t{kFiles} * 5000);
  ASSERT_TRUE(second.id);
  ExpectRestoresAsItIs(*second.id);
}

// Nodes stay where a pack stays, though what they name is gone.
TEST_F(SnapshotBaseTest, NodesThatOutliveTheirChildrenAreNotBelieved) {
  // So much that chunks and nodes get packs of their own.
  Write(Source("dir0/large"), Noise(2'000'000, 100));
  // Keeps the pack of nodes, and nothing else.
  std::filesystem::create_directories(Source("links"));
  std::filesystem::create_symlink("nowhere", Source("links/link"));
  Settle();
  const SnapshotResult first = TakeBy(*repository_);
  const SnapshotId kept = TakeOf({Source("links")});
  ASSERT_OK_AND_ASSIGN(const Root root, ReadRoot(*repository_, first.root));
  ASSERT_OK_AND_ASSIGN(const Entry directory, FindPath(*repository_, root, "dir0/sub"));
  ASSERT_OK_AND_ASSIGN(const Entry file, FindPath(*repository_, root, "dir0/sub/0"));
  ASSERT_EQ(file.content.items.size(), 1U);
  const BlobRef chunk{BlobKind::kChunk, file.content.items[0].id};
  const BlobRef nodes[] = {{BlobKind::kTree, directory.node}, {BlobKind::kRoot, first.root}};
  ForgetAndPrune({*first.id}, /*max_unused_share=*/1);
  ASSERT_OK(repository_->Refresh());
  for (const BlobRef& node : nodes) {
    ASSERT_OK_AND_ASSIGN(const auto places, repository_->Locate(node));
    ASSERT_EQ(places.size(), 1U);
    ASSERT_EQ(places[0].pack.state, PackState::kLive);
  }
  ASSERT_THAT(repository_->Locate(chunk), IsOkAndHolds(IsEmpty()));

  const SnapshotResult again = TakeBy(*repository_);
  EXPECT_EQ(again.root, first.root);
  EXPECT_EQ(again.statistics.bytes_read, uint64_t{kFiles} * 5000 + 2'000'000);
  ASSERT_TRUE(again.id);
  ExpectRestoresAsItIs(*again.id);
  EXPECT_THAT(repository_->FindSnapshot(kept), IsOk());
}

TEST_F(SnapshotBaseTest, ABaseThatIsForgottenAndPrunedMeanwhileCostsNoFile) {
  const SnapshotResult first = TakeBy(*repository_);
  Write(Source("new"), "new");
  Settle();
  // When the writer's pack gets its name, all of the tree was walked.
  bool pruned = false;
  repository_files_.SetHook([&](const DiskOperation& operation) {
    if (!pruned && operation.kind == DiskOperation::Kind::kRename &&
        operation.to.starts_with("packs/")) {
      pruned = true;
      ForgetAndPrune({*first.id});
    }
    return OkStatus();
  });
  const SnapshotResult second = TakeBy(*repository_);
  repository_files_.SetHook(nullptr);
  EXPECT_TRUE(pruned);
  ASSERT_TRUE(second.id);
  ExpectRestoresAsItIs(*second.id);
}

// Two runs begin from the same snapshot, and one sees a change that the other has passed.
TEST_F(SnapshotBaseTest, RowsOfTwoRunsAreNotMixed) {
  TempTree cache;
  RepositoryOptions options = TestRepositoryOptions();
  options.cache_directory = cache.Path("cache");
  ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(repository_files_, options));
  ASSERT_OK_AND_ASSIGN(const auto other, Repository::Open(repository_files_, options));
  const SnapshotResult base = TakeBy(*repository_);
  Write(Source("dir3/sub/new"), "makes a run write a pack");
  Settle();
  SnapshotResult between;
  bool done = false;
  repository_files_.SetHook([&](const DiskOperation& operation) {
    if (!done && operation.kind == DiskOperation::Kind::kRename &&
        operation.to.starts_with("packs/")) {
      done = true;
      Write(Source("dir0/sub/0"), Noise(5000, 1000));
      Settle();
      between = TakeBy(*other);
    }
    return OkStatus();
  });
  TakeBy(*repository_);
  repository_files_.SetHook(nullptr);
  ASSERT_TRUE(done);
  ASSERT_TRUE(between.id);
  ForgetAndPrune({*between.id});
  const SnapshotResult last = TakeBy(*repository_);
  ExpectRestoresAsItIs(*last.id);
  ForgetAndPrune({*base.id});
  ExpectRestoresAsItIs(*TakeBy(*repository_).id);
}

TEST_F(SnapshotBaseTest, TheRootDependsOnTheContentAlone) {
  for (int i = 0; i < 600; ++i) Write(Source("many/" + std::to_string(i)), std::to_string(i));
  std::filesystem::create_hard_link(Source("many/1"), Source("dir0/link"));
  const BlobId root = TakeBy(*repository_).root;
  for (const int threads : {1, 2, 8}) {
    MemoryFileSystem files;
    RepositoryConfig config;
    config.id = RandomId<RepositoryId>();
    config.compression_level = 1;
    ASSERT_OK(CreateTestRepository(files, config));
    ASSERT_OK_AND_ASSIGN(const auto repository, Repository::Open(files, TestRepositoryOptions()));
    EXPECT_EQ(TakeBy(*repository, "another host", threads).root, root) << threads;
  }
  // Wherever it lies, and whenever it was read.
  std::filesystem::rename(Source(), Path("elsewhere"));
  Read(Path("elsewhere/many/7"));
  EXPECT_EQ(RootOf(Path("elsewhere")), root);
}

TEST_F(SnapshotBaseTest, AllNamesOfAFileAreOneContentReadOnce) {
  Write(Source("a/name0"), Noise(300'000, 77));
  for (int i = 1; i < 100; ++i) {
    const std::string name =
        Source(std::string(1, static_cast<char>('a' + i % 20)) + "/name" + std::to_string(i));
    std::filesystem::create_directories(std::filesystem::path(name).parent_path());
    std::filesystem::create_hard_link(Source("a/name0"), name);
  }
  const SnapshotResult result = TakeBy(*repository_, "host", /*threads=*/8);
  EXPECT_EQ(result.statistics.bytes_read, uint64_t{kFiles} * 5000 + 300'000);
  ExpectRestoresAsItIs(*result.id);
  EXPECT_EQ(StatOf(Target("a/name0")).st_nlink, 100U);
}

// The second name's directory is listed when the file has long been read: it may have changed
// since, in the same tick of the clock.
TEST_F(SnapshotBaseTest, AFileReadTooYoungIsReadAgainUnderEachOfItsNames) {
  uint64_t read_again = 0;
  // On a busy machine it may be old enough when the first directory is listed.
  for (int i = 0; i < 50 && read_again == 0; ++i) {
    const std::string first = "a" + std::to_string(i);
    const std::string second = "z" + std::to_string(i);
    Write(Source(first + "/one"), Noise(5000, static_cast<uint64_t>(1000 + i)));
    std::filesystem::create_directories(Source(second));
    std::filesystem::create_hard_link(Source(first + "/one"), Source(second + "/two"));
    SnapshotOptions options;
    options.labels.host = "host";
    options.threads = 1;
    options.on_file = [&](const std::string& path, FileVerdict) {
      if (path == Source(first + "/one")) Settle();
    };
    ASSERT_OK(TakeSnapshot(*repository_, {Source()}, options));
    std::filesystem::rename(Source(first), Path(first));  // leaves the file's ctime alone
    read_again = TakeBy(*repository_).statistics.bytes_read;
  }
  EXPECT_EQ(read_again, 5000U);
  EXPECT_EQ(TakeBy(*repository_).statistics.bytes_read, 0U);
}

// One name is found where the base has it, the other in a directory that got a new name.
TEST_F(SnapshotBaseTest, NamesTakenOverAndNamesReadAreOneGroup) {
  Write(Source("a/one"), Noise(5000, 1));
  std::filesystem::create_directories(Source("y"));
  std::filesystem::create_hard_link(Source("a/one"), Source("y/two"));
  Settle();
  TakeBy(*repository_);
  std::filesystem::rename(Source("y"), Source("z"));
  const SnapshotResult moved = TakeBy(*repository_);
  EXPECT_EQ(moved.statistics.bytes_read, 5000U);
  EXPECT_EQ(moved.root, RootOf(Source()));
  ExpectRestoresAsItIs(*moved.id);
  EXPECT_EQ(StatOf(Target("a/one")).st_ino, StatOf(Target("z/two")).st_ino);
}

TEST_F(SnapshotBaseTest, ANameThatVanishesTakesNoOtherWithIt) {
  Write(Source("a/before"), Noise(600'000, 1));  // too large to wait for the next one
  Write(Source("a/one"), Noise(6000, 2));
  std::filesystem::create_directories(Source("z"));
  std::filesystem::create_hard_link(Source("a/one"), Source("z/two"));
  SnapshotOptions options;
  options.threads = 1;
  options.on_file = [&](const std::string& path, FileVerdict) {
    if (path == Source("a/before")) std::filesystem::remove(Source("a/one"));
  };
  ASSERT_OK_AND_ASSIGN(const SnapshotResult result,
                       TakeSnapshot(*repository_, {Source()}, options));
  EXPECT_EQ(result.problems, 1U);
  ExpectRestoresAsItIs(*result.id);
}

// The groups say that paths are one inode with one content; a file that goes, or changes between
// two of its names, makes them say nothing wrong.
TEST_F(SnapshotBaseTest, LinkGroupsHoldOnlyWhatTheTreeHas) {
  Write(Source("a/one"), Noise(5000, 1));
  std::filesystem::create_directories(Source("z"));
  std::filesystem::create_hard_link(Source("a/one"), Source("z/one"));
  std::filesystem::create_hard_link(Source("a/one"), Source("z/two"));
  Settle();
  TakeBy(*repository_);
  // The first name is taken over, and by then the second is another content.
  SnapshotOptions options;
  options.labels.host = "host";
  options.threads = 1;
  options.on_file = [&](const std::string& path, FileVerdict) {
    if (path == Source("a/one")) Write(Source("z/one"), Noise(6000, 2));
  };
  ASSERT_OK(TakeSnapshot(*repository_, {Source()}, options));
  options.rescan = true;
  options.on_file = [&](const std::string& path, FileVerdict) {
    if (path.ends_with("/one")) std::filesystem::remove(Source("z/two"));
  };
  ASSERT_OK(TakeSnapshot(*repository_, {Source()}, options));
  ASSERT_OK_AND_ASSIGN(const CheckResult result, Check(*repository_, {}));
  EXPECT_THAT(result.damages, IsEmpty());
}

// A directory of several leaves, in which only names matter; all of them in one pack, but for the
// leaf of the first name, which is in a second one, as is whatever is above it.
class LargeDirectoryTest : public SnapshotBaseTest {
 protected:
  static constexpr int kNames = 600;

  void SetUp() override {
    RestoreTest::SetUp();
    Write(Source("a/1"), "one");
    Write(Source("a/2"), "two");
    for (int i = 0; i < kNames; ++i) Write(Name(i), "");
    Settle();
    Reopen();
    leaves_ = PackOf(Take());
    ::chmod(Name(0).c_str(), 0600);
    Settle();
    Take();
  }
  std::string Name(int number) const { return Source("n" + std::to_string(10'000 + number)); }
  // Nodes that stand for themselves, and nothing that mends them. As TakeOf, with the change cache.
  SnapshotResult Take() {
    SnapshotOptions options;
    options.labels.host = "host";
    options.parity = false;
    options.deltas = false;
    StatusOr<SnapshotResult> result = TakeSnapshot(*repository_, {Source()}, options);
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : SnapshotResult{};
  }
  void Reopen() {
    RepositoryOptions options = TestRepositoryOptions();
    options.cache_directory = cache_.Path("cache");
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(repository_files_, options));
  }
  JournalState State() {
    StatusOr<JournalState> state = repository_->journal().ReadState();
    EXPECT_OK(state);
    return state.ok() ? *std::move(state) : JournalState();
  }
  PackInfo PackOf(const SnapshotResult& result) {
    const JournalState state = State();
    EXPECT_TRUE(result.id);
    EXPECT_EQ(state.packs().size(), 1U);
    return state.packs().begin()->second.info;
  }
  void RuinLeaves() {
    ASSERT_OK_AND_ASSIGN(const PackFooter footer,
                         ReadPackFooter(repository_->store(), repository_->keys(), leaves_));
    ASSERT_OK(repository_files_.Damage(PackObjectName(leaves_.name), [&](Bytes& bytes) {
      for (const FrameInfo& frame : footer.frames) {
        std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(frame.offset), frame.stored_bytes,
                    uint8_t{0x55});
      }
    }));
    Reopen();
  }

  TempTree cache_;
  PackInfo leaves_;
};

TEST_F(LargeDirectoryTest, LeavesThatAreAsTheyWereAreNotRead) {
  RuinLeaves();
  const SnapshotResult again = Take();
  EXPECT_TRUE(again.unchanged);
  EXPECT_EQ(again.statistics.files_unchanged, uint64_t{kNames + 2});
}

// The only leaf of a directory is read once something in it has changed.
TEST_F(LargeDirectoryTest, ALeafThatHasChangedAndCannotBeReadIsNoBase) {
  RuinLeaves();
  Write(Source("a/2"), "three");
  Settle();
  const SnapshotResult result = TakeBy(*repository_);
  ASSERT_TRUE(result.id);
  EXPECT_EQ(result.root, RootOf(Source()));
}

TEST_F(LargeDirectoryTest, LeavesThatTheRepositoryHasLostAreStoredAgain) {
  RecordEntries condemn;
  condemn.condemn = {leaves_.name};
  RecordEntries purge;
  purge.purge = {leaves_.name};
  for (const RecordEntries& entries : {condemn, purge}) {
    JournalState state = State();
    ASSERT_OK(
        CommitWithState(repository_->journal(), state,
                        [&](const JournalState&) -> StatusOr<RecordEntries> { return entries; }));
  }
  ::chmod(Name(kNames - 1).c_str(), 0600);
  Settle();
  const SnapshotResult again = Take();
  RestoreAll(Place(*again.id));
  for (int i = 0; i < kNames; ++i) {
    ASSERT_TRUE(Exists(Target(Name(i).substr(Source().size() + 1)))) << i;
  }
}

// Without the name that ends a leaf, its other names and the next leaf's are put together, though
// the next one was not read as it was the same.
TEST_F(LargeDirectoryTest, BordersMoveBesideLeavesThatCannotBeRead) {
  RuinLeaves();
  for (int i = 0; i < kNames; i += 6) {
    SCOPED_TRACE(i);
    std::filesystem::remove(Name(i));
    const SnapshotResult result = Take();
    ASSERT_TRUE(result.id);
    ASSERT_EQ(result.root, RootOf(Source()));
  }
}

// Where the directory ended, the last leaf ended; with names after it, it may go on.
TEST_F(LargeDirectoryTest, GrowsAtTheEndBesideLeavesThatCannotBeRead) {
  RuinLeaves();
  for (int i = 0; i < 5; ++i) {
    Write(Name(kNames + i), "");
    Settle();
    const SnapshotResult result = Take();
    ASSERT_TRUE(result.id);
    ASSERT_EQ(result.root, RootOf(Source()));
  }
}

// As many names, but not the same.
TEST_F(SnapshotBaseTest, ANameInPlaceOfAnotherIsSeen) {
  TakeBy(*repository_);
  std::filesystem::rename(Source("dir1/sub/1"), Source("dir1/sub/zzz"));
  std::filesystem::rename(Source("dir2/sub/2"), Source("dir2/sub/000"));
  const SnapshotResult renamed = TakeBy(*repository_);
  EXPECT_FALSE(renamed.unchanged);
  EXPECT_EQ(renamed.root, RootOf(Source()));
  ExpectRestoresAsItIs(*renamed.id);
}

}  // namespace
}  // namespace cairn::testing
