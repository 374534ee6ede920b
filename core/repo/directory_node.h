// SPDX-License-Identifier: Apache-2.0
// The node of a directory that is walked: put together of the base snapshot's leaves that are as
// they were and of entries that are not, so that it costs what has changed; and what the change
// cache will remember of it. Thread-compatible.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/fs/witness.h"
#include "core/repo/blob_writer.h"
#include "core/repo/change_cache.h"
#include "core/repo/repository.h"
#include "core/tree/builder.h"
#include "core/tree/entry.h"
#include "core/tree/node.h"

namespace cairn {

class DirectoryNode {
 public:
  // All outlive it; `cache` may be null. `base` is the top node of the directory in the base
  // snapshot, if it can be read.
  DirectoryNode(Repository& repository, BlobWriter& writer, ChangeCache* cache,
                const std::string& path, std::optional<BlobId> base);

  // The parts, in the order of their names. AddLeaf: a leaf of the base, all of it unchanged; false
  // if its entries must be added instead, since borders have moved and it cannot be read. A last
  // leaf, whose end may be none to the builder, must be readable if anything follows it.
  // Replace: what is added next stands in for that leaf. Add: an entry, 0 if nothing is to be
  // remembered of it.
  StatusOr<bool> AddLeaf(const NamedChild& leaf);
  Status Replace(const BlobId& leaf);
  Status Add(const Entry& entry, Witness witness);
  // It is not the base's node, though every leaf may be.
  void Differs() { is_base_ = false; }

  // Its id, and the changes to the cache if it is to remember them. Once.
  StatusOr<BlobId> Finish(bool remember);

 private:
  // Begins with the node that is not the base's.
  void Begin();
  Status Flush();
  StatusOr<bool> TakeOver(const NamedChild& leaf);
  Status AddSplit(const NamedChild& leaf, const TreeNode& node);
  void CloseLeaf(const NamedChild& leaf);
  Status PutRows();

  Repository& repository_;
  BlobWriter& writer_;
  ChangeCache* const cache_;
  const std::string& path_;
  const std::optional<BlobId> base_;

  bool is_base_;                         // so far
  std::vector<NamedChild> same_leaves_;  // not yet given to the builder
  std::optional<BlobWriter::Nodes> nodes_;
  std::unique_ptr<TreeBuilder> builder_;  // writes to nodes_; null while it is the base
  bool taking_over_ = false;              // the builder is given a whole leaf
  std::vector<std::pair<std::string, Witness>> open_witnesses_;  // of entries in no closed leaf yet
  std::vector<BlobId> replaced_leaves_;
  std::vector<std::pair<BlobId, CacheRow>> new_rows_;
  std::vector<BlobId> put_rows_;  // those that the cache has already
};

}  // namespace cairn
