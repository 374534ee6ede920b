// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "core/tree/walk.h"
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
using ::testing::IsEmpty;
using testing::MemoryBlobs;
using testing::NumberedEntries;
using testing::StatusIs;

using Steps = std::vector<std::string>;

// "+PATH" added, "-PATH" removed, "cPATH", "aPATH" or "caPATH" modified.
std::function<StatusOr<bool>(const std::string&, const DiffItem&)> DiffRecorder(Steps& steps) {
  return [&steps](const std::string& path, const DiffItem& item) -> StatusOr<bool> {
    EXPECT_EQ(item.before == nullptr, item.change == Change::kAdded);
    EXPECT_EQ(item.after == nullptr, item.change == Change::kRemoved);
    const std::string mark =
        item.change == Change::kAdded ? "+"
        : item.change == Change::kRemoved
            ? "-"
            : std::string(item.content ? "c" : "") + (item.attributes ? "a" : "");
    steps.push_back(mark + path);
    return true;
  };
}

Steps Diff(MemoryBlobs& blobs, const Entry& before, const Entry& after) {
  Steps steps;
  EXPECT_OK(DiffTrees(blobs, before, blobs, after, DiffRecorder(steps)));
  return steps;
}

TEST(DiffTreesTest, OfEqualTreesReadsNothing) {
  MemoryBlobs blobs;
  const Entry tree = BuildTree(blobs, {{"a/b", 1}, {"c", 2}});
  blobs.ResetCounts();
  EXPECT_THAT(Diff(blobs, tree, tree), IsEmpty());
  EXPECT_EQ(blobs.reads(), 0u);
}

TEST(DiffTreesTest, TellsWhatWasAddedRemovedAndModified) {
  MemoryBlobs blobs;
  const Entry before =
      BuildTree(blobs, {{"a", 1}, {"b/x", 1}, {"b/y/z", 2}, {"c", 3}, {"d/e", 4}, {"same/x", 5}});
  const Entry after = BuildTree(
      blobs, {{"a", 2}, {"c", 3}, {"d/e", 4}, {"d/f/g", 5}, {"d/f/h", 6}, {"same/x", 5}, {"z", 1}});
  EXPECT_THAT(Diff(blobs, before, after),
              ElementsAre("ca", "-b", "-b/x", "-b/y", "-b/y/z", "+d/f", "+d/f/g", "+d/f/h", "+z"));
}

TEST(DiffTreesTest, TellsContentFromAttributes) {
  MemoryBlobs blobs;
  const Entry file = FileEntry("f", 5);
  const auto diff = [&](const Entry& before, const Entry& after) {
    return Diff(blobs, DirectoryEntry("", BuildDirectory(blobs, {before})),
                DirectoryEntry("", BuildDirectory(blobs, {after})));
  };
  using Edit = std::function<void(Entry&)>;
  for (const Edit& edit : std::vector<Edit>{[](Entry& e) { e.content.items[0].id = FilledId(1); },
                                            [](Entry& e) { e.size = e.content.items[0].bytes = 6; },
                                            [](Entry& e) { e.sparse = true; },
                                            [](Entry& e) {
                                              e.unread = true;
                                              e.size = 0;
                                              e.content = {};
                                            }}) {
    Entry edited = file;
    edit(edited);
    EXPECT_THAT(diff(file, edited), ElementsAre("cf"));
  }
  for (const Edit& edit :
       std::vector<Edit>{[](Entry& e) { e.mode = 0600; }, [](Entry& e) { e.uid = 1; },
                         [](Entry& e) { e.gid = 1; }, [](Entry& e) { e.mtime.nanoseconds = 6; },
                         [](Entry& e) {
                           e.xattrs = {{"user.x", Bytes{1}}};
                         }}) {
    Entry edited = file;
    edit(edited);
    EXPECT_THAT(diff(file, edited), ElementsAre("af"));
    edited.sparse = true;
    EXPECT_THAT(diff(file, edited), ElementsAre("caf"));
  }
  Entry device = file;
  device.size = 0;
  device.content = {};
  device.type = EntryType::kBlockDevice;
  Entry other = device;
  other.device.minor = 1;
  EXPECT_THAT(diff(device, other), ElementsAre("cf"));
  EXPECT_THAT(diff(testing::SymlinkEntry("f", "a"), testing::SymlinkEntry("f", "b")),
              ElementsAre("cf"));
}

TEST(DiffTreesTest, ADirectoryIsNotModifiedByItsChildren) {
  MemoryBlobs blobs;
  const Entry before = BuildTree(blobs, {{"d/a", 1}});
  Entry after = BuildTree(blobs, {{"d/b", 1}});
  EXPECT_THAT(Diff(blobs, before, after), ElementsAre("-d/a", "+d/b"));
  after.mode = 0700;
  EXPECT_THAT(Diff(blobs, before, after), ElementsAre("a", "-d/a", "+d/b"));
}

TEST(DiffTreesTest, AChangeOfTypeIsFollowedByWhatCameOrWent) {
  MemoryBlobs blobs;
  const Entry file = BuildTree(blobs, {{"x", 1}});
  const Entry directory = BuildTree(blobs, {{"x/a", 1}, {"x/b/c", 2}});
  EXPECT_THAT(Diff(blobs, file, directory), ElementsAre("cax", "+x/a", "+x/b", "+x/b/c"));
  EXPECT_THAT(Diff(blobs, directory, file), ElementsAre("cax", "-x/a", "-x/b", "-x/b/c"));
  EXPECT_THAT(Diff(blobs, FileEntry(""), BuildTree(blobs, {{"a", 1}})), ElementsAre("ca", "+a"));
}

TEST(DiffTreesTest, ComparesAPartialDirectoryWithAWholeOne) {
  MemoryBlobs blobs;
  const Entry whole = BuildTree(blobs, {{"d/a", 1}, {"d/b", 2}});
  Entry partial;
  partial.name = "d";
  partial.type = EntryType::kPartialDirectory;
  partial.node = BuildDirectory(blobs, {FileEntry("a", 1)});
  const Entry top = DirectoryEntry("", BuildDirectory(blobs, {partial}));
  EXPECT_THAT(Diff(blobs, whole, top), ElementsAre("cad", "-d/b"));
}

TEST(DiffTreesTest, StopsWhenToldTo) {
  MemoryBlobs blobs;
  const Entry before = BuildTree(blobs, {{"a", 1}, {"b", 1}});
  const Entry after = BuildTree(blobs, {{"a", 2}, {"b", 2}});
  int calls = 0;
  EXPECT_OK(DiffTrees(blobs, before, blobs, after,
                      [&](const std::string&, const DiffItem&) -> StatusOr<bool> {
                        ++calls;
                        return false;
                      }));
  EXPECT_EQ(calls, 1);
}

TEST(DiffTreesTest, NamesTheDirectoryThatCannotBeRead) {
  MemoryBlobs blobs;
  const Entry before =
      DirectoryEntry("", BuildDirectory(blobs, {DirectoryEntry("d", FilledId(1))}));
  const Entry after = BuildTree(blobs, {{"d/x", 1}});
  Steps steps;
  EXPECT_THAT(DiffTrees(blobs, before, blobs, after, DiffRecorder(steps)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("directory 'd': ")));
}

// The differences as a walk over two maps finds them.
Steps Expected(const std::vector<Entry>& before, const std::vector<Entry>& after) {
  std::map<std::string, std::pair<const Entry*, const Entry*>> names;
  for (const Entry& entry : before) names[entry.name].first = &entry;
  for (const Entry& entry : after) names[entry.name].second = &entry;
  Steps steps;
  for (const auto& [name, pair] : names) {
    if (pair.first == nullptr) {
      steps.push_back("+" + name);
    } else if (pair.second == nullptr) {
      steps.push_back("-" + name);
    } else if (!(*pair.first == *pair.second)) {
      steps.push_back("a" + name);
    }
  }
  return steps;
}

TEST(DiffTreesTest, OfLargeDirectoriesFindsAllAndReadsLittle) {
  std::mt19937_64 random(1);
  const std::vector<Entry> entries = NumberedEntries(30'000);
  for (int round = 0; round < 20; ++round) {
    MemoryBlobs blobs;
    std::vector<Entry> edited = entries;
    for (int edits = 0; edits <= round % 4; ++edits) {
      const auto at = static_cast<ptrdiff_t>(random() % edited.size());
      switch (random() % 3) {
        case 0:
          edited[at].mode = 0;
          break;
        case 1:
          edited.erase(edited.begin() + at);
          break;
        default:
          edited.insert(edited.begin() + at, FileEntry(edited[at - 1].name + "+"));
      }
    }
    const Entry before = DirectoryEntry("", BuildDirectory(blobs, entries));
    const size_t nodes = blobs.new_blobs();
    const Entry after = DirectoryEntry("", BuildDirectory(blobs, edited));
    blobs.ResetCounts();
    EXPECT_EQ(Diff(blobs, before, after), Expected(entries, edited));
    EXPECT_LT(blobs.reads(), nodes / 4);
  }
}

TEST(DiffTreesTest, OfDirectoriesOfDifferentHeights) {
  MemoryBlobs blobs;
  const std::vector<Entry> few = NumberedEntries(10);
  const std::vector<Entry> many = NumberedEntries(5000);
  const Entry before = DirectoryEntry("", BuildDirectory(blobs, few));
  const Entry after = DirectoryEntry("", BuildDirectory(blobs, many));
  EXPECT_EQ(Diff(blobs, before, after), Expected(few, many));
  EXPECT_EQ(Diff(blobs, after, before), Expected(many, few));
}

TEST(DiffTreesTest, OfDeepTreesKeepsItsPlace) {
  MemoryBlobs blobs;
  Entry before = DirectoryEntry("d", BuildDirectory(blobs, {}));
  Entry after = before;
  for (int i = 0; i < 300; ++i) {
    // "a" and "e" stand on both sides of the way down, on one tree or on both.
    before = DirectoryEntry("d", BuildDirectory(blobs, {FileEntry("a", 1), before}));
    after = DirectoryEntry("d", BuildDirectory(blobs, {after, FileEntry("e", 2)}));
  }
  before.name = after.name = "";
  const Steps steps = Diff(blobs, before, after);
  ASSERT_EQ(steps.size(), 600u);
  EXPECT_EQ(steps[0], "-a");
  EXPECT_EQ(steps[1], "-d/a");
  EXPECT_EQ(steps[598], "+d/e");
  EXPECT_EQ(steps[599], "+e");
}

// One side waits with an entry that it has already read while the other goes deep.
TEST(DiffTreesTest, KeepsTheEntryThatWaits) {
  MemoryBlobs blobs;
  Entry deep = DirectoryEntry("d", BuildDirectory(blobs, {}));
  for (int i = 0; i < 200; ++i) deep = DirectoryEntry("d", BuildDirectory(blobs, {deep}));
  const Entry before = DirectoryEntry("", BuildDirectory(blobs, {FileEntry("x", 1)}));
  const Entry after = DirectoryEntry("", BuildDirectory(blobs, {deep, FileEntry("x", 1)}));
  const Steps steps = Diff(blobs, before, after);
  EXPECT_EQ(steps.size(), 201u);
  EXPECT_EQ(steps[0], "+d");
}

TEST(DiffTreesTest, RefusesTreesThatAreTooDeep) {
  MemoryBlobs blobs;
  TreeNode node;
  node.entries = {DirectoryEntry("d", FilledId(1))};
  blobs.Replace({BlobKind::kTree, FilledId(1)}, EncodeTreeNode(node));
  Steps steps;
  EXPECT_THAT(DiffTrees(blobs, BuildTree(blobs, {}), blobs, DirectoryEntry("", FilledId(1)),
                        DiffRecorder(steps)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("too deeply")));
}

}  // namespace
}  // namespace cairn
