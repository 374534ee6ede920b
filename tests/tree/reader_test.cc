// SPDX-License-Identifier: Apache-2.0
#include "core/tree/reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/tree/tree_samples.h"

namespace cairn {
namespace {

using testing::BuildContent;
using testing::BuildDirectory;
using testing::BuildTree;
using testing::DirectoryEntry;
using testing::FileEntry;
using testing::FilledId;
using ::testing::HasSubstr;
using testing::IsOkAndHolds;
using testing::MemoryBlobs;
using testing::NumberedEntries;
using testing::NumberedId;
using testing::NumberedItems;
using testing::RandomEntries;
using testing::StatusIs;

TreeNode ReadTreeNode(MemoryBlobs& blobs, const BlobId& id) {
  const StatusOr<Bytes> bytes = blobs.ReadBlob({BlobKind::kTree, id});
  CHECK(bytes.ok());
  StatusOr<TreeNode> node = DecodeTreeNode(*bytes);
  CHECK(node.ok());
  return *std::move(node);
}

std::vector<Entry> ReadAll(BlobSource& blobs, const BlobId& top) {
  DirectoryReader reader(blobs, top);
  std::vector<Entry> entries;
  while (true) {
    const StatusOr<const Entry*> entry = reader.Next();
    CHECK(entry.ok());
    if (*entry == nullptr) return entries;
    entries.push_back(**entry);
  }
}

TEST(DirectoryReaderTest, GivesWhatWasAdded) {
  std::mt19937_64 random(1);
  for (const size_t count : {0, 1, 40, 2000}) {
    MemoryBlobs blobs;
    const std::vector<Entry> entries = RandomEntries(random, count);
    EXPECT_EQ(ReadAll(blobs, BuildDirectory(blobs, entries)), entries);
  }
}

TEST(DirectoryReaderTest, StaysAtTheEnd) {
  MemoryBlobs blobs;
  DirectoryReader reader(blobs, BuildDirectory(blobs, {FileEntry("a")}));
  ASSERT_OK_AND_ASSIGN(const Entry* entry, reader.Next());
  EXPECT_NE(entry, nullptr);
  EXPECT_THAT(reader.Next(), IsOkAndHolds(nullptr));
  EXPECT_THAT(reader.Next(), IsOkAndHolds(nullptr));
}

TEST(DirectoryReaderTest, SeeksForwardsAndBackwards) {
  std::mt19937_64 random(2);
  MemoryBlobs blobs;
  const std::vector<Entry> entries = NumberedEntries(20'000);
  DirectoryReader reader(blobs, BuildDirectory(blobs, entries));
  for (int i = 0; i < 300; ++i) {
    // Names that are there, that fall between two, and that lie before and behind all.
    std::string name = entries[random() % entries.size()].name;
    if (i % 3 == 1) name += "x";
    if (i % 50 == 2) name = "a";
    if (i % 50 == 3) name = "z";
    ASSERT_OK(reader.Seek(name));
    auto expected =
        std::lower_bound(entries.begin(), entries.end(), name,
                         [](const Entry& e, const std::string& n) { return e.name < n; });
    for (int next = 0; next < i % 100; ++next) {
      ASSERT_OK_AND_ASSIGN(const Entry* entry, reader.Next());
      if (expected == entries.end()) {
        EXPECT_EQ(entry, nullptr);
        break;
      }
      ASSERT_NE(entry, nullptr);
      EXPECT_EQ(*entry, *expected++);
    }
  }
}

TEST(DirectoryReaderTest, ASeekWithinTheNodeAtHandReadsNothing) {
  MemoryBlobs blobs;
  const std::vector<Entry> entries = NumberedEntries(20'000);
  DirectoryReader reader(blobs, BuildDirectory(blobs, entries));
  ASSERT_OK(reader.Seek(entries[5000].name));
  ASSERT_OK(reader.Next());
  blobs.ResetCounts();
  ASSERT_OK(reader.Seek(entries[5000].name));
  ASSERT_OK_AND_ASSIGN(const Entry* entry, reader.Next());
  EXPECT_EQ(entry->name, entries[5000].name);
  EXPECT_EQ(blobs.reads(), 0u);
}

TEST(DirectoryReaderTest, GoesOnAfterARelease) {
  MemoryBlobs blobs;
  const std::vector<Entry> entries = NumberedEntries(3000);
  DirectoryReader reader(blobs, BuildDirectory(blobs, entries));
  reader.Release();
  for (size_t i = 0; i < entries.size(); ++i) {
    ASSERT_OK_AND_ASSIGN(const Entry* entry, reader.Next());
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->name, entries[i].name);
    if (i % 7 == 0) reader.Release();
    if (i % 21 == 0) reader.Release();
  }
  EXPECT_THAT(reader.Next(), IsOkAndHolds(nullptr));
  reader.Release();
  EXPECT_THAT(reader.Next(), IsOkAndHolds(nullptr));
}

TEST(DirectoryReaderTest, GoesOnBehindAMissingNode) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  const std::vector<Entry> entries = NumberedEntries(10'000);
  const BlobId top = BuildDirectory(blobs, entries, &leaves);
  blobs.Remove({BlobKind::kTree, leaves[3].id});
  blobs.Replace({BlobKind::kTree, leaves.back().id}, Bytes{9, 9});
  DirectoryReader reader(blobs, top);
  size_t errors = 0;
  size_t found = 0;
  while (true) {
    const StatusOr<const Entry*> entry = reader.Next();
    if (!entry.ok()) {
      EXPECT_EQ(entry.status().code(), StatusCode::kDataLoss);
      ++errors;
    } else if (*entry == nullptr) {
      break;
    } else {
      ++found;
    }
  }
  EXPECT_EQ(errors, 2u);
  EXPECT_EQ(found, entries.size() - leaves[3].count - leaves.back().count);
}

TEST(DirectoryReaderTest, AMissingTopIsDataLossOnce) {
  MemoryBlobs blobs;
  DirectoryReader reader(blobs, FilledId(1));
  EXPECT_THAT(reader.Next(), StatusIs(StatusCode::kDataLoss, HasSubstr("reading tree 01010101")));
  EXPECT_THAT(reader.Next(), IsOkAndHolds(nullptr));
}

// A directory of two levels whose top says `children` of its leaves.
BlobId Top(MemoryBlobs& blobs, uint8_t level, std::vector<NamedChild> children) {
  return *blobs.WriteBlob(BlobKind::kTree, EncodeTreeNode({level, {}, std::move(children)}));
}

BlobId Leaf(MemoryBlobs& blobs, const std::vector<std::string>& names) {
  TreeNode node;
  for (const std::string& name : names) node.entries.push_back(FileEntry(name));
  return *blobs.WriteBlob(BlobKind::kTree, EncodeTreeNode(node));
}

Status FirstError(MemoryBlobs& blobs, const BlobId& top) {
  DirectoryReader reader(blobs, top);
  while (true) {
    StatusOr<const Entry*> entry = reader.Next();
    if (!entry.ok()) return std::move(entry).status();
    if (*entry == nullptr) return OkStatus();
  }
}

TEST(DirectoryReaderTest, RefusesChildrenThatAreNotWhatTheParentSays) {
  MemoryBlobs blobs;
  const BlobId ab = Leaf(blobs, {"a", "b"});
  const BlobId cd = Leaf(blobs, {"c", "d"});
  const BlobId bd = Leaf(blobs, {"b", "d"});
  const BlobId inner = Top(blobs, 1, {{"b", 2, ab}, {"d", 2, cd}});
  EXPECT_OK(FirstError(blobs, inner));
  const auto error = [&](uint8_t level, std::vector<NamedChild> children) {
    return FirstError(blobs, Top(blobs, level, std::move(children)));
  };
  const std::string not_said = "content is not what the parent says";
  EXPECT_THAT(error(1, {{"b", 3, ab}, {"d", 2, cd}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr(not_said)));
  EXPECT_THAT(error(1, {{"bb", 2, ab}, {"d", 2, cd}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr(not_said)));
  EXPECT_THAT(error(1, {{"b", 2, ab}, {"d", 2, bd}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("not in ascending order")));
  EXPECT_THAT(error(2, {{"b", 2, ab}, {"d", 2, cd}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("level does not follow")));
  EXPECT_THAT(error(1, {{"d", 4, inner}, {"e", 1, Leaf(blobs, {"e"})}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("level does not follow")));
  EXPECT_THAT(error(1, {{"b", 2, ab}}), StatusIs(StatusCode::kDataLoss, HasSubstr("one child")));
  EXPECT_THAT(error(1, {{"b", 2, ab}, {"d", 1, Leaf(blobs, {})}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr(not_said)));
}

TEST(DirectoryReaderTest, RefusesANodeBelowItself) {
  MemoryBlobs blobs;
  const BlobId id = FilledId(5);
  blobs.Replace({BlobKind::kTree, id},
                EncodeTreeNode({1, {}, {{"a", 1, id}, {"b", 1, FilledId(6)}}}));
  EXPECT_THAT(FirstError(blobs, id), StatusIs(StatusCode::kDataLoss));
}

TEST(DirectoryReaderTest, DoesNotTakeAnotherKindForATree) {
  MemoryBlobs blobs;
  ASSERT_OK_AND_ASSIGN(const BlobId id, blobs.WriteBlob(BlobKind::kChunk, EncodeTreeNode({})));
  EXPECT_THAT(FirstError(blobs, id), StatusIs(StatusCode::kDataLoss));
}

TEST(ForEachLeafTest, GivesWhatTheBuilderGave) {
  for (const size_t count : {0, 1, 30, 5000}) {
    MemoryBlobs blobs;
    std::vector<NamedChild> built;
    const BlobId top = BuildDirectory(blobs, NumberedEntries(count), &built);
    std::vector<NamedChild> read;
    size_t entries = 0;
    EXPECT_OK(ForEachLeaf(blobs, top, [&](const NamedChild& item, const TreeNode& node) {
      read.push_back(item);
      entries += node.entries.size();
      return OkStatus();
    }));
    EXPECT_EQ(read, built);
    EXPECT_EQ(entries, count);
  }
}

TEST(ForEachLeafTest, EndsWithTheVisitorsError) {
  MemoryBlobs blobs;
  const BlobId top = BuildDirectory(blobs, NumberedEntries(5000));
  int calls = 0;
  EXPECT_THAT(ForEachLeaf(blobs, top,
                          [&](const NamedChild&, const TreeNode&) {
                            return ++calls == 2 ? Cancelled("enough") : OkStatus();
                          }),
              StatusIs(StatusCode::kCancelled));
  EXPECT_EQ(calls, 2);
}

TEST(FindEntryTest, ReadsOneNodeALevel) {
  MemoryBlobs blobs;
  const std::vector<Entry> entries = NumberedEntries(100'000);
  const BlobId top = BuildDirectory(blobs, entries);
  const size_t levels = ReadTreeNode(blobs, top).level + 1u;
  EXPECT_GE(levels, 3u);
  for (const size_t i : {0u, 12'345u, 99'999u}) {
    blobs.ResetCounts();
    EXPECT_THAT(FindEntry(blobs, top, entries[i].name), IsOkAndHolds(entries[i]));
    EXPECT_EQ(blobs.reads(), levels);
    blobs.ResetCounts();
    EXPECT_THAT(FindEntry(blobs, top, entries[i].name + "x"), IsOkAndHolds(std::nullopt));
    EXPECT_LE(blobs.reads(), levels);
  }
  blobs.ResetCounts();
  EXPECT_THAT(FindEntry(blobs, top, "z"), IsOkAndHolds(std::nullopt));
  EXPECT_EQ(blobs.reads(), 1u);
}

std::vector<ContentItem> ReadContent(BlobSource& blobs, const Content& content) {
  ContentReader reader(blobs, content);
  std::vector<ContentItem> items;
  while (true) {
    const StatusOr<std::optional<ContentItem>> item = reader.Next();
    CHECK(item.ok());
    if (!item->has_value()) return items;
    items.push_back(**item);
  }
}

TEST(ContentReaderTest, GivesWhatWasAdded) {
  for (const size_t count : {0, 1, 16, 17, 10'000}) {
    MemoryBlobs blobs;
    std::vector<ContentItem> items = NumberedItems(count);
    for (size_t i = 0; i < count; i += 5) items[i] = {65536, true, {}};
    EXPECT_EQ(ReadContent(blobs, BuildContent(blobs, items)), items);
  }
}

TEST(ContentReaderTest, SeeksToTheItemThatHoldsAByte) {
  for (const size_t count : {16, 5000}) {
    MemoryBlobs blobs;
    const std::vector<ContentItem> items = NumberedItems(count);
    ContentReader reader(blobs, BuildContent(blobs, items));
    std::mt19937_64 random(3);
    for (int i = 0; i < 200; ++i) {
      const size_t at = random() % count;
      const uint64_t offset = at * 1000 + (i % 3 == 0 ? 0 : i % 3 == 1 ? 999 : random() % 1000);
      EXPECT_THAT(reader.Seek(offset), IsOkAndHolds(at * 1000));
      EXPECT_THAT(reader.Next(), IsOkAndHolds(items[at]));
      if (at + 1 < count) {
        EXPECT_THAT(reader.Next(), IsOkAndHolds(items[at + 1]));
      }
    }
    for (const uint64_t behind : {count * 1000, count * 1000 + 1, ~uint64_t{0}}) {
      EXPECT_THAT(reader.Seek(behind), IsOkAndHolds(count * 1000));
      EXPECT_THAT(reader.Next(), IsOkAndHolds(std::nullopt));
    }
    EXPECT_THAT(reader.Seek(0), IsOkAndHolds(0u));
    EXPECT_THAT(reader.Next(), IsOkAndHolds(items[0]));
  }
}

TEST(ContentReaderTest, ASeekReadsOneNodeALevel) {
  MemoryBlobs blobs;
  const Content content = BuildContent(blobs, NumberedItems(200'000));
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, blobs.ReadBlob({BlobKind::kList, content.list}));
  ASSERT_OK_AND_ASSIGN(const ListNode top, DecodeListNode(bytes));
  EXPECT_GE(top.level, 2);
  blobs.ResetCounts();
  ContentReader reader(blobs, content);
  ASSERT_OK(reader.Seek(123'456'789));
  ASSERT_OK(reader.Next());
  EXPECT_EQ(blobs.reads(), top.level + 1u);
}

TEST(ContentReaderTest, RefusesListsThatAreNone) {
  MemoryBlobs blobs;
  const auto error = [&](const ListNode& node) {
    Content content;
    content.is_list = true;
    content.list = *blobs.WriteBlob(BlobKind::kList, EncodeListNode(node));
    return ContentReader(blobs, content).Next().status();
  };
  EXPECT_THAT(error({0, NumberedItems(16), {}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("list for a short content")));
  const BlobId leaf = *blobs.WriteBlob(BlobKind::kList, EncodeListNode({0, NumberedItems(20), {}}));
  EXPECT_OK(error({1, {}, {{20'000, 20, leaf}, {20'000, 20, leaf}}}));
  EXPECT_THAT(error({1, {}, {{20'000, 20, leaf}}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("one child")));
  EXPECT_THAT(error({1, {}, {{20'001, 20, leaf}, {20'000, 20, leaf}}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("not what the parent says")));
  EXPECT_THAT(error({1, {}, {{20'000, 21, leaf}, {20'000, 20, leaf}}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("not what the parent says")));
}

StatusOr<std::vector<LinkPath>> ReadLinks(BlobSource& blobs, const std::optional<BlobId>& top) {
  LinksReader reader(blobs, top);
  std::vector<LinkPath> paths;
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<LinkPath> path, reader.Next());
    if (!path) return paths;
    paths.push_back(*path);
  }
}

TEST(LinksReaderTest, GivesWhatWasAdded) {
  MemoryBlobs blobs;
  std::vector<LinkPath> paths;
  LinksBuilder builder(blobs);
  for (int group = 0; group < 1000; ++group) {
    for (int path = 0; path < 2 + group % 3; ++path) {
      paths.push_back({path == 0, absl::StrFormat("%c/%06d", 'a' + path, group)});
      ASSERT_OK(builder.Add(paths.back()));
    }
  }
  ASSERT_OK_AND_ASSIGN(const std::optional<BlobId> top, builder.Finish());
  EXPECT_THAT(ReadLinks(blobs, top), IsOkAndHolds(paths));
  EXPECT_THAT(ReadLinks(blobs, std::nullopt), IsOkAndHolds(std::vector<LinkPath>{}));
}

// Each node is sound; what they say together is not.
TEST(LinksReaderTest, ChecksTheGroupsAcrossNodes) {
  MemoryBlobs blobs;
  const auto error = [&](const std::vector<std::vector<LinkPath>>& leaves) {
    LinksNode top = {.level = 1, .paths = {}, .children = {}};
    for (const std::vector<LinkPath>& paths : leaves) {
      const BlobId id = *blobs.WriteBlob(BlobKind::kLinks, EncodeLinksNode({0, paths, {}}));
      top.children.push_back({paths.back().path, paths.size(), id});
    }
    return ReadLinks(blobs, *blobs.WriteBlob(BlobKind::kLinks, EncodeLinksNode(top))).status();
  };
  EXPECT_OK(error({{{true, "a"}}, {{false, "b"}}}));
  EXPECT_THAT(error({{{false, "a"}}, {{false, "b"}}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("do not begin")));
  EXPECT_THAT(error({{{true, "a"}}, {{true, "b"}, {false, "c"}}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("one path")));
  EXPECT_THAT(error({{{true, "a"}, {false, "b"}}, {{true, "c"}}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("one path")));
  EXPECT_THAT(error({{{true, "a"}, {false, "c"}}, {{false, "b"}}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("paths of a link group")));
  EXPECT_THAT(error({{{true, "b"}, {false, "c"}}, {{true, "a"}, {false, "d"}}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("groups are not in ascending order")));
}

TEST(ReadRootTest, ReadsWhatWasWritten) {
  MemoryBlobs blobs;
  const Root root = {.top = DirectoryEntry("", FilledId(1)), .links = FilledId(2)};
  ASSERT_OK_AND_ASSIGN(const BlobId id, blobs.WriteBlob(BlobKind::kRoot, EncodeRoot(root)));
  EXPECT_THAT(ReadRoot(blobs, id), IsOkAndHolds(root));
  blobs.Replace({BlobKind::kRoot, id}, Bytes{1});
  EXPECT_THAT(ReadRoot(blobs, id), StatusIs(StatusCode::kDataLoss, HasSubstr(id.ShortHex())));
  blobs.Remove({BlobKind::kRoot, id});
  EXPECT_THAT(ReadRoot(blobs, id), StatusIs(StatusCode::kDataLoss));
}

TEST(FindPathTest, FollowsThePartsOfAPath) {
  MemoryBlobs blobs;
  const Root root = {.top = BuildTree(blobs, {{"a/b/c", 5}, {"a/d", 6}, {"e/", 0}}), .links = {}};
  EXPECT_THAT(FindPath(blobs, root, ""), IsOkAndHolds(std::get<Entry>(root.top)));
  ASSERT_OK_AND_ASSIGN(const Entry file, FindPath(blobs, root, "a/b/c"));
  EXPECT_EQ(file, FileEntry("c", 5));
  ASSERT_OK_AND_ASSIGN(const Entry directory, FindPath(blobs, root, "a/b"));
  EXPECT_EQ(directory.type, EntryType::kDirectory);
  EXPECT_EQ(directory.name, "b");
}

TEST(FindPathTest, NamesThePartThatIsMissing) {
  MemoryBlobs blobs;
  const Root root = {.top = BuildTree(blobs, {{"a/b/c", 5}}), .links = {}};
  EXPECT_THAT(FindPath(blobs, root, "a/x/y"),
              StatusIs(StatusCode::kNotFound, HasSubstr("a/x: not found")));
  EXPECT_THAT(FindPath(blobs, root, "a/b/c/d"),
              StatusIs(StatusCode::kNotFound, HasSubstr("a/b/c: is a file")));
  const Root file = {.top = FileEntry(""), .links = {}};
  EXPECT_THAT(FindPath(blobs, file, "a"),
              StatusIs(StatusCode::kNotFound, HasSubstr("the root: is a file")));
  for (const char* path : {"/a", "a/", "a//b", "..", "a/./b"}) {
    EXPECT_THAT(FindPath(blobs, root, path), StatusIs(StatusCode::kInvalidArgument)) << path;
  }
}

TEST(FindPathTest, AMissingNodeIsNoMissingPath) {
  MemoryBlobs blobs;
  const Root root = {.top = BuildTree(blobs, {{"a/b/c", 5}}), .links = {}};
  ASSERT_OK_AND_ASSIGN(const Entry a, FindPath(blobs, root, "a"));
  blobs.Remove({BlobKind::kTree, a.node});
  EXPECT_THAT(FindPath(blobs, root, "a/b"), StatusIs(StatusCode::kDataLoss, HasSubstr("a/b: ")));
}

TEST(FindPathTest, FollowsPartialDirectories) {
  MemoryBlobs blobs;
  Entry source = BuildTree(blobs, {{"x", 1}});
  source.name = "etc";
  Entry partial;
  partial.name = "host";
  partial.type = EntryType::kPartialDirectory;
  partial.node = BuildDirectory(blobs, {source});
  const Root root = {.top = BuildDirectory(blobs, {partial}), .links = {}};
  ASSERT_OK_AND_ASSIGN(const Entry top, FindPath(blobs, root, ""));
  EXPECT_EQ(top.type, EntryType::kPartialDirectory);
  EXPECT_EQ(top.name, "");
  EXPECT_THAT(FindPath(blobs, root, "host"), IsOkAndHolds(partial));
  EXPECT_THAT(FindPath(blobs, root, "host/etc"), IsOkAndHolds(source));
  EXPECT_THAT(FindPath(blobs, root, "host/etc/x"), IsOkAndHolds(FileEntry("x", 1)));
}

}  // namespace
}  // namespace cairn
