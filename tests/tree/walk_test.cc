// SPDX-License-Identifier: Apache-2.0
#include "core/tree/walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/tree/tree_samples.h"

namespace cairn {
namespace {

using testing::BuildDirectory;
using testing::BuildTree;
using testing::DirectoryEntry;
using ::testing::ElementsAre;
using testing::FileEntry;
using testing::FilledId;
using ::testing::HasSubstr;
using testing::MemoryBlobs;
using testing::NumberedEntries;
using testing::StatusIs;

using Steps = std::vector<std::string>;

// "+PATH" entered, "-PATH" left, "!PATH" unreadable.
WalkCallbacks WalkRecorder(Steps& steps) {
  WalkCallbacks callbacks;
  callbacks.enter = [&steps](const std::string& path, const Entry& entry) -> StatusOr<WalkStep> {
    EXPECT_EQ(entry.name, path.substr(path.rfind('/') + 1));
    steps.push_back("+" + path);
    return WalkStep::kContinue;
  };
  callbacks.leave = [&steps](const std::string& path, const Entry& entry) {
    EXPECT_TRUE(IsAnyDirectory(entry.type));
    steps.push_back("-" + path);
    return OkStatus();
  };
  return callbacks;
}

TEST(WalkTreeTest, VisitsDirectoriesBeforeAndAfterTheirChildren) {
  MemoryBlobs blobs;
  const Entry top = BuildTree(blobs, {{"a/b", 1}, {"a/c/d", 2}, {"a!", 3}, {"e/", 0}});
  Steps steps;
  EXPECT_OK(WalkTree(blobs, top, WalkRecorder(steps)));
  EXPECT_THAT(steps, ElementsAre("+", "+a", "+a/b", "+a/c", "+a/c/d", "-a/c", "-a", "+a!", "+e",
                                 "-e", "-"));
}

TEST(WalkTreeTest, IsInTheOrderOfComparePaths) {
  MemoryBlobs blobs;
  const Entry top =
      BuildTree(blobs, {{"a/b", 1}, {"a/b!/x", 1}, {"a!/x", 2}, {"ab", 3}, {"a-", 4}});
  Steps paths;
  WalkCallbacks callbacks;
  callbacks.enter = [&](const std::string& path, const Entry&) -> StatusOr<WalkStep> {
    if (!paths.empty()) {
      EXPECT_LT(ComparePaths(paths.back(), path), 0) << path;
    }
    paths.push_back(path);
    return WalkStep::kContinue;
  };
  EXPECT_OK(WalkTree(blobs, top, callbacks));
  EXPECT_EQ(paths.size(), 9u);
}

TEST(WalkTreeTest, OfAFileIsOneStep) {
  MemoryBlobs blobs;
  Steps steps;
  EXPECT_OK(WalkTree(blobs, FileEntry(""), WalkRecorder(steps)));
  EXPECT_THAT(steps, ElementsAre("+"));
}

TEST(WalkTreeTest, LeavesADirectoryWhoseChildrenItSkips) {
  MemoryBlobs blobs;
  const Entry top = BuildTree(blobs, {{"a/b", 1}, {"c/d", 2}});
  Steps steps;
  WalkCallbacks callbacks = WalkRecorder(steps);
  callbacks.enter = [&](const std::string& path, const Entry&) -> StatusOr<WalkStep> {
    steps.push_back("+" + path);
    return path == "a" ? WalkStep::kSkipChildren : WalkStep::kContinue;
  };
  EXPECT_OK(WalkTree(blobs, top, callbacks));
  EXPECT_THAT(steps, ElementsAre("+", "+a", "-a", "+c", "+c/d", "-c", "-"));
}

TEST(WalkTreeTest, StopsAtOnce) {
  MemoryBlobs blobs;
  const Entry top = BuildTree(blobs, {{"a/b", 1}, {"c", 2}});
  Steps steps;
  WalkCallbacks callbacks = WalkRecorder(steps);
  callbacks.enter = [&](const std::string& path, const Entry&) -> StatusOr<WalkStep> {
    steps.push_back("+" + path);
    return path == "a/b" ? WalkStep::kStop : WalkStep::kContinue;
  };
  EXPECT_OK(WalkTree(blobs, top, callbacks));
  EXPECT_THAT(steps, ElementsAre("+", "+a", "+a/b"));
}

TEST(WalkTreeTest, EndsWithAnErrorOfACallback) {
  MemoryBlobs blobs;
  const Entry top = BuildTree(blobs, {{"a/b", 1}});
  Steps steps;
  WalkCallbacks callbacks = WalkRecorder(steps);
  callbacks.leave = [](const std::string&, const Entry&) { return Cancelled("in leave"); };
  EXPECT_THAT(WalkTree(blobs, top, callbacks), StatusIs(StatusCode::kCancelled));
  callbacks.enter = [](const std::string&, const Entry&) -> StatusOr<WalkStep> {
    return Cancelled("in enter");
  };
  EXPECT_THAT(WalkTree(blobs, top, callbacks), StatusIs(StatusCode::kCancelled));
}

TEST(WalkTreeTest, WithoutUnreadableEndsWithTheError) {
  MemoryBlobs blobs;
  const Entry missing = DirectoryEntry("gone", FilledId(1));
  const Entry top = DirectoryEntry("", BuildDirectory(blobs, {missing}));
  Steps steps;
  EXPECT_THAT(WalkTree(blobs, top, WalkRecorder(steps)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("directory 'gone': ")));
}

TEST(WalkTreeTest, GoesOnAfterWhatIsUnreadable) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  const BlobId large = BuildDirectory(blobs, NumberedEntries(1000), &leaves);
  blobs.Remove({BlobKind::kTree, leaves[2].id});
  blobs.Remove({BlobKind::kTree, leaves[4].id});
  const Entry top =
      DirectoryEntry("", BuildDirectory(blobs, {DirectoryEntry("gone", FilledId(1)),
                                                DirectoryEntry("large", large), FileEntry("z")}));
  Steps steps;
  WalkCallbacks callbacks = WalkRecorder(steps);
  callbacks.unreadable = [&](const std::string& path, const Entry& directory, Status error) {
    EXPECT_EQ(directory.name, path);
    EXPECT_THAT(error, StatusIs(StatusCode::kDataLoss));
    steps.push_back("!" + path);
    return OkStatus();
  };
  EXPECT_OK(WalkTree(blobs, top, callbacks));
  EXPECT_EQ(std::count(steps.begin(), steps.end(), "!large"), 2);
  EXPECT_EQ(steps.size(), 10u + 1000 - leaves[2].count - leaves[4].count);
  steps.erase(std::remove_if(steps.begin(), steps.end(),
                             [](const std::string& step) { return step.find('/') != step.npos; }),
              steps.end());
  EXPECT_THAT(steps, ElementsAre("+", "+gone", "!gone", "-gone", "+large", "!large", "!large",
                                 "-large", "+z", "-"));
}

TEST(WalkTreeTest, EndsWithTheErrorOfUnreadable) {
  MemoryBlobs blobs;
  Steps steps;
  WalkCallbacks callbacks = WalkRecorder(steps);
  callbacks.unreadable = [](const std::string&, const Entry&, Status) {
    return Unavailable("no more");
  };
  EXPECT_THAT(WalkTree(blobs, DirectoryEntry("", FilledId(1)), callbacks),
              StatusIs(StatusCode::kUnavailable));
}

// Directories below one top, each with a file behind the next directory.
Entry DeepTree(MemoryBlobs& blobs, int depth) {
  Entry at = DirectoryEntry("d", BuildDirectory(blobs, {}));
  for (int i = 1; i < depth; ++i) {
    at = DirectoryEntry("d", BuildDirectory(blobs, {at, FileEntry("e")}));
  }
  return DirectoryEntry("", BuildDirectory(blobs, {at}));
}

TEST(WalkTreeTest, ReadsOuterDirectoriesAgainOnTheWayBack) {
  MemoryBlobs blobs;
  const Entry top = DeepTree(blobs, 500);
  Steps steps;
  blobs.ResetCounts();
  EXPECT_OK(WalkTree(blobs, top, WalkRecorder(steps)));
  EXPECT_EQ(steps.size(), 2u + 2 * 500 + 499);
  EXPECT_EQ(std::count_if(steps.begin(), steps.end(),
                          [](const std::string& step) { return step.ends_with("/e"); }),
            499);
  EXPECT_LE(blobs.reads(), 2u * 501);
}

TEST(WalkTreeTest, RefusesTreesThatAreTooDeep) {
  MemoryBlobs blobs;
  Steps steps;
  EXPECT_OK(WalkTree(blobs, DeepTree(blobs, kMaxDepth), WalkRecorder(steps)));
  EXPECT_THAT(WalkTree(blobs, DeepTree(blobs, kMaxDepth + 1), WalkRecorder(steps)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("too deeply")));
}

// A directory that contains itself, as no honest store can have it.
TEST(WalkTreeTest, EndsInACycle) {
  MemoryBlobs blobs;
  TreeNode node;
  node.entries = {DirectoryEntry("d", FilledId(1))};
  blobs.Replace({BlobKind::kTree, FilledId(1)}, EncodeTreeNode(node));
  Steps steps;
  EXPECT_THAT(WalkTree(blobs, DirectoryEntry("", FilledId(1)), WalkRecorder(steps)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("too deeply")));
}

}  // namespace
}  // namespace cairn
