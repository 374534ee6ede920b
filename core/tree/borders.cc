// SPDX-License-Identifier: Apache-2.0
#include "core/tree/borders.h"

#include "core/tree/items.h"
#include "core/tree/level_splitter.h"

namespace cairn {
namespace {

template <typename AnyItem>
NodeBorders BordersOfItems(size_t level, const std::vector<AnyItem>& items) {
  NodeBorders borders;
  NodeSections sections;
  for (size_t i = 0; i < items.size(); ++i) {
    if (borders.closed) borders.too_long = true;
    EncodeItem(items[i], sections);
    borders.closed = EndsNode(level, i + 1, sections.bytes(), items[i]);
  }
  return borders;
}

template <typename Sequence>
NodeBorders BordersOfNode(const typename Sequence::Node& node) {
  return node.level == 0 ? BordersOfItems(0, node.*Sequence::kItems)
                         : BordersOfItems(node.level, node.children);
}

}  // namespace

NodeBorders BordersOf(const TreeNode& node) { return BordersOfNode<TreeSequence>(node); }
NodeBorders BordersOf(const ListNode& node) { return BordersOfNode<ListSequence>(node); }
NodeBorders BordersOf(const LinksNode& node) { return BordersOfNode<LinksSequence>(node); }

}  // namespace cairn
