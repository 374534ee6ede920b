// SPDX-License-Identifier: Apache-2.0
// Trees that somebody made to do harm, or that a fault left so: whoever reads them refuses, says
// why, and stays within bounds.
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/repo/browse.h"
#include "core/repo/restore.h"
#include "core/repo/stats.h"
#include "core/tree/walk.h"
#include "tests/fs/temp_tree.h"
#include "tests/repo/hostile_repository.h"

namespace cairn::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class HostileTreeTest : public ::testing::Test {
 protected:
  // Everything in the snapshot, as `ls -R` lists it. The paths go to listed_.
  Status List(const SnapshotId& id) {
    listed_.clear();
    const SnapshotView view = Must(test_.repository().FindSnapshot(id));
    return ListPath(test_.repository(), view, "/data", /*recursive=*/true, nullptr,
                    [&](const LocatedEntry& located) -> StatusOr<bool> {
                      listed_.push_back(located.path);
                      return listed_.size() < 100'000;
                    });
  }
  // Below "out"; what stands beside it must stay alone.
  StatusOr<RestoreResult> RestoreIt(const SnapshotId& id) {
    problems_.clear();
    RestoreOptions options;
    options.threads = 1;
    options.on_problem = [this](const std::string& path, const std::string& problem) {
      MutexLock lock(mutex_);
      problems_.push_back(path + ": " + problem);
    };
    const RestorePlace place{
        .snapshot = id, .path = "/data", .target = tree_.Path("out"), .in_place = false};
    return Restore(test_.repository(), place, options);
  }
  std::vector<std::string> NamesBeside() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(tree_.path())) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  // The check finds it; listing and restoring are refused, or leave it out with a problem.
  void ExpectRefused(const SnapshotId& id) {
    EXPECT_FALSE(test_.Checked().clean());
    EXPECT_THAT(test_.Checked().affected_snapshots, Contains(id));
    EXPECT_THAT(List(id), StatusIs(StatusCode::kDataLoss));
    const StatusOr<RestoreResult> restored = RestoreIt(id);
    if (restored.ok()) {
      EXPECT_GT(restored->errors, 0U);
      EXPECT_THAT(problems_, Not(IsEmpty()));
    } else {
      EXPECT_THAT(restored, StatusIs(StatusCode::kDataLoss));
    }
    for (const std::string& name : NamesBeside()) EXPECT_EQ(name, "out");
  }

  HostileRepository test_;
  TempTree tree_;
  Mutex mutex_;
  std::vector<std::string> listed_;
  std::vector<std::string> problems_;
};

TEST_F(HostileTreeTest, RefusesNamesThatLeadElsewhere) {
  const std::vector<std::string> names = {
      "..", ".", "", "a/b", "../escaped", "/etc", std::string("a\0b", 3), std::string(4096, 'x')};
  for (const std::string& name : names) {
    SCOPED_TRACE(name.substr(0, 20));
    const TestBlob chunk = test_.StoredChunk(1);
    const SnapshotId id = test_.Snapshot(test_.TreeBlob({0, {test_.File(name, chunk)}, {}}).ref.id);
    ExpectRefused(id);
    EXPECT_THAT(listed_, IsEmpty());
  }
}

TEST_F(HostileTreeTest, RefusesADirectoryUnderANameThatLeadsElsewhere) {
  const TestBlob inside = test_.TreeBlob({0, {test_.File("f", test_.StoredChunk(1))}, {}});
  ExpectRefused(
      test_.Snapshot(test_.TreeBlob({0, {test_.Directory("..", inside.ref.id)}, {}}).ref.id));
}

TEST_F(HostileTreeTest, RefusesNamesThatComeTwice) {
  const TestBlob chunk = test_.StoredChunk(1);
  ExpectRefused(test_.Snapshot(
      test_.TreeBlob({0, {test_.File("f", chunk), test_.File("f", chunk)}, {}}).ref.id));
}

TEST_F(HostileTreeTest, RefusesATreeWhoseChildIsAChunk) {
  // The very bytes of a tree node, stored as the content of a file.
  const TestBlob node = test_.TreeBlob({0, {test_.EmptyFile("f")}, {}});
  const BlobId chunk = Must(test_.blobs().WriteBlob(BlobKind::kChunk, node.bytes));
  ExpectRefused(test_.Snapshot(test_.TreeBlob({0, {test_.Directory("d", chunk)}, {}}).ref.id));
}

TEST_F(HostileTreeTest, RefusesAFileWhoseChunkIsATree) {
  TestBlob node = test_.TreeBlob({0, {test_.EmptyFile("f")}, {}});
  const SnapshotId id = test_.Snapshot(test_.TreeBlob({0, {test_.File("file", node)}, {}}).ref.id);
  EXPECT_FALSE(test_.Checked().clean());
  EXPECT_OK(List(id));  // it names no content
  ASSERT_OK_AND_ASSIGN(const RestoreResult restored, RestoreIt(id));
  EXPECT_EQ(restored.errors, 1U);
  EXPECT_FALSE(std::filesystem::exists(tree_.Path("out/file")));
}

TEST_F(HostileTreeTest, RefusesAFileWhoseSizeContradictsItsItems) {
  const TestBlob chunk = test_.StoredChunk(1);
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, kMaxFileBytes}) {
    Entry file = test_.File("f", chunk);
    file.size = size;
    ExpectRefused(test_.Snapshot(test_.TreeBlob({0, {file}, {}}).ref.id));
  }
}

TEST_F(HostileTreeTest, RefusesAChunkThatIsSmallerThanItsItemSays) {
  TestBlob chunk = test_.StoredChunk(1);
  Entry file = test_.File("f", chunk);
  file.size = file.content.items[0].bytes = kMaxBlobBytes;
  const SnapshotId id = test_.Snapshot(test_.TreeBlob({0, {file}, {}}).ref.id);
  EXPECT_THAT(test_.Findings(), HasSubstr("and a tree says"));
  ASSERT_OK_AND_ASSIGN(const RestoreResult restored, RestoreIt(id));
  EXPECT_EQ(restored.errors, 1U);
  EXPECT_FALSE(std::filesystem::exists(tree_.Path("out/f")));
}

TEST_F(HostileTreeTest, RefusesAListWhoseSizeContradictsItsFile) {
  const TestBlob chunk = test_.StoredChunk(1);
  ListNode node{0, {}, {}};
  for (int i = 0; i < 17; ++i) node.items.push_back({chunk.bytes.size(), false, chunk.ref.id});
  for (const uint64_t size : {uint64_t{1000}, uint64_t{1} << 40, kMaxFileBytes}) {
    const SnapshotId id = test_.Snapshot(
        test_.TreeBlob({0, {test_.ListFile("f", size, test_.ListBlob(node).ref.id)}, {}}).ref.id);
    EXPECT_THAT(test_.Findings(), HasSubstr("and the file has"));
    ASSERT_OK_AND_ASSIGN(const RestoreResult restored, RestoreIt(id));
    EXPECT_EQ(restored.errors, 1U) << size;
    EXPECT_FALSE(std::filesystem::exists(tree_.Path("out/f"))) << size;
  }
}

TEST_F(HostileTreeTest, RefusesAnInnerNodeThatClaimsMoreThanThereIs) {
  const std::vector<Entry> entries = {test_.EmptyFile("a"), test_.EmptyFile("b")};
  NamedChild first = test_.Part({entries[0]});
  NamedChild second = test_.Part({entries[1]});
  first.count = kMaxFileBytes / 2;
  second.count = kMaxFileBytes / 2;
  ExpectRefused(test_.Snapshot(test_.TreeBlob({1, {}, {first, second}}).ref.id));
}

TEST_F(HostileTreeTest, RefusesAChainOfNodesThatDoesNotDescend) {
  // Each says to be of level 31, down a chain as long as one likes.
  NamedChild below = test_.Part({test_.EmptyFile("a")});
  const NamedChild last = test_.Part({test_.EmptyFile("b")});
  for (int i = 0; i < 3000; ++i) {
    below = {"a", 1, test_.TreeBlob({31, {}, {below}}).ref.id};
  }
  ExpectRefused(test_.Snapshot(test_.TreeBlob({31, {}, {below, last}}).ref.id));
}

TEST_F(HostileTreeTest, RefusesDirectoriesThatAreNestedTooDeeply) {
  BlobId node = test_.Built({HostileRepository::EmptyFile("end")});
  for (int i = 0; i < kMaxDepth + 10; ++i) {
    node = test_.Built({HostileRepository::Directory("d", node)});
  }
  ExpectRefused(test_.Snapshot(node));
}

TEST_F(HostileTreeTest, AFewNodesThatStandForMoreFilesThanThereCanBeEndNobody) {
  // 30 levels of ten names for one directory each: 10^30 files.
  BlobId node = test_.Built({test_.File("file", test_.StoredChunk(1))});
  for (int level = 0; level < 30; ++level) {
    std::vector<Entry> entries;
    for (char c = 'a'; c < 'a' + 10; ++c) {
      entries.push_back(HostileRepository::Directory(std::string(1, c), node));
    }
    node = test_.Built(entries);
  }
  const SnapshotId id = test_.Snapshot(node);
  const CheckResult result = test_.Checked();
  EXPECT_THAT(result.damages, IsEmpty());
  EXPECT_EQ(result.nodes, 32U);
  ASSERT_OK(StatsOfSnapshot(test_.repository(), id, nullptr));
  // Listing goes on as long as somebody reads, and ends when they stop.
  EXPECT_OK(List(id));
  EXPECT_EQ(listed_.size(), 100'000U);
  // A restore can be stopped.
  StopFlag stop;
  stop.Request();
  RestoreOptions options;
  options.stop = &stop;
  const RestorePlace place{
      .snapshot = id, .path = "/data", .target = tree_.Path("out"), .in_place = false};
  EXPECT_THAT(Restore(test_.repository(), place, options), StatusIs(StatusCode::kCancelled));
}

TEST_F(HostileTreeTest, DamageInSuchATreeIsCountedWithoutAWalkOfIt) {
  TestBlob missing = test_.Chunk(7);
  BlobId node = test_.Built({test_.File("file", missing)});
  for (int level = 0; level < 30; ++level) {
    std::vector<Entry> entries;
    for (char c = 'a'; c < 'a' + 10; ++c) {
      entries.push_back(HostileRepository::Directory(std::string(1, c), node));
    }
    node = test_.Built(entries);
  }
  test_.Snapshot(node);
  const CheckResult result = test_.Checked();
  EXPECT_EQ(result.damages.size(), 1U);
  EXPECT_EQ(result.affected.size(), kMaxAffectedPaths);
  EXPECT_GT(result.affected_count, uint64_t{1} << 60);
}

TEST_F(HostileTreeTest, RefusesARootThatIsNone) {
  for (const Bytes& bytes : {Bytes{9}, Bytes(100, 0xff), Bytes(1, 0)}) {
    const TestBlob root = test_.Blob(BlobKind::kRoot, bytes);
    Must(test_.blobs().WriteBlob(BlobKind::kRoot, root.bytes));
    const SnapshotId id = test_.SnapshotOfRoot(root);
    ExpectRefused(id);
  }
}

}  // namespace
}  // namespace cairn::testing
