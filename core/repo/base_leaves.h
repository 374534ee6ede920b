// SPDX-License-Identifier: Apache-2.0
// The leaves of a directory in the base snapshot, one at a time: what a span of the walk is
// compared with. Memory: the inner items of the directory, and one leaf. Thread-compatible.
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

  const std::vector<BlobId>& ids() const { return leaves_; }
  bool AtEnd() const { return next_ == leaves_.size(); }
  // REQUIRES: !AtEnd(). `id` gets the leaf's own.
  StatusOr<TreeNode> Next(BlobId* id);

 private:
  explicit BaseLeaves(BlobSource& source) : source_(&source) {}

  BlobSource* source_;
  std::vector<BlobId> leaves_;
  size_t next_ = 0;
  std::optional<TreeNode> only_;  // of a directory of one node
};

}  // namespace cairn
