// SPDX-License-Identifier: Apache-2.0
// The items of nodes: their bytes, what several of them span, and after which a node closes. One
// set of overloads for entries, content items, link paths and the children of inner nodes, so that
// builders and readers of all sequences are the same templates. For the files of this layer only.
#pragma once

#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/tree/node.h"
#include "core/tree/node_io.h"

namespace cairn {

// `named` false: the entry of a root.
void EncodeEntry(const Entry& entry, bool named, NodeSections& out);
// Accepts what EntryFault accepts.
Entry DecodeEntry(NodeSectionReader& in, bool named);

void EncodeItem(const Entry& item, NodeSections& out);
void EncodeItem(const ContentItem& item, NodeSections& out);
void EncodeItem(const LinkPath& item, NodeSections& out);
void EncodeItem(const NamedChild& item, NodeSections& out);
void EncodeItem(const ListChild& item, NodeSections& out);

// They check what an item shows alone, not its order.
void DecodeItem(NodeSectionReader& in, Entry& item);
void DecodeItem(NodeSectionReader& in, ContentItem& item);
void DecodeItem(NodeSectionReader& in, LinkPath& item);
void DecodeItem(NodeSectionReader& in, NamedChild& item);
void DecodeItem(NodeSectionReader& in, ListChild& item);

// A child item without its id is a span: what a run of items covers. Extend appends one item.
void Extend(NamedChild& span, const Entry& item);
void Extend(NamedChild& span, const LinkPath& item);
void Extend(NamedChild& span, const NamedChild& item);
void Extend(ListChild& span, const ContentItem& item);
void Extend(ListChild& span, const ListChild& item);
bool SameSpan(const NamedChild& a, const NamedChild& b);
bool SameSpan(const ListChild& a, const ListChild& b);

// The content-defined part of the rule by which a node closes (docs/format.md, "How sequences are
// split"): whether the item's split hash at this level asks for it.
bool AsksForSplit(uint8_t level, const Entry& item);
bool AsksForSplit(uint8_t level, const ContentItem& item);
bool AsksForSplit(uint8_t level, const LinkPath& item);
bool AsksForSplit(uint8_t level, const NamedChild& item);
bool AsksForSplit(uint8_t level, const ListChild& item);
inline constexpr size_t kMinSplitItems = 16;
inline constexpr size_t kMaxSplitBytes = 64 * kKiB;

// The three kinds of sequences. BeginFault: why a node cannot follow what `before` spans, or null.
struct TreeSequence {
  using Node = TreeNode;
  using Item = Entry;
  using Child = NamedChild;
  static constexpr BlobKind kKind = BlobKind::kTree;
  static constexpr const char* kName = "tree node";
  static constexpr auto kItems = &TreeNode::entries;
  static const char* NodeFault(const TreeNode& node);
  static const char* TopFault(const TreeNode& node);
  static const char* BeginFault(const NamedChild& before, const TreeNode& node);
};

struct ListSequence {
  using Node = ListNode;
  using Item = ContentItem;
  using Child = ListChild;
  static constexpr BlobKind kKind = BlobKind::kList;
  static constexpr const char* kName = "list node";
  static constexpr auto kItems = &ListNode::items;
  static const char* NodeFault(const ListNode& node);
  static const char* TopFault(const ListNode& node);
  static const char* BeginFault(const ListChild& before, const ListNode& node);
};

struct LinksSequence {
  using Node = LinksNode;
  using Item = LinkPath;
  using Child = NamedChild;
  static constexpr BlobKind kKind = BlobKind::kLinks;
  static constexpr const char* kName = "links node";
  static constexpr auto kItems = &LinksNode::paths;
  static const char* NodeFault(const LinksNode& node);
  static const char* TopFault(const LinksNode& node);
  static const char* BeginFault(const NamedChild& before, const LinksNode& node);
};

template <typename Sequence>
Bytes EncodeNode(const typename Sequence::Node& node) {
  NodeSections sections;
  for (const auto& item : node.*Sequence::kItems) EncodeItem(item, sections);
  for (const auto& child : node.children) EncodeItem(child, sections);
  return sections.Node(node.level, (node.*Sequence::kItems).size() + node.children.size());
}

template <typename Sequence>
StatusOr<typename Sequence::Node> DecodeNode(ByteSpan bytes) {
  NodeSectionReader in(bytes, Sequence::kName, /*is_root=*/false);
  typename Sequence::Node node;
  node.level = in.level();
  if (node.level == 0) {
    (node.*Sequence::kItems).reserve(in.count());
  } else {
    node.children.reserve(in.count());
  }
  for (size_t i = 0; i < in.count() && in.ok(); ++i) {
    if (node.level == 0) {
      DecodeItem(in, (node.*Sequence::kItems).emplace_back());
    } else {
      DecodeItem(in, node.children.emplace_back());
    }
  }
  if (in.ok()) in.FailIf(Sequence::NodeFault(node));
  RETURN_IF_ERROR(in.Finish());
  return node;
}

}  // namespace cairn
