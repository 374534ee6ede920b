// SPDX-License-Identifier: Apache-2.0
// The leaves of a directory in the base snapshot: what the spans of the walk are compared with.
// Memory: the inner items of the directory, and one leaf.
#pragma once

#include <optional>
#include <vector>

#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/tree/node.h"

namespace cairn {

class BaseLeaves {
 public:
  // Reads the inner nodes below `top`. `source` must outlive it.
  static StatusOr<BaseLeaves> Open(BlobSource& source, const BlobId& top);
  // Of a directory that is known to have one leaf, of which nothing is read yet.
  static BaseLeaves OfOne(BlobSource& source, NamedChild leaf);

  // In the order of their names, as their parents' items have them.
  const std::vector<NamedChild>& items() const { return items_; }
  // The leaf at `items()[index]`. Each is read once; different ones at the same time.
  StatusOr<TreeNode> Read(size_t index);

 private:
  explicit BaseLeaves(BlobSource& source) : source_(&source) {}

  BlobSource* source_;
  std::vector<NamedChild> items_;
  std::optional<TreeNode> only_;  // of a directory of one node, until it is read
};

}  // namespace cairn
