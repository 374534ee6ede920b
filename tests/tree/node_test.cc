// SPDX-License-Identifier: Apache-2.0
#include "core/tree/node.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/coding.h"
#include "tests/support/status_matchers.h"
#include "tests/tree/tree_samples.h"

namespace cairn {
namespace {

using testing::DirectoryEntry;
using testing::FileEntry;
using testing::FilledId;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::NumberedId;
using testing::RandomEntries;
using testing::RandomEntry;
using testing::StatusIs;
using testing::SymlinkEntry;

TEST(NodeTest, TreeNodesComeBackAsTheyWere) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; ++i) {
    TreeNode node;
    node.entries = RandomEntries(random, i % 50);
    const Bytes bytes = EncodeTreeNode(node);
    EXPECT_THAT(DecodeTreeNode(bytes), IsOkAndHolds(node));
  }
}

TEST(NodeTest, RootsComeBackAsTheyWere) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 300; ++i) {
    Root root;
    Entry top = RandomEntry(random, "");
    if (top.type == EntryType::kPartialDirectory) {
      root.top = top.node;
    } else {
      root.top = top;
    }
    if (i % 2 == 0) root.links = NumberedId(i);
    EXPECT_THAT(DecodeRoot(EncodeRoot(root)), IsOkAndHolds(root));
  }
}

// Whatever is read of damaged bytes writes the same bytes again.
TEST(NodeTest, DamagedNodesAreRefusedOrCanonical) {
  std::mt19937_64 random(3);
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    TreeNode node;
    node.entries = RandomEntries(random, 1 + i % 4);
    Bytes bytes = EncodeTreeNode(node);
    // In the items: ids are as good as any other.
    const size_t at = random() % std::min<size_t>(bytes.size(), 40);
    bytes[at] = static_cast<uint8_t>(random());
    if (i % 3 == 0) bytes.resize(bytes.size() - 1 - random() % bytes.size());
    const StatusOr<TreeNode> decoded = DecodeTreeNode(bytes);
    if (decoded.ok()) {
      EXPECT_EQ(EncodeTreeNode(*decoded), bytes);
    } else {
      EXPECT_EQ(decoded.status().code(), StatusCode::kDataLoss);
      ++refused;
    }
  }
  EXPECT_GT(refused, 5'000);
}

TEST(NodeTest, EveryPrefixIsRefused) {
  std::mt19937_64 random(4);
  TreeNode node;
  node.entries = RandomEntries(random, 20);
  const Bytes bytes = EncodeTreeNode(node);
  for (size_t size = 0; size < bytes.size(); size += 1 + size / 50) {
    EXPECT_THAT(DecodeTreeNode(ByteSpan(bytes).first(size)), StatusIs(StatusCode::kDataLoss));
  }
}

// An entry that is sound, what breaks it, and what the decoder says.
struct BrokenEntry {
  const char* name;
  Entry entry;
  std::function<void(Entry&)> damage;
  const char* message;
};

Entry FileOfItems(std::vector<ContentItem> items) {
  Entry entry = FileEntry("f");
  for (const ContentItem& item : items) entry.size += item.bytes;
  entry.content.items = std::move(items);
  return entry;
}

ContentItem Chunk(uint64_t bytes) { return {bytes, false, FilledId(1)}; }
ContentItem Zeros(uint64_t bytes) { return {bytes, true, {}}; }

std::vector<BrokenEntry> BrokenEntries() {
  const Entry file = FileOfItems({Chunk(10), Zeros(65536), Chunk(7)});
  Entry list = FileEntry("list");
  list.size = 17;
  list.content.is_list = true;
  list.content.list = FilledId(3);
  const Entry link = SymlinkEntry("l", "x");
  const Entry directory = DirectoryEntry("d", FilledId(2));
  constexpr uint64_t kLargest = uint64_t{1} << 62;
  return {
      {"EmptyName", file, [](Entry& e) { e.name = ""; }, "invalid name"},
      {"Dot", file, [](Entry& e) { e.name = "."; }, "invalid name"},
      {"DotDot", file, [](Entry& e) { e.name = ".."; }, "invalid name"},
      {"Slash", file, [](Entry& e) { e.name = "a/b"; }, "invalid name"},
      {"Nul", file, [](Entry& e) { e.name = std::string("a\0b", 3); }, "invalid name"},
      {"LongName", file, [](Entry& e) { e.name = std::string(4096, 'x'); }, "longer than allowed"},
      {"TypeZero", file, [](Entry& e) { e.type = EntryType{0}; }, "unknown type"},
      {"TypeNine", file, [](Entry& e) { e.type = EntryType{9}; }, "unknown type"},
      {"Mode", file, [](Entry& e) { e.mode = 010000; }, "out of its range"},
      {"Nanoseconds", file, [](Entry& e) { e.mtime.nanoseconds = 1'000'000'000; }, "out of its"},
      {"ModeOfSymlink", link, [](Entry& e) { e.mode = 0777; }, "mode of a symlink"},
      {"NoTarget", link, [](Entry& e) { e.target = ""; }, "invalid target"},
      {"TargetNul", link, [](Entry& e) { e.target = std::string("a\0", 2); }, "invalid target"},
      {"LongTarget", link, [](Entry& e) { e.target = std::string(4097, 'x'); }, "longer than"},
      {"SizeTooSmall", file, [](Entry& e) { --e.size; }, "do not add up"},
      {"SizeTooLarge", file, [](Entry& e) { ++e.size; }, "do not add up"},
      {"SizeWithoutItems", file, [](Entry& e) { e.content.items.clear(); }, "do not add up"},
      {"SizeOver63Bits", list, [](Entry& e) { e.size = uint64_t{1} << 63; }, "out of its range"},
      {"ItemsOver63Bits", FileOfItems({Zeros(kLargest), Zeros(kLargest - 1)}),
       [](Entry& e) {
         e.content.items[1].bytes = kLargest;
         e.content.items.push_back(Zeros(kLargest));
         e.content.items.push_back(Zeros(kLargest));
         e.size = 0;
       },
       "file is too large"},
      {"EmptyItem", file, [](Entry& e) { e.content.items.push_back(Chunk(0)); }, "empty item"},
      {"LargeChunk", FileOfItems({Chunk(4 * kMiB)}),
       [](Entry& e) { e.content.items[0].bytes = e.size = 4 * kMiB + 1; }, "chunk is too large"},
      {"LargeExtent", FileOfItems({Zeros(kLargest)}),
       [](Entry& e) { e.content.items[0].bytes = e.size = kLargest + 1; }, "extent is too large"},
      {"AdjacentZeros", file,
       [](Entry& e) {
         e.content.items.insert(e.content.items.begin() + 1, Zeros(65536));
         e.size += 65536;
       },
       "adjacent zero extents"},
      {"SeventeenItems", FileOfItems(std::vector<ContentItem>(16, Chunk(1))),
       [](Entry& e) {
         e.content.items.push_back(Chunk(1));
         ++e.size;
       },
       "out of its range"},
      {"ListOfSixteenBytes", list, [](Entry& e) { e.size = 16; }, "list for a short content"},
      {"UnreadWithContent", file, [](Entry& e) { e.unread = true; }, "unread file with content"},
      {"UnreadSparse", FileEntry("f"), [](Entry& e) { e.unread = e.sparse = true; },
       "unread file with content"},
      {"UnreadList", list,
       [](Entry& e) {
         e.unread = true;
         e.size = 0;
       },
       "list for a short content"},
      {"XattrOrder", directory,
       [](Entry& e) {
         e.xattrs = {{"b", Bytes{}}, {"a", Bytes{}}};
       },
       "not in ascending order"},
      {"XattrTwice", directory,
       [](Entry& e) {
         e.xattrs = {{"a", Bytes{}}, {"a", Bytes{}}};
       },
       "not in ascending order"},
      {"XattrWithoutName", directory,
       [](Entry& e) {
         e.xattrs = {{"", Bytes{}}};
       },
       "invalid name of an extended attribute"},
      {"XattrNul", directory,
       [](Entry& e) {
         e.xattrs = {{std::string("a\0", 2), Bytes{}}};
       },
       "invalid name of an extended attribute"},
      {"XattrLongName", directory,
       [](Entry& e) {
         e.xattrs = {{std::string(256, 'x'), Bytes{}}};
       },
       "longer than allowed"},
      {"XattrLargeInline", directory,
       [](Entry& e) {
         e.xattrs = {{"a", Bytes(1025)}};
       },
       "longer than allowed"},
      {"XattrSmallInBlob", directory,
       [](Entry& e) {
         e.xattrs = {{"a", Xattr::InBlob{FilledId(4), 1024}}};
       },
       "wrong place"},
      {"XattrEmptyInBlob", directory,
       [](Entry& e) {
         e.xattrs = {{"a", Xattr::InBlob{FilledId(4), 0}}};
       },
       "wrong place"},
      {"XattrHugeInBlob", directory,
       [](Entry& e) {
         e.xattrs = {{"a", Xattr::InBlob{FilledId(4), 65537}}};
       },
       "out of its range"},
      {"XattrsTooLargeInline", directory,
       [](Entry& e) {
         for (char c = 'a'; c < 'f'; ++c) e.xattrs.push_back({std::string(1, c), Bytes(820)});
       },
       "wrong place"},
      {"XattrsHalfInline", directory,
       [](Entry& e) {
         for (char c = 'a'; c < 'f'; ++c) {
           e.xattrs.push_back({std::string(1, c), Xattr::InBlob{FilledId(4), 820}});
         }
         e.xattrs[2].value = Bytes(820);
       },
       "wrong place"},
      {"TooManyXattrs", directory,
       [](Entry& e) {
         for (int i = 0; i < 257; ++i) {
           e.xattrs.push_back({std::to_string(1000 + i) + std::string(251, 'x'), Bytes{}});
         }
       },
       "too many extended attributes"},
  };
}

TEST(NodeTest, RefusesEveryBrokenEntryByName) {
  for (const BrokenEntry& broken : BrokenEntries()) {
    SCOPED_TRACE(broken.name);
    TreeNode node;
    node.entries = {broken.entry};
    EXPECT_THAT(DecodeTreeNode(EncodeTreeNode(node)), IsOkAndHolds(node));
    broken.damage(node.entries[0]);
    EXPECT_THAT(DecodeTreeNode(EncodeTreeNode(node)),
                StatusIs(StatusCode::kDataLoss, HasSubstr(broken.message)));
  }
}

// Unlike the encoders, builders are handed what a live file system says.
TEST(NodeTest, BuildersRefuseWhatDecodersRefuse) {
  for (const BrokenEntry& broken : BrokenEntries()) {
    SCOPED_TRACE(broken.name);
    testing::MemoryBlobs blobs;
    TreeBuilder builder(blobs);
    Entry entry = broken.entry;
    broken.damage(entry);
    EXPECT_THAT(builder.Add(entry), StatusIs(StatusCode::kInvalidArgument));
    EXPECT_OK(builder.Add(broken.entry));
    EXPECT_OK(builder.Finish());
  }
}

TEST(NodeTest, RefusesFieldsOfOtherTypes) {
  const Entry fifo = [] {
    Entry entry;
    entry.name = "fifo";
    entry.type = EntryType::kFifo;
    return entry;
  }();
  const std::vector<std::function<void(Entry&)>> strays = {
      [](Entry& e) { e.size = 1; },           [](Entry& e) { e.sparse = true; },
      [](Entry& e) { e.unread = true; },      [](Entry& e) { e.content.is_list = true; },
      [](Entry& e) { e.node = FilledId(1); }, [](Entry& e) { e.target = "x"; },
      [](Entry& e) { e.device.minor = 1; },
  };
  EXPECT_EQ(EntryFault(fifo, /*named=*/true), nullptr);
  for (size_t i = 0; i < strays.size(); ++i) {
    Entry entry = fifo;
    strays[i](entry);
    EXPECT_NE(EntryFault(entry, /*named=*/true), nullptr) << i;
  }
  Entry partial = fifo;
  partial.type = EntryType::kPartialDirectory;
  EXPECT_EQ(EntryFault(partial, /*named=*/true), nullptr);
  partial.mode = 0755;
  EXPECT_NE(EntryFault(partial, /*named=*/true), nullptr);
}

TEST(NodeTest, RefusesNamesOutOfOrder) {
  TreeNode node;
  node.entries = {FileEntry("a"), FileEntry("b")};
  EXPECT_THAT(DecodeTreeNode(EncodeTreeNode(node)), IsOk());
  node.entries = {FileEntry("b"), FileEntry("a")};
  EXPECT_THAT(DecodeTreeNode(EncodeTreeNode(node)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("not in ascending order")));
  node.entries = {FileEntry("a"), FileEntry("a")};
  EXPECT_THAT(DecodeTreeNode(EncodeTreeNode(node)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("not in ascending order")));
}

TEST(NodeTest, RefusesBrokenInnerNodes) {
  const auto decode = [](std::vector<NamedChild> children) {
    return DecodeTreeNode(
        EncodeTreeNode({.level = 1, .entries = {}, .children = std::move(children)}));
  };
  const BlobId id = FilledId(1);
  EXPECT_THAT(decode({{"a", 1, id}, {"b", 2, id}}), IsOk());
  EXPECT_THAT(decode({}), StatusIs(StatusCode::kDataLoss, HasSubstr("without children")));
  EXPECT_THAT(decode({{"b", 1, id}, {"a", 1, id}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("ascending order")));
  EXPECT_THAT(decode({{"a", 1, id}, {"a", 1, id}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("ascending order")));
  EXPECT_THAT(decode({{"a", 0, id}}), StatusIs(StatusCode::kDataLoss, HasSubstr("without items")));
  EXPECT_THAT(decode({{"a/b", 1, id}}), StatusIs(StatusCode::kDataLoss, HasSubstr("invalid name")));
  EXPECT_THAT(decode({{"a", kMaxFileBytes, id}, {"b", 1, id}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("too many items")));
}

TEST(NodeTest, RefusesBrokenLists) {
  const auto decode = [](std::vector<ContentItem> items) {
    return DecodeListNode(EncodeListNode({.level = 0, .items = std::move(items), .children = {}}));
  };
  const auto decode_inner = [](std::vector<ListChild> children) {
    return DecodeListNode(
        EncodeListNode({.level = 1, .items = {}, .children = std::move(children)}));
  };
  constexpr uint64_t kLargest = uint64_t{1} << 62;
  EXPECT_THAT(decode({Zeros(kLargest), Zeros(1)}), IsOk());
  EXPECT_THAT(decode({}), StatusIs(StatusCode::kDataLoss, HasSubstr("without items")));
  EXPECT_THAT(decode({Zeros(1), Zeros(1)}), StatusIs(StatusCode::kDataLoss, HasSubstr("adjacent")));
  EXPECT_THAT(decode({Chunk(0)}), StatusIs(StatusCode::kDataLoss, HasSubstr("empty item")));
  EXPECT_THAT(decode({Zeros(kLargest), Zeros(kLargest)}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("too many bytes")));
  EXPECT_THAT(decode_inner({{5, 5, FilledId(1)}}), IsOk());
  EXPECT_THAT(decode_inner({}), StatusIs(StatusCode::kDataLoss, HasSubstr("without items")));
  EXPECT_THAT(decode_inner({{5, 0, FilledId(1)}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("child without items")));
  EXPECT_THAT(decode_inner({{5, 6, FilledId(1)}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("fewer bytes than items")));
  EXPECT_THAT(decode_inner({{kMaxFileBytes, 1, FilledId(1)}, {1, 1, FilledId(1)}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("too many bytes")));
}

TEST(NodeTest, RefusesBrokenLinkGroups) {
  const auto decode = [](std::vector<LinkPath> paths) {
    return DecodeLinksNode(
        EncodeLinksNode({.level = 0, .paths = std::move(paths), .children = {}}));
  };
  // A node may begin and end within a group.
  EXPECT_THAT(decode({{false, "z"}, {true, "a"}, {false, "c"}, {true, "b"}}), IsOk());
  EXPECT_THAT(decode({}), StatusIs(StatusCode::kDataLoss, HasSubstr("without paths")));
  EXPECT_THAT(decode({{true, "a"}, {true, "b"}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("group of one path")));
  EXPECT_THAT(decode({{true, "b"}, {false, "c"}, {true, "a"}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("groups are not in ascending order")));
  EXPECT_THAT(decode({{true, "b"}, {false, "a"}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("paths of a link group")));
  EXPECT_THAT(decode({{true, "b"}, {false, "b"}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("paths of a link group")));
  EXPECT_THAT(decode({{false, "a!"}, {false, "a/b"}}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("paths of a link group")));
  EXPECT_THAT(decode({{true, "/a"}}), StatusIs(StatusCode::kDataLoss, HasSubstr("invalid path")));
  EXPECT_THAT(DecodeLinksNode(EncodeLinksNode(
                  {.level = 1, .paths = {}, .children = {{"a//b", 1, FilledId(1)}}})),
              StatusIs(StatusCode::kDataLoss, HasSubstr("invalid name of a child")));
}

// A node from its parts, with nothing checked.
Bytes RawNode(uint64_t level, uint64_t count, const Bytes& items, size_t ids) {
  Bytes bytes;
  Encoder encoder(bytes);
  encoder.Varint(level);
  encoder.Varint(count);
  encoder.String(items);
  bytes.resize(bytes.size() + 32 * ids, 7);
  return bytes;
}

TEST(NodeTest, RefusesBrokenSections) {
  const Bytes zeros = {0x03};  // one zero extent of a byte
  const Bytes chunk = {0x02};
  EXPECT_THAT(DecodeListNode(RawNode(0, 1, zeros, 0)), IsOk());
  EXPECT_THAT(DecodeListNode(RawNode(0, 1, chunk, 1)), IsOk());
  EXPECT_THAT(DecodeListNode(RawNode(0, 1, chunk, 0)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("cut short")));
  EXPECT_THAT(DecodeListNode(RawNode(0, 1, chunk, 2)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("trailing bytes")));
  EXPECT_THAT(DecodeListNode(RawNode(0, 1, {0x02, 0x02}, 1)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("trailing bytes")));
  EXPECT_THAT(DecodeListNode(RawNode(0, 2, chunk, 1)), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(DecodeListNode(RawNode(32, 1, {1, 1}, 1)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("out of its range")));
  EXPECT_THAT(DecodeListNode(RawNode(31, 1, {1, 1}, 1)), IsOk());
  EXPECT_THAT(DecodeListNode(RawNode(0, 1025, Bytes(1025, 2), 1025)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("out of its range")));
  EXPECT_THAT(DecodeListNode(RawNode(0, 1024, Bytes(1024, 2), 1024)), IsOk());
  EXPECT_THAT(DecodeTreeNode(Bytes(kMaxBlobBytes + 1)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("larger than any blob")));
}

TEST(NodeTest, RefusesLongVarints) {
  EXPECT_THAT(DecodeListNode(RawNode(0, 1, {0x83, 0x00}, 0)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("shortest form")));
  EXPECT_THAT(DecodeTreeNode(Bytes{0x80, 0x00, 0x00, 0x00}),
              StatusIs(StatusCode::kDataLoss, HasSubstr("shortest form")));
}

// One entry, "a", of this type, with these bytes in place of the ones after its attributes.
StatusOr<TreeNode> DecodeWithTail(EntryType type, Bytes tail, size_t ids) {
  Bytes items = {1, 'a', static_cast<uint8_t>(type), 0, 0, 0, 0, 0, 0};
  Append(items, tail);
  return DecodeTreeNode(RawNode(0, 1, items, ids));
}

TEST(NodeTest, RefusesUnknownMarks) {
  EXPECT_THAT(DecodeWithTail(EntryType::kFile, {0, 0, 0, 0}, 0), IsOk());
  for (const uint8_t flags : Bytes{4, 8, 0x80}) {
    EXPECT_THAT(DecodeWithTail(EntryType::kFile, {0, flags, 0, 0}, 0),
                StatusIs(StatusCode::kDataLoss, HasSubstr("unknown flags")));
  }
  EXPECT_THAT(DecodeWithTail(EntryType::kFile, {0, 0, 2, 0}, 0),
              StatusIs(StatusCode::kDataLoss, HasSubstr("unknown form of content")));
  EXPECT_THAT(DecodeWithTail(EntryType::kDirectory, {2}, 1), IsOk());
  EXPECT_THAT(DecodeWithTail(EntryType::kDirectory, {1}, 1),
              StatusIs(StatusCode::kDataLoss, HasSubstr("unknown flags")));
  // Type, attributes up to mtime, one attribute "x" in place 2.
  EXPECT_THAT(DecodeTreeNode(RawNode(0, 1, {1, 'a', 4, 0, 0, 0, 0, 0, 1, 1, 'x', 2, 0}, 0)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("unknown place")));
  EXPECT_THAT(DecodeLinksNode(RawNode(0, 1, {2, 1, 'a'}, 0)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("neither 0 nor 1")));
}

TEST(NodeTest, RefusesNumbersOver32Bits) {
  const Bytes over = {0x80, 0x80, 0x80, 0x80, 0x10};
  Bytes items = {1, 'a', 4, 0};
  Append(items, over);  // uid
  Append(items, Bytes{0, 0, 0, 0});
  EXPECT_THAT(DecodeTreeNode(RawNode(0, 1, items, 0)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("out of its range")));
  Bytes tail = over;
  tail.push_back(0);
  EXPECT_THAT(DecodeWithTail(EntryType::kBlockDevice, tail, 0),
              StatusIs(StatusCode::kDataLoss, HasSubstr("out of its range")));
}

TEST(RootTest, RefusesWhatNoSnapshotHas) {
  const auto decode = [](const Bytes& items, size_t ids) {
    Bytes bytes;
    Encoder(bytes).String(items);
    bytes.resize(bytes.size() + 32 * ids, 7);
    return DecodeRoot(bytes);
  };
  EXPECT_THAT(decode({1, 0}, 1), IsOk());
  EXPECT_THAT(decode({1, 1}, 2), IsOk());
  EXPECT_THAT(decode({2, 0}, 1), StatusIs(StatusCode::kDataLoss, HasSubstr("unknown form")));
  EXPECT_THAT(decode({1, 2}, 2), StatusIs(StatusCode::kDataLoss, HasSubstr("neither 0 nor 1")));
  EXPECT_THAT(decode({1, 0}, 2), StatusIs(StatusCode::kDataLoss, HasSubstr("trailing")));
  EXPECT_THAT(decode({1, 0, 0}, 1), StatusIs(StatusCode::kDataLoss, HasSubstr("trailing")));
  EXPECT_THAT(decode({1}, 1), StatusIs(StatusCode::kDataLoss, HasSubstr("cut short")));
  EXPECT_THAT(decode({0, 8, 0}, 1),
              StatusIs(StatusCode::kDataLoss, HasSubstr("partial directory as a root")));
}

TEST(NodeReferencesTest, AreAllThatANodeNames) {
  Entry file = FileOfItems({Chunk(10), Zeros(65536), Chunk(7)});
  file.xattrs = {{"user.x", Xattr::InBlob{FilledId(9), 2000}}, {"user.y", Bytes{1}}};
  Entry list = FileEntry("list");
  list.size = 100;
  list.content.is_list = true;
  list.content.list = FilledId(3);
  Entry partial;
  partial.name = "p";
  partial.type = EntryType::kPartialDirectory;
  partial.node = FilledId(5);
  TreeNode node;
  node.entries = {DirectoryEntry("a", FilledId(4)), file, list, partial};
  using Refs = std::vector<BlobRef>;
  EXPECT_THAT(NodeReferences(BlobKind::kTree, EncodeTreeNode(node)),
              IsOkAndHolds(Refs{{BlobKind::kTree, FilledId(4)},
                                {BlobKind::kChunk, FilledId(9)},
                                {BlobKind::kChunk, FilledId(1)},
                                {BlobKind::kChunk, FilledId(1)},
                                {BlobKind::kList, FilledId(3)},
                                {BlobKind::kTree, FilledId(5)}}));
  EXPECT_THAT(NodeReferences(BlobKind::kTree, EncodeTreeNode({1, {}, {{"a", 1, FilledId(6)}}})),
              IsOkAndHolds(Refs{{BlobKind::kTree, FilledId(6)}}));
  EXPECT_THAT(NodeReferences(BlobKind::kList, EncodeListNode({0, {Chunk(1), Zeros(1)}, {}})),
              IsOkAndHolds(Refs{{BlobKind::kChunk, FilledId(1)}}));
  EXPECT_THAT(NodeReferences(BlobKind::kList, EncodeListNode({1, {}, {{1, 1, FilledId(6)}}})),
              IsOkAndHolds(Refs{{BlobKind::kList, FilledId(6)}}));
  EXPECT_THAT(NodeReferences(BlobKind::kLinks, EncodeLinksNode({0, {{true, "a"}}, {}})),
              IsOkAndHolds(Refs{}));
  EXPECT_THAT(NodeReferences(BlobKind::kLinks, EncodeLinksNode({1, {}, {{"a", 1, FilledId(6)}}})),
              IsOkAndHolds(Refs{{BlobKind::kLinks, FilledId(6)}}));
  Entry top = DirectoryEntry("", FilledId(4));
  EXPECT_THAT(NodeReferences(BlobKind::kRoot, EncodeRoot({top, FilledId(8)})),
              IsOkAndHolds(Refs{{BlobKind::kTree, FilledId(4)}, {BlobKind::kLinks, FilledId(8)}}));
  EXPECT_THAT(NodeReferences(BlobKind::kRoot, EncodeRoot({FilledId(4), std::nullopt})),
              IsOkAndHolds(Refs{{BlobKind::kTree, FilledId(4)}}));
  EXPECT_THAT(NodeReferences(BlobKind::kChunk, Bytes{1, 2, 3}), IsOkAndHolds(Refs{}));
}

TEST(NodeReferencesTest, OfADamagedNodeAreDataLoss) {
  EXPECT_THAT(NodeReferences(BlobKind::kTree, Bytes{1, 2, 3}), StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace cairn
