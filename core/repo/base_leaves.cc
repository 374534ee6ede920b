// SPDX-License-Identifier: Apache-2.0
#include "core/repo/base_leaves.h"

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
  leaves.leaves_.push_back(top);
  if (node.level == 0) {
    leaves.only_ = std::move(node);
    return leaves;
  }
  // Level by level: from the ids of one to those of the next.
  for (uint8_t level = node.level; level > 0; --level) {
    std::vector<BlobId> below;
    for (const BlobId& id : leaves.leaves_) {
      ASSIGN_OR_RETURN(node, ReadNode(source, id));
      if (node.level != level) return DataLoss("tree " + id.Hex() + ": wrong level");
      for (const NamedChild& child : node.children) below.push_back(child.id);
    }
    leaves.leaves_ = std::move(below);
  }
  return leaves;
}

StatusOr<TreeNode> BaseLeaves::Next(BlobId* id) {
  *id = leaves_[next_++];
  if (only_) return *std::exchange(only_, std::nullopt);
  ASSIGN_OR_RETURN(TreeNode node, ReadNode(*source_, *id));
  if (node.level != 0) return DataLoss("tree " + id->Hex() + ": wrong level");
  return node;
}

}  // namespace cairn
