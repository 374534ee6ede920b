// SPDX-License-Identifier: Apache-2.0
#include "core/tree/builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/base/blake3.h"
#include "core/base/coding.h"
#include "core/tree/reader.h"
#include "tests/support/status_matchers.h"
#include "tests/tree/tree_samples.h"

namespace cairn {
namespace {

using testing::BuildContent;
using testing::BuildDirectory;
using testing::FileEntry;
using ::testing::HasSubstr;
using testing::MemoryBlobs;
using testing::NumberedEntries;
using testing::NumberedId;
using testing::NumberedItems;
using testing::RandomEntries;
using testing::StatusIs;

// The rules of docs/format.md, "How sequences are split", told a second time and without thrift:
// level by level over the whole sequence.
bool Matches(uint8_t level, ByteSpan key) {
  const HashKey hash_key = Blake3DeriveKey("cairn v1 split", ByteSpan(&level, 1));
  return Blake3Keyed(hash_key, key)[0] % 32 == 0;
}

// What an item adds to both sections: a node of it alone less level, count and length.
size_t SectionBytes(const Bytes& node_of_one) {
  Decoder decoder(node_of_one);
  decoder.Varint();
  decoder.Varint();
  decoder.Varint();
  return decoder.remaining();
}

// Lengths of the nodes of one level.
std::vector<size_t> Split(uint8_t level, const std::vector<Bytes>& keys,
                          const std::vector<size_t>& bytes) {
  std::vector<size_t> lengths;
  size_t items = 0;
  size_t total = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    ++items;
    total += bytes[i];
    if ((items >= 16 && Matches(level, keys[i])) || items == 1024 ||
        (total >= 65536 && (level == 0 || items >= 2))) {
      lengths.push_back(items);
      items = total = 0;
    }
  }
  if (items > 0) lengths.push_back(items);
  return lengths;
}

BlobId TopOf(const std::vector<Entry>& entries) {
  const BlobHasher hasher;
  std::vector<Bytes> keys;
  std::vector<size_t> bytes;
  for (const Entry& entry : entries) {
    keys.push_back(ToBytes(entry.name));
    bytes.push_back(SectionBytes(EncodeTreeNode({0, {entry}, {}})));
  }
  std::vector<NamedChild> children;
  size_t at = 0;
  for (const size_t length : Split(0, keys, bytes)) {
    const TreeNode node = {0, {entries.begin() + at, entries.begin() + at + length}, {}};
    at += length;
    children.push_back(
        {node.entries.back().name, length, hasher.Hash(BlobKind::kTree, EncodeTreeNode(node))});
  }
  if (children.empty()) return hasher.Hash(BlobKind::kTree, EncodeTreeNode({}));
  for (uint8_t level = 1; children.size() > 1; ++level) {
    keys.clear();
    bytes.clear();
    for (const NamedChild& child : children) {
      keys.push_back(ToBytes(child.last));
      bytes.push_back(SectionBytes(EncodeTreeNode({level, {}, {child}})));
    }
    std::vector<NamedChild> parents;
    at = 0;
    for (const size_t length : Split(level, keys, bytes)) {
      const TreeNode node = {level, {}, {children.begin() + at, children.begin() + at + length}};
      at += length;
      uint64_t count = 0;
      for (const NamedChild& child : node.children) count += child.count;
      parents.push_back(
          {node.children.back().last, count, hasher.Hash(BlobKind::kTree, EncodeTreeNode(node))});
    }
    children = std::move(parents);
  }
  return children[0].id;
}

TEST(TreeBuilderTest, FollowsTheRulesOfTheFormat) {
  std::mt19937_64 random(1);
  for (const size_t count : {0, 1, 15, 16, 17, 100, 3000}) {
    MemoryBlobs blobs;
    const std::vector<Entry> entries = RandomEntries(random, count);
    EXPECT_EQ(BuildDirectory(blobs, entries), TopOf(entries)) << count;
    const std::vector<Entry> plain = NumberedEntries(count * 5);
    EXPECT_EQ(BuildDirectory(blobs, plain), TopOf(plain)) << count;
  }
}

TEST(TreeBuilderTest, IdsAreFrozen) {
  MemoryBlobs blobs;
  EXPECT_EQ(BuildDirectory(blobs, {}).Hex(),
            "163339765ca2b18b58b2e6a9644044b05fcc0c69a219dae47edf307a566e5e14");
  EXPECT_EQ(BuildDirectory(blobs, NumberedEntries(5000)).Hex(),
            "84b96ad0b21cff26485658d458ccd6aac3e77e52781c222205f4571d85a4046a");
}

TEST(TreeBuilderTest, AnEmptyDirectoryIsOneNode) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  const BlobId top = BuildDirectory(blobs, {}, &leaves);
  EXPECT_EQ(blobs.new_blobs(), 1u);
  EXPECT_EQ(leaves, (std::vector<NamedChild>{{"", 0, top}}));
}

TEST(TreeBuilderTest, RefusesNamesOutOfOrder) {
  MemoryBlobs blobs;
  TreeBuilder builder(blobs);
  EXPECT_OK(builder.Add(FileEntry("b")));
  EXPECT_THAT(builder.Add(FileEntry("a")), StatusIs(StatusCode::kInvalidArgument, HasSubstr("a:")));
  EXPECT_THAT(builder.Add(FileEntry("b")), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_OK(builder.Add(FileEntry("c")));
  ASSERT_OK_AND_ASSIGN(const BlobId top, builder.Finish());
  EXPECT_EQ(top, TopOf({FileEntry("b"), FileEntry("c")}));
}

TEST(TreeBuilderTest, LeavesHaveSixteenTo1024Entries) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  BuildDirectory(blobs, NumberedEntries(50'000), &leaves);
  leaves.pop_back();
  for (const NamedChild& leaf : leaves) {
    EXPECT_GE(leaf.count, 16u);
    EXPECT_LE(leaf.count, 1024u);
  }
  // A mean of 16 + 32 is what the rule gives.
  EXPECT_GT(leaves.size(), 50'000u / 55);
  EXPECT_LT(leaves.size(), 50'000u / 42);
}

// Entries whose names match, or do not match, the split hash of level 0.
std::vector<Entry> EntriesBySplit(size_t count, bool matching) {
  std::vector<Entry> entries;
  for (uint64_t i = 0; entries.size() < count; ++i) {
    const std::string name = absl::StrFormat("%08d", i);
    if (Matches(0, AsBytes(name)) == matching) entries.push_back(FileEntry(name));
  }
  return entries;
}

TEST(TreeBuilderTest, NamesThatAllMatchGiveLeavesOfSixteen) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  const std::vector<Entry> entries = EntriesBySplit(4096, /*matching=*/true);
  EXPECT_EQ(BuildDirectory(blobs, entries, &leaves), TopOf(entries));
  EXPECT_EQ(leaves.size(), 256u);
  EXPECT_LT(blobs.new_blobs(), 256u + 256 / 16 + 2);
}

TEST(TreeBuilderTest, NamesOfWhichNoneMatchesGiveLeavesOf1024) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  BuildDirectory(blobs, EntriesBySplit(3000, /*matching=*/false), &leaves);
  ASSERT_EQ(leaves.size(), 3u);
  EXPECT_EQ(leaves[0].count, 1024u);
  EXPECT_EQ(leaves[1].count, 1024u);
}

TEST(TreeBuilderTest, LargeEntriesCloseALeafAt64Kilobytes) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  std::vector<Entry> entries;
  for (int i = 0; i < 100; ++i) {
    entries.push_back(FileEntry(absl::StrFormat("%03d", i) + std::string(4090, 'x')));
  }
  EXPECT_EQ(BuildDirectory(blobs, entries, &leaves), TopOf(entries));
  for (size_t i = 0; i + 1 < leaves.size(); ++i) EXPECT_EQ(leaves[i].count, 16u);
}

TEST(TreeBuilderTest, TheLargestEntriesFitIntoBlobs) {
  MemoryBlobs blobs;
  std::vector<Entry> entries;
  for (char c = 'a'; c < 'd'; ++c) {
    Entry entry = testing::SymlinkEntry(std::string(kMaxNameBytes, c), std::string(4096, 't'));
    // 62 + 62^2 names of one and two bytes, then longer ones up to the limit; all in blobs.
    size_t bytes = 0;
    for (uint64_t i = 0; bytes + 6 <= kMaxXattrNamesBytes; ++i) {
      const std::string name = absl::StrFormat("%04x", i);
      bytes += name.size() + 1;
      entry.xattrs.push_back({name, Xattr::InBlob{NumberedId(i), 1025}});
    }
    entries.push_back(entry);
  }
  const BlobId top = BuildDirectory(blobs, entries);
  for (const BlobRef& ref : blobs.All()) {
    ASSERT_OK_AND_ASSIGN(const Bytes bytes, blobs.ReadBlob(ref));
    EXPECT_LT(bytes.size(), kMaxBlobBytes / 4);
  }
  EXPECT_THAT(FindEntry(blobs, top, entries[1].name), testing::IsOkAndHolds(entries[1]));
}

TEST(TreeBuilderTest, OneMoreNameIn100000RewritesANodeALevel) {
  MemoryBlobs blobs;
  std::vector<Entry> entries = NumberedEntries(100'000);
  BuildDirectory(blobs, entries);
  std::mt19937_64 random(5);
  for (int i = 0; i < 10; ++i) {
    const size_t at = random() % entries.size();
    std::vector<Entry> edited = entries;
    edited.insert(edited.begin() + at, FileEntry(edited[at - 1].name + "+", 77));
    blobs.ResetCounts();
    BuildDirectory(blobs, edited);
    EXPECT_LE(blobs.new_blobs(), 8u);
    EXPECT_LE(blobs.new_bytes(), 32 * kKiB);
  }
}

TEST(TreeBuilderTest, AFailedWriteIsNotForgotten) {
  MemoryBlobs blobs;
  TreeBuilder builder(blobs);
  blobs.FailWrites(StatusCode::kResourceExhausted);
  Status status;
  for (const Entry& entry : NumberedEntries(2000)) {
    status = builder.Add(entry);
    if (!status.ok()) break;
  }
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  blobs.FailWrites(StatusCode::kOk);
  EXPECT_THAT(builder.Finish(), StatusIs(StatusCode::kInternal));
}

// Rebuilds a directory after edits, taking over each old leaf whose entries are all still there.
struct Rebuilt {
  BlobId top;
  size_t taken = 0;
  std::vector<NamedChild> leaves;
};

Rebuilt Rebuild(MemoryBlobs& blobs, const std::vector<Entry>& old,
                const std::vector<NamedChild>& old_leaves, const std::vector<Entry>& now) {
  Rebuilt rebuilt;
  TreeBuilder builder(blobs);
  builder.OnLeaf([&](const NamedChild& leaf) { rebuilt.leaves.push_back(leaf); });
  auto old_at = old.begin();
  auto now_at = now.begin();
  for (const NamedChild& leaf : old_leaves) {
    const auto old_end = old_at + leaf.count;
    const auto now_end =
        std::find_if(now_at, now.end(), [&](const Entry& entry) { return entry.name > leaf.last; });
    if (std::equal(old_at, old_end, now_at, now_end) && builder.TryAddNode(leaf)) {
      ++rebuilt.taken;
    } else {
      for (auto it = now_at; it != now_end; ++it) CHECK(builder.Add(*it).ok());
    }
    old_at = old_end;
    now_at = now_end;
  }
  for (; now_at != now.end(); ++now_at) CHECK(builder.Add(*now_at).ok());
  const StatusOr<BlobId> top = builder.Finish();
  CHECK(top.ok());
  rebuilt.top = *top;
  return rebuilt;
}

void EditAtRandom(std::mt19937_64& random, std::vector<Entry>& entries) {
  const auto at = static_cast<ptrdiff_t>(random() % entries.size());
  switch (random() % 4) {
    case 0:
      entries.erase(entries.begin() + at);
      break;
    case 1:
      entries[at].mtime.seconds += 1;
      break;
    case 2: {  // a whole stretch, which shifts the borders behind it
      const auto end = std::min<ptrdiff_t>(at + random() % 200, entries.size());
      entries.erase(entries.begin() + at, entries.begin() + end);
      break;
    }
    default: {
      const std::string name = entries[at].name + static_cast<char>('a' + random() % 26);
      if (at + 1 < std::ssize(entries) && entries[at + 1].name <= name) return;
      entries.insert(entries.begin() + at + 1, FileEntry(name, 5));
    }
  }
}

TEST(TreeBuilderTest, TakenOverNodesGiveTheSameTree) {
  std::mt19937_64 random(6);
  size_t taken = 0;
  size_t leaves = 0;
  for (int round = 0; round < 60; ++round) {
    MemoryBlobs blobs;
    std::vector<NamedChild> old_leaves;
    // Rounds with large entries have leaves that their size closed.
    std::vector<Entry> old = NumberedEntries(500 + random() % 3000);
    if (round % 3 == 0) {
      for (Entry& entry : old) entry.name += std::string(random() % 3000, 'x');
    }
    if (round % 5 == 0) old = EntriesBySplit(2500, /*matching=*/round % 2 == 0);
    BuildDirectory(blobs, old, &old_leaves);
    std::vector<Entry> now = old;
    for (int edits = round % 7; edits > 0; --edits) {
      if (!now.empty()) EditAtRandom(random, now);
    }
    const Rebuilt rebuilt = Rebuild(blobs, old, old_leaves, now);
    std::vector<NamedChild> leaves_from_scratch;
    EXPECT_EQ(rebuilt.top, BuildDirectory(blobs, now, &leaves_from_scratch));
    EXPECT_EQ(rebuilt.leaves, leaves_from_scratch);
    taken += rebuilt.taken;
    leaves += old_leaves.size();
  }
  EXPECT_GT(taken, leaves / 3);
}

TEST(TreeBuilderTest, TakesOverAllButTheLastNodeOfAnUnchangedDirectory) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  const std::vector<Entry> entries = NumberedEntries(10'000);
  const BlobId top = BuildDirectory(blobs, entries, &leaves);
  blobs.ResetCounts();
  const Rebuilt rebuilt = Rebuild(blobs, entries, leaves, entries);
  EXPECT_EQ(rebuilt.top, top);
  EXPECT_GE(rebuilt.taken, leaves.size() - 1);
  EXPECT_EQ(blobs.new_blobs(), 0u);
}

TEST(TreeBuilderTest, DoesNotTakeANodeWhileOneIsOpen) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  BuildDirectory(blobs, NumberedEntries(1000), &leaves);
  TreeBuilder builder(blobs);
  ASSERT_OK(builder.Add(FileEntry("a")));
  EXPECT_FALSE(builder.TryAddNode(leaves[0]));
}

TEST(TreeBuilderTest, DoesNotTakeWhatWasOnlyTheLastOfItsDirectory) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  BuildDirectory(blobs, EntriesBySplit(1500, /*matching=*/false), &leaves);
  ASSERT_EQ(leaves.size(), 2u);
  EXPECT_TRUE(TreeBuilder(blobs).TryAddNode(leaves[0]));
  EXPECT_FALSE(TreeBuilder(blobs).TryAddNode(leaves[1]));
  // A name that matches does not close fewer than 16.
  leaves.clear();
  BuildDirectory(blobs, EntriesBySplit(15, /*matching=*/true), &leaves);
  EXPECT_FALSE(TreeBuilder(blobs).TryAddNode(leaves[0]));
  leaves.clear();
  BuildDirectory(blobs, EntriesBySplit(16, /*matching=*/true), &leaves);
  EXPECT_TRUE(TreeBuilder(blobs).TryAddNode(leaves[0]));
}

TEST(TreeBuilderTest, DoesNotTakeANodeOutOfOrder) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  BuildDirectory(blobs, EntriesBySplit(64, /*matching=*/true), &leaves);
  TreeBuilder builder(blobs);
  EXPECT_TRUE(builder.TryAddNode(leaves[1]));
  EXPECT_FALSE(builder.TryAddNode(leaves[1]));
  EXPECT_FALSE(builder.TryAddNode(leaves[0]));
  EXPECT_TRUE(builder.TryAddNode(leaves[2]));
}

TEST(TreeBuilderTest, ReturnsALaterErrorOfATakenNodeAtFinish) {
  MemoryBlobs blobs;
  std::vector<NamedChild> leaves;
  BuildDirectory(blobs, EntriesBySplit(16 * 1024, /*matching=*/true), &leaves);
  TreeBuilder builder(blobs);
  blobs.FailWrites(StatusCode::kUnavailable);
  size_t taken = 0;
  for (const NamedChild& leaf : leaves) taken += builder.TryAddNode(leaf) ? 1 : 0;
  EXPECT_LT(taken, leaves.size());
  blobs.FailWrites(StatusCode::kOk);
  EXPECT_THAT(builder.Finish(), StatusIs(StatusCode::kUnavailable));
}

TEST(ListBuilderTest, KeepsSixteenItemsInTheEntry) {
  MemoryBlobs blobs;
  const std::vector<ContentItem> items = NumberedItems(17);
  const Content inline_content = BuildContent(blobs, {items.begin(), items.begin() + 16});
  EXPECT_FALSE(inline_content.is_list);
  EXPECT_EQ(inline_content.items.size(), 16u);
  EXPECT_EQ(blobs.writes(), 0u);
  const Content list = BuildContent(blobs, items);
  EXPECT_TRUE(list.is_list);
  EXPECT_TRUE(list.items.empty());
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, blobs.ReadBlob({BlobKind::kList, list.list}));
  EXPECT_THAT(DecodeListNode(bytes), testing::IsOkAndHolds(ListNode{0, items, {}}));
}

TEST(ListBuilderTest, IsAFunctionOfTheSequence) {
  MemoryBlobs blobs;
  EXPECT_EQ(BuildContent(blobs, NumberedItems(5000)), BuildContent(blobs, NumberedItems(5000)));
  EXPECT_EQ(BuildContent(blobs, NumberedItems(5000)).list.Hex(),
            "1f869927a258524a1378b52c93f5f93a4ca3010e6d8f76b00f590deb2fc2286c");
}

TEST(ListBuilderTest, MergesZeros) {
  MemoryBlobs blobs;
  constexpr uint64_t kLargest = uint64_t{1} << 62;
  const ContentItem chunk = {10, false, NumberedId(1)};
  const auto zeros = [](uint64_t bytes) { return ContentItem{bytes, true, {}}; };
  EXPECT_EQ(BuildContent(blobs, {zeros(1), zeros(2), chunk, zeros(3), zeros(4), zeros(5)}).items,
            (std::vector<ContentItem>{zeros(3), chunk, zeros(12)}));
  EXPECT_EQ(BuildContent(blobs, {zeros(kLargest - 1), zeros(5)}).items,
            (std::vector<ContentItem>{zeros(kLargest), zeros(4)}));
}

TEST(ListBuilderTest, RefusesMoreThanAFileHas) {
  MemoryBlobs blobs;
  constexpr uint64_t kLargest = uint64_t{1} << 62;
  ListBuilder builder(blobs);
  EXPECT_OK(builder.Add({kLargest, true, {}}));
  EXPECT_OK(builder.Add({kLargest - 1, true, {}}));
  EXPECT_EQ(builder.bytes(), kMaxFileBytes);
  EXPECT_THAT(builder.Add({1, true, {}}), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(builder.Add({0, true, {}}), StatusIs(StatusCode::kInvalidArgument));
}

// A virtual disk of one repeated block, whose id matches at every level or at none.
TEST(ListBuilderTest, OneRepeatedChunkEnds) {
  for (const bool matching : {true, false}) {
    uint64_t number = 0;
    while (Matches(0, NumberedId(number).span()) != matching) ++number;
    MemoryBlobs blobs;
    ListBuilder builder(blobs);
    constexpr size_t kItems = 200'000;
    for (size_t i = 0; i < kItems; ++i) ASSERT_OK(builder.Add({1000, false, NumberedId(number)}));
    ASSERT_OK(builder.Finish());
    EXPECT_LE(blobs.writes(), kItems / 15);
    EXPECT_LE(blobs.new_blobs(), 12u);
  }
}

TEST(ListBuilderTest, AChangedChunkRewritesANodeALevel) {
  MemoryBlobs blobs;
  std::vector<ContentItem> items = NumberedItems(100'000);
  BuildContent(blobs, items);
  items[50'000].id = NumberedId(1'000'000);
  blobs.ResetCounts();
  BuildContent(blobs, items);
  EXPECT_LE(blobs.new_blobs(), 8u);
}

Status AddLinks(LinksBuilder& builder, const std::vector<LinkPath>& paths) {
  for (const LinkPath& path : paths) RETURN_IF_ERROR(builder.Add(path));
  return OkStatus();
}

TEST(LinksBuilderTest, HasNothingWithoutPaths) {
  MemoryBlobs blobs;
  EXPECT_THAT(LinksBuilder(blobs).Finish(), testing::IsOkAndHolds(std::nullopt));
  EXPECT_EQ(blobs.writes(), 0u);
}

TEST(LinksBuilderTest, RefusesGroupsThatAreNone) {
  MemoryBlobs blobs;
  for (const std::vector<LinkPath>& paths :
       std::vector<std::vector<LinkPath>>{{{false, "a"}},
                                          {{true, "a"}, {true, "b"}},
                                          {{true, "a"}, {false, "a"}},
                                          {{true, "b"}, {false, "c"}, {true, "a"}},
                                          {{true, "a//b"}},
                                          {{true, std::string(kMaxLinkPathBytes + 1, 'a')}}}) {
    LinksBuilder builder(blobs);
    EXPECT_THAT(AddLinks(builder, paths), StatusIs(StatusCode::kInvalidArgument));
  }
  LinksBuilder builder(blobs);
  EXPECT_OK(AddLinks(builder, {{true, "a"}, {false, "b"}, {true, "c"}}));
  EXPECT_THAT(builder.Finish(), StatusIs(StatusCode::kInvalidArgument, HasSubstr("one path")));
}

// Each path alone fills a node: were one item enough above level 0, no level would be shorter.
TEST(LinksBuilderTest, PathsLargerThanANodeEnd) {
  MemoryBlobs blobs;
  LinksBuilder builder(blobs);
  std::string stem = "p";
  while (stem.size() < 100'000) stem += "/" + std::string(250, 'p');
  constexpr int kPaths = 40;
  for (int i = 0; i < kPaths; ++i) {
    ASSERT_OK(builder.Add({i % 2 == 0, stem + absl::StrFormat("/%03d", i)}));
  }
  ASSERT_OK_AND_ASSIGN(const std::optional<BlobId> top, builder.Finish());
  EXPECT_LE(blobs.new_blobs(), 2u * kPaths + kMaxNodeLevel);
  LinksReader reader(blobs, top);
  int paths = 0;
  while (true) {
    ASSERT_OK_AND_ASSIGN(const std::optional<LinkPath> path, reader.Next());
    if (!path) break;
    ++paths;
  }
  EXPECT_EQ(paths, kPaths);
}

}  // namespace
}  // namespace cairn
