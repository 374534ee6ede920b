// SPDX-License-Identifier: Apache-2.0
#include "core/repo/base_leaves.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

namespace cairn {
namespace {

StatusOr<TreeNode> ReadNode(BlobSource& source, const BlobId& id) {
  ASSIGN_OR_RETURN(const Bytes bytes, source.ReadBlob({BlobKind::kTree, id}));
  return DecodeTreeNode(bytes);
}

}  // namespace

StatusOr<BaseLeaves> BaseLeaves::Open(BlobSource& source, const BlobId& top) {
  BaseLeaves leaves(source);
  ASSIGN_OR_RETURN(TreeNode node, ReadNode(source, top));
  if (node.level == 0) {
    const std::string last = node.entries.empty() ? "" : node.entries.back().name;
    leaves.items_.push_back({last, node.entries.size(), top});
    leaves.only_ = std::move(node);
    return leaves;
  }
  leaves.items_ = std::move(node.children);
  // Level by level: from the items of one to those of the next.
  for (uint8_t level = node.level - 1; level > 0; --level) {
    std::vector<NamedChild> below;
    for (const NamedChild& item : leaves.items_) {
      ASSIGN_OR_RETURN(node, ReadNode(source, item.id));
      if (node.level != level) return DataLoss("tree " + item.id.Hex() + ": wrong level");
      std::move(node.children.begin(), node.children.end(), std::back_inserter(below));
    }
    leaves.items_ = std::move(below);
  }
  return leaves;
}

BaseLeaves BaseLeaves::OfOne(BlobSource& source, NamedChild leaf) {
  BaseLeaves leaves(source);
  leaves.items_.push_back(std::move(leaf));
  return leaves;
}

StatusOr<TreeNode> BaseLeaves::Read(size_t index) {
  if (only_) return *std::exchange(only_, std::nullopt);
  const BlobId& id = items_[index].id;
  ASSIGN_OR_RETURN(TreeNode node, ReadNode(*source_, id));
  if (node.level != 0) return DataLoss("tree " + id.Hex() + ": wrong level");
  return node;
}

}  // namespace cairn
