// SPDX-License-Identifier: Apache-2.0
// That a check takes nothing for sound that the rules of the format would not have made.
#include <array>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/tree/borders.h"
#include "core/tree/walk.h"
#include "tests/repo/hostile_repository.h"

namespace cairn::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckCanonicalTest : public ::testing::Test {
 protected:
  static std::vector<Entry> Files(int count, const std::string& prefix = "file") {
    std::vector<Entry> files;
    for (int i = 0; i < count; ++i) {
      files.push_back(HostileRepository::EmptyFile(absl::StrFormat("%s%05d", prefix, i)));
    }
    return files;
  }
  // Of parts that end after these numbers of entries.
  BlobId SplitAt(const std::vector<Entry>& entries, const std::vector<size_t>& ends) const {
    TreeNode top{1, {}, {}};
    size_t begin = 0;
    for (const size_t end : ends) {
      const auto at = entries.begin();
      top.children.push_back(
          test_.Part({at + static_cast<ptrdiff_t>(begin), at + static_cast<ptrdiff_t>(end)}));
      begin = end;
    }
    return test_.TreeBlob(top).ref.id;
  }
  // The first border that the rules give, or 0.
  static size_t FirstBorder(const std::vector<Entry>& entries) {
    for (size_t n = 1; n <= entries.size(); ++n) {
      const auto end = entries.begin() + static_cast<ptrdiff_t>(n);
      if (BordersOf(TreeNode{0, {entries.begin(), end}, {}}).closed) return n;
    }
    return 0;
  }
  // A chunk list of items of `length` bytes of zeros and of one chunk, in turn.
  std::vector<ContentItem> Items(size_t count, uint64_t zeros = 65536) const {
    const TestBlob chunk = test_.StoredChunk(1);
    std::vector<ContentItem> items;
    for (size_t i = 0; i < count; ++i) {
      items.push_back(i % 2 == 0 ? ContentItem{chunk.bytes.size(), false, chunk.ref.id}
                                 : ContentItem{zeros + i, true, {}});
    }
    return items;
  }
  static uint64_t BytesOf(const std::vector<ContentItem>& items) {
    uint64_t bytes = 0;
    for (const ContentItem& item : items) bytes += item.bytes;
    return bytes;
  }
  ListChild ListPart(const std::vector<ContentItem>& items) const {
    return {BytesOf(items), items.size(), test_.ListBlob({0, items, {}}).ref.id};
  }
  void SnapshotOfFile(const Entry& file) { test_.Snapshot(test_.TreeBlob({0, {file}, {}}).ref.id); }
  void SnapshotWithLinks(const std::vector<LinkPath>& paths) {
    const TestBlob one = test_.StoredChunk(1);
    const TestBlob two = test_.StoredChunk(2);
    const BlobId below =
        test_.TreeBlob({0, {test_.File("c", one), test_.File("d", two)}, {}}).ref.id;
    const BlobId top = test_
                           .TreeBlob({0,
                                      {test_.File("a", one), test_.File("b", one),
                                       test_.Directory("dir", below), test_.File("e", one)},
                                      {}})
                           .ref.id;
    test_.Snapshot(top, test_.LinksBlob({0, paths, {}}).ref.id);
  }

  HostileRepository test_;
};

TEST_F(CheckCanonicalTest, WhatTheRulesMakeIsSound) {
  std::vector<Entry> entries = Files(3000);
  ListBuilder list(test_.blobs());
  for (const ContentItem& item : Items(500)) ASSERT_OK(list.Add(item));
  const uint64_t bytes = list.bytes();
  ASSERT_OK_AND_ASSIGN(const Content content, list.Finish());
  entries.push_back(HostileRepository::ListFile("list", bytes, content.list));
  LinksBuilder links(test_.blobs());
  for (size_t i = 0; i < 400; ++i) {
    ASSERT_OK(links.Add({.first = i % 2 == 0, .path = entries[i].name}));
  }
  ASSERT_OK_AND_ASSIGN(const std::optional<BlobId> table, links.Finish());
  test_.Snapshot(test_.Built(entries), table);
  EXPECT_THAT(test_.Findings(), IsEmpty());
}

TEST_F(CheckCanonicalTest, FindsADirectorySplitWhereTheRulesDoNot) {
  const std::vector<Entry> entries = Files(40);
  const size_t border = FirstBorder(entries);
  test_.Snapshot(SplitAt(entries, {border == 10 ? size_t{11} : size_t{10}, 40}));
  EXPECT_THAT(test_.Findings(), HasSubstr("begins where the rules do not split"));
  const CheckResult result = test_.Checked();
  EXPECT_EQ(result.affected_snapshots.size(), 1U);
  EXPECT_GT(result.affected_count, 0U);
}

TEST_F(CheckCanonicalTest, FindsADirectoryThatIsNotSplitWhereTheRulesDo) {
  const std::vector<Entry> entries = Files(500);
  ASSERT_GT(FirstBorder(entries), 0U);
  test_.Snapshot(test_.TreeBlob({0, entries, {}}).ref.id);
  EXPECT_THAT(test_.Findings(), HasSubstr("goes on after an item that ends it"));
}

TEST_F(CheckCanonicalTest, FindsANodeOfMoreBytesThanTheRulesAllow) {
  std::vector<Entry> entries;
  for (char c = 'a'; c < 'a' + 15; ++c) {
    entries.push_back(HostileRepository::EmptyFile(std::string(4095, c)));
  }
  entries.push_back(HostileRepository::EmptyFile(std::string(4095, 'x')));
  entries.push_back(HostileRepository::EmptyFile(std::string(4095, 'y')));
  ASSERT_EQ(FirstBorder(entries), 16U);
  test_.Snapshot(test_.TreeBlob({0, entries, {}}).ref.id);
  EXPECT_THAT(test_.Findings(), HasSubstr("goes on after an item that ends it"));
}

TEST_F(CheckCanonicalTest, FindsALevelThatIsNotNeeded) {
  test_.Snapshot(SplitAt(Files(10), {10}));
  EXPECT_THAT(test_.Findings(), HasSubstr("top of one child"));
}

TEST_F(CheckCanonicalTest, FindsAPartOfADirectoryThatIsNamedAsAWhole) {
  // The last node of the level below has one child, as it may; not so as a directory of its own.
  const std::vector<Entry> entries = Files(40);
  const TestBlob inner = test_.TreeBlob({1, {}, {test_.Part(entries)}});
  const TestBlob top = test_.TreeBlob({0, {test_.Directory("dir", inner.ref.id)}, {}});
  test_.Snapshot(top.ref.id);
  EXPECT_THAT(test_.Findings(), HasSubstr("top of one child"));
}

TEST_F(CheckCanonicalTest, FindsAPartThatIsNotWhatItsParentSays) {
  const std::vector<Entry> entries = Files(40);
  NamedChild first = test_.Part({entries.begin(), entries.begin() + 20});
  const NamedChild second = test_.Part({entries.begin() + 20, entries.end()});
  ++first.count;
  test_.Snapshot(test_.TreeBlob({1, {}, {first, second}}).ref.id);
  EXPECT_THAT(test_.Findings(), HasSubstr("is not what the parent says of it"));
}

TEST_F(CheckCanonicalTest, FindsALevelThatDoesNotFollow) {
  const std::vector<Entry> entries = Files(40);
  const NamedChild first = test_.Part({entries.begin(), entries.begin() + 20});
  const NamedChild second = test_.Part({entries.begin() + 20, entries.end()});
  test_.Snapshot(test_.TreeBlob({7, {}, {first, second}}).ref.id);
  EXPECT_THAT(test_.Findings(), HasSubstr("level does not follow"));
}

TEST_F(CheckCanonicalTest, FindsNamesThatAreOutOfOrderBeyondANode) {
  const std::vector<Entry> entries = Files(40);
  std::vector<Entry> first = {entries.begin(), entries.begin() + 20};
  first.pop_back();
  first.push_back(entries[25]);
  NamedChild claimed = test_.Part(first);
  const NamedChild second = test_.Part({entries.begin() + 20, entries.end()});
  test_.Snapshot(test_.TreeBlob({1, {}, {claimed, second}}).ref.id);
  EXPECT_THAT(test_.Findings(), HasSubstr("names do not follow"));
}

TEST_F(CheckCanonicalTest, FindsAListSplitWhereTheRulesDoNot) {
  const std::vector<ContentItem> items = Items(40);
  const ListNode top{
      1,
      {},
      {ListPart({items.begin(), items.begin() + 9}), ListPart({items.begin() + 9, items.end()})}};
  SnapshotOfFile(HostileRepository::ListFile("file", BytesOf(items), test_.ListBlob(top).ref.id));
  EXPECT_THAT(test_.Findings(), HasSubstr("begins where the rules do not split"));
}

TEST_F(CheckCanonicalTest, FindsAListForAShortContent) {
  const std::vector<ContentItem> items = Items(16);
  SnapshotOfFile(HostileRepository::ListFile("file", BytesOf(items), ListPart(items).id));
  EXPECT_THAT(test_.Findings(), HasSubstr("a file names it"));
}

TEST_F(CheckCanonicalTest, FindsZerosThatAreTwoExtentsAcrossNodes) {
  std::vector<ContentItem> first = Items(20);
  ASSERT_TRUE(first.back().zero);
  // A length that ends the node by the rules.
  while (!BordersOf(ListNode{0, first, {}}).closed) ++first.back().bytes;
  if (BordersOf(ListNode{0, first, {}}).too_long) GTEST_SKIP() << "an item before ends it already";
  std::vector<ContentItem> second = Items(3);
  second.erase(second.begin());
  const ListNode top{1, {}, {ListPart(first), ListPart(second)}};
  SnapshotOfFile(HostileRepository::ListFile("file", BytesOf(first) + BytesOf(second),
                                             test_.ListBlob(top).ref.id));
  EXPECT_THAT(test_.Findings(), HasSubstr("zeros belong to those before"));
}

TEST_F(CheckCanonicalTest, FindsAListOfAnotherLengthThanItsFile) {
  const std::vector<ContentItem> items = Items(17);
  SnapshotOfFile(HostileRepository::ListFile("file", BytesOf(items) + 1, ListPart(items).id));
  EXPECT_THAT(test_.Findings(), HasSubstr("and the file has"));
}

TEST_F(CheckCanonicalTest, LinkGroupsOfEqualEntriesAreSound) {
  SnapshotWithLinks({{true, "a"}, {false, "b"}, {false, "dir/c"}});
  EXPECT_THAT(test_.Findings(), IsEmpty());
}

TEST_F(CheckCanonicalTest, FindsAPathOfALinkGroupThatIsNotInTheTree) {
  for (const std::string path : {"aa", "dir/x", "z"}) {
    SnapshotWithLinks({{true, "a"}, {false, path}});
  }
  EXPECT_THAT(test_.Findings(), HasSubstr("path aa of a link group is not in the tree"));
  EXPECT_THAT(test_.Findings(), HasSubstr("path dir/x of a link group is not in the tree"));
  EXPECT_THAT(test_.Findings(), HasSubstr("path z of a link group is not in the tree"));
}

TEST_F(CheckCanonicalTest, FindsLinkGroupsOfEntriesThatDiffer) {
  SnapshotWithLinks({{true, "a"}, {false, "dir/c"}, {false, "dir/d"}});
  EXPECT_THAT(test_.Findings(), HasSubstr("of one link group differ"));
  EXPECT_EQ(test_.Checked().affected_snapshots.size(), 1U);
}

TEST_F(CheckCanonicalTest, FindsAPathInTwoLinkGroups) {
  SnapshotWithLinks({{true, "a"}, {false, "e"}, {true, "b"}, {false, "e"}});
  EXPECT_THAT(test_.Findings(), HasSubstr("path e stands in link groups twice"));
}

TEST_F(CheckCanonicalTest, FindsADirectoryInALinkGroup) {
  SnapshotWithLinks({{true, "a"}, {false, "dir"}});
  EXPECT_THAT(test_.Findings(), HasSubstr("path dir of a link group is a directory"));
}

TEST_F(CheckCanonicalTest, FindsALinkGroupOfOnePathBeyondANode) {
  std::vector<Entry> entries = Files(40);
  LinksNode first{0, {}, {}};
  LinksNode second{0, {}, {}};
  for (size_t i = 0; i < 20; ++i) first.paths.push_back({i % 2 == 0, entries[i].name});
  first.paths.push_back({true, entries[20].name});
  second.paths = {{true, entries[21].name}, {false, entries[22].name}};
  const LinksNode top{
      1,
      {},
      {{first.paths.back().path, first.paths.size(), test_.LinksBlob(first).ref.id},
       {second.paths.back().path, second.paths.size(), test_.LinksBlob(second).ref.id}}};
  test_.Snapshot(test_.Built(entries), test_.LinksBlob(top).ref.id);
  EXPECT_FALSE(test_.Checked().clean());
}

TEST_F(CheckCanonicalTest, FindsDirectoriesThatAreNestedTooDeeply) {
  for (const int depth : {kMaxDepth, kMaxDepth + 1}) {
    HostileRepository test;
    BlobId node = test.Built({HostileRepository::EmptyFile("end")});
    for (int i = 0; i < depth; ++i) {
      node = test.Built({HostileRepository::Directory("d", node)});
    }
    test.Snapshot(node);
    if (depth == kMaxDepth) {
      EXPECT_THAT(test.Findings(), IsEmpty());
    } else {
      EXPECT_THAT(test.Findings(), HasSubstr("too"));
      EXPECT_FALSE(test.Checked().affected.empty());
    }
  }
}

TEST_F(CheckCanonicalTest, DepthIsThatOfTheDeepestWay) {
  // Nodes that were met higher up before.
  BlobId node = test_.Built({HostileRepository::EmptyFile("end")});
  BlobId middle;
  for (int i = 0; i < kMaxDepth + 1; ++i) {
    node = test_.Built({HostileRepository::Directory("d", node)});
    if (i == kMaxDepth / 2) middle = node;
  }
  test_.Snapshot(middle);
  test_.Snapshot(node);
  EXPECT_THAT(test_.Findings(), HasSubstr("too deeply"));
}

TEST_F(CheckCanonicalTest, FindsLinkGroupsSplitWhereTheRulesDoNot) {
  const std::vector<Entry> entries = Files(4);
  LinksNode first{0, {{true, entries[0].name}, {false, entries[1].name}}, {}};
  LinksNode second{0, {{true, entries[2].name}, {false, entries[3].name}}, {}};
  const LinksNode top{1,
                      {},
                      {{entries[1].name, 2, test_.LinksBlob(first).ref.id},
                       {entries[3].name, 2, test_.LinksBlob(second).ref.id}}};
  test_.Snapshot(test_.Built(entries), test_.LinksBlob(top).ref.id);
  EXPECT_FALSE(test_.Checked().clean());
}

}  // namespace
}  // namespace cairn::testing
