// SPDX-License-Identifier: Apache-2.0
// The bytes of each kind of node, made by an encoder of their own from docs/format.md.
#include <gtest/gtest.h>

#include <string>

#include "core/base/hex.h"
#include "core/tree/node.h"
#include "tests/support/status_matchers.h"
#include "tests/tree/tree_samples.h"

namespace cairn {
namespace {

using testing::FilledId;
using testing::IsOkAndHolds;

std::string Ids(std::initializer_list<uint8_t> fills) {
  std::string hex;
  for (const uint8_t fill : fills) hex += FilledId(fill).Hex();
  return hex;
}

Bytes FromHex(const std::string& hex) { return *HexDecode(hex); }

Entry Plain(const std::string& name, EntryType type, uint32_t mode) {
  Entry entry;
  entry.name = name;
  entry.type = type;
  entry.mode = mode;
  return entry;
}

std::vector<Entry> EntriesOfAllTypes() {
  std::vector<Entry> entries;
  Entry file = Plain("a", EntryType::kFile, 0644);
  file.uid = 1000;
  file.gid = 100;
  file.mtime = {1'700'000'000, 123'456'789};
  file.xattrs = {{"user.big", Xattr::InBlob{FilledId(0x11), 2000}}, {"user.k", ToBytes("v")}};
  file.size = 300 + 65536 + 5;
  file.sparse = true;
  file.content.items = {
      {300, false, FilledId(0x12)}, {65536, true, {}}, {5, false, FilledId(0x13)}};
  entries.push_back(file);
  Entry directory = Plain("b", EntryType::kDirectory, 01755);
  directory.mtime = {-1, 0};
  directory.unread = true;
  directory.node = FilledId(0x14);
  entries.push_back(directory);
  Entry symlink = Plain("c", EntryType::kSymlink, 0);
  symlink.uid = 0xffffffff;
  symlink.target = "../x";
  entries.push_back(symlink);
  entries.push_back(Plain("d", EntryType::kFifo, 0600));
  entries.push_back(Plain("e", EntryType::kSocket, 0600));
  Entry device = Plain("f", EntryType::kCharacterDevice, 0666);
  device.device = {1, 3};
  entries.push_back(device);
  device = Plain("g", EntryType::kBlockDevice, 0660);
  device.gid = 6;
  device.device = {259, 65536};
  entries.push_back(device);
  Entry partial = Plain("h", EntryType::kPartialDirectory, 0);
  partial.node = FilledId(0x15);
  entries.push_back(partial);
  Entry large = Plain("i", EntryType::kFile, 0400);
  large.mtime.nanoseconds = 999'999'999;
  large.size = uint64_t{1} << 40;
  large.content.is_list = true;
  large.content.list = FilledId(0x16);
  entries.push_back(large);
  Entry unread = Plain("j", EntryType::kFile, 0);
  unread.unread = true;
  entries.push_back(unread);
  return entries;
}

TEST(NodeGoldenTest, TreeLeaf) {
  const TreeNode node = {.level = 0, .entries = EntriesOfAllTypes(), .children = {}};
  const Bytes golden = FromHex(
      "000aa601016101a403e8076480c49fd50c959aef3a0208757365722e62696701d00f06757365722e6b000176b1"
      "8204010003d8048180080a016202ed0700000100000201630300ffffffff0f00000000042e2e2f780164048003"
      "000000000001650580030000000000016606b60300000000000103016707b00300060000008302808004016808"
      "0169018002000000ff93ebdc03008080808080200001016a0100000000000000020000" +
      Ids({0x11, 0x12, 0x13, 0x14, 0x15, 0x16}));
  EXPECT_EQ(EncodeTreeNode(node), golden);
  EXPECT_THAT(DecodeTreeNode(golden), IsOkAndHolds(node));
}

TEST(NodeGoldenTest, TreeInner) {
  const TreeNode node = {.level = 2,
                         .entries = {},
                         .children = {{"m", 300, FilledId(0x21)}, {"z\xff", 1, FilledId(0x22)}}};
  const Bytes golden = FromHex("020208016dac02027aff01" + Ids({0x21, 0x22}));
  EXPECT_EQ(EncodeTreeNode(node), golden);
  EXPECT_THAT(DecodeTreeNode(golden), IsOkAndHolds(node));
}

TEST(NodeGoldenTest, EmptyDirectory) {
  EXPECT_EQ(EncodeTreeNode({}), FromHex("000000"));
  EXPECT_THAT(DecodeTreeNode(FromHex("000000")), IsOkAndHolds(TreeNode{}));
}

TEST(NodeGoldenTest, ListLeaf) {
  const ListNode node = {.level = 0,
                         .items = {{4096, false, FilledId(0x31)},
                                   {uint64_t{1} << 40, true, {}},
                                   {1, false, FilledId(0x32)}},
                         .children = {}};
  const Bytes golden = FromHex("000309804081808080804002" + Ids({0x31, 0x32}));
  EXPECT_EQ(EncodeListNode(node), golden);
  EXPECT_THAT(DecodeListNode(golden), IsOkAndHolds(node));
}

TEST(NodeGoldenTest, ListInner) {
  const ListNode node = {
      .level = 1,
      .items = {},
      .children = {{uint64_t{1} << 20, 64, FilledId(0x41)}, {5, 1, FilledId(0x42)}}};
  const Bytes golden = FromHex("010206808040400501" + Ids({0x41, 0x42}));
  EXPECT_EQ(EncodeListNode(node), golden);
  EXPECT_THAT(DecodeListNode(golden), IsOkAndHolds(node));
}

TEST(NodeGoldenTest, LinksLeaf) {
  const LinksNode node = {.level = 0,
                          .paths = {{true, "a/b"}, {false, "z"}, {true, "a!"}, {false, "a!b"}},
                          .children = {}};
  const Bytes golden = FromHex("0004110103612f6200017a010261210003612162");
  EXPECT_EQ(EncodeLinksNode(node), golden);
  EXPECT_THAT(DecodeLinksNode(golden), IsOkAndHolds(node));
}

TEST(NodeGoldenTest, LinksInner) {
  const LinksNode node = {.level = 1,
                          .paths = {},
                          .children = {{"z", 40, FilledId(0x51)}, {"a!b", 20, FilledId(0x52)}}};
  const Bytes golden = FromHex("010208017a280361216214" + Ids({0x51, 0x52}));
  EXPECT_EQ(EncodeLinksNode(node), golden);
  EXPECT_THAT(DecodeLinksNode(golden), IsOkAndHolds(node));
}

TEST(NodeGoldenTest, RootOfOneSource) {
  Entry top = Plain("", EntryType::kDirectory, 0755);
  top.uid = 1;
  top.gid = 2;
  top.mtime = {3, 4};
  top.node = FilledId(0x61);
  const Root root = {.top = top, .links = FilledId(0x62)};
  const Bytes golden = FromHex("0b0002ed0301020604000001" + Ids({0x61, 0x62}));
  EXPECT_EQ(EncodeRoot(root), golden);
  EXPECT_THAT(DecodeRoot(golden), IsOkAndHolds(root));
}

TEST(NodeGoldenTest, RootOfSeveralSources) {
  const Root root = {.top = FilledId(0x63), .links = std::nullopt};
  const Bytes golden = FromHex("020100" + Ids({0x63}));
  EXPECT_EQ(EncodeRoot(root), golden);
  EXPECT_THAT(DecodeRoot(golden), IsOkAndHolds(root));
}

}  // namespace
}  // namespace cairn
