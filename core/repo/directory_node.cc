// SPDX-License-Identifier: Apache-2.0
#include "core/repo/directory_node.h"

#include <algorithm>

namespace cairn {
namespace {

// Few kilobytes each. The cache keeps them out of memory.
constexpr size_t kMaxRowsHeld = 64;

}  // namespace

DirectoryNode::DirectoryNode(Repository& repository, BlobWriter& writer, ChangeCache* cache,
                             const std::string& path, std::optional<BlobId> base)
    : repository_(repository),
      writer_(writer),
      cache_(cache),
      path_(path),
      base_(std::move(base)),
      is_base_(base_.has_value()) {}

StatusOr<bool> DirectoryNode::AddLeaf(const NamedChild& leaf) {
  if (is_base_) {
    same_leaves_.push_back(leaf);
    return true;
  }
  RETURN_IF_ERROR(Flush());
  return TakeOver(leaf);
}

Status DirectoryNode::Replace(const BlobId& leaf) {
  is_base_ = false;
  RETURN_IF_ERROR(Flush());
  replaced_leaves_.push_back(leaf);
  nodes_->Replace(BlobKind::kTree, leaf);
  return OkStatus();
}

Status DirectoryNode::Add(const Entry& entry, Witness witness) {
  is_base_ = false;
  RETURN_IF_ERROR(Flush());
  // One with an entry unread is looked at again.
  if (cache_ != nullptr) open_witnesses_.emplace_back(entry.name, entry.unread ? 0 : witness);
  RETURN_IF_ERROR(builder_->Add(entry));
  return new_rows_.size() < kMaxRowsHeld ? OkStatus() : PutRows();
}

void DirectoryNode::Begin() {
  nodes_.emplace(writer_);
  builder_ = std::make_unique<TreeBuilder>(*nodes_);
  builder_->OnLeaf([this](const NamedChild& leaf) { CloseLeaf(leaf); });
}

// The row of a leaf that the builder has closed.
void DirectoryNode::CloseLeaf(const NamedChild& leaf) {
  if (cache_ == nullptr || taking_over_) return;  // what is taken over has its row already
  CacheRow row;
  DirectoryHasher hasher;
  for (size_t i = 0; i < leaf.count && i < open_witnesses_.size(); ++i) {
    hasher.Add(open_witnesses_[i].first, open_witnesses_[i].second);
    row.witnesses.push_back(open_witnesses_[i].second);
  }
  row.hash = hasher.Finish();
  if (std::any_of(row.witnesses.begin(), row.witnesses.end(), IsTentative)) {
    row.tentative_at = CoarseNow().seconds;
  }
  open_witnesses_.erase(open_witnesses_.begin(),
                        open_witnesses_.begin() + static_cast<ptrdiff_t>(row.witnesses.size()));
  new_rows_.emplace_back(leaf.id, std::move(row));
}

Status DirectoryNode::PutRows() {
  for (const auto& [leaf, row] : new_rows_) {
    RETURN_IF_ERROR(cache_->Put(path_, leaf, row));
    put_rows_.push_back(leaf);
  }
  new_rows_.clear();
  return OkStatus();
}

// Gives the builder what came before the first difference.
Status DirectoryNode::Flush() {
  if (builder_ == nullptr) Begin();
  if (same_leaves_.empty()) return OkStatus();
  for (const NamedChild& leaf : std::exchange(same_leaves_, {})) {
    ASSIGN_OR_RETURN(const bool added, TakeOver(leaf));
    if (!added) return DataLoss("tree " + leaf.id.Hex() + " cannot be read");
  }
  return OkStatus();
}

StatusOr<bool> DirectoryNode::TakeOver(const NamedChild& leaf) {
  taking_over_ = true;
  const bool taken = builder_->TryAddNode(leaf);
  taking_over_ = false;
  if (taken) return true;
  const StatusOr<Bytes> bytes = repository_.ReadBlob({BlobKind::kTree, leaf.id});
  if (!bytes.ok()) return false;
  const StatusOr<TreeNode> node = DecodeTreeNode(*bytes);
  if (!node.ok()) return false;
  RETURN_IF_ERROR(AddSplit(leaf, *node));
  return true;
}

// Its entries are as they were, but the borders of the leaves have moved.
Status DirectoryNode::AddSplit(const NamedChild& leaf, const TreeNode& node) {
  nodes_->Replace(BlobKind::kTree, leaf.id);
  std::optional<CacheRow> row;
  if (cache_ != nullptr) {
    ASSIGN_OR_RETURN(row, cache_->Find(path_, leaf.id));
    if (row && row->witnesses.size() != node.entries.size()) row.reset();
  }
  for (size_t i = 0; i < node.entries.size(); ++i) {
    if (cache_ != nullptr) {
      open_witnesses_.emplace_back(node.entries[i].name, row ? row->witnesses[i] : 0);
    }
    RETURN_IF_ERROR(builder_->Add(node.entries[i]));
  }
  replaced_leaves_.push_back(leaf.id);
  return OkStatus();
}

StatusOr<BlobId> DirectoryNode::Finish(bool remember) {
  if (is_base_) return *base_;
  RETURN_IF_ERROR(Flush());
  if (base_) nodes_->Replace(BlobKind::kTree, *base_);
  ASSIGN_OR_RETURN(const BlobId id, builder_->Finish());
  builder_.reset();
  if (cache_ == nullptr) return id;
  if (!remember) {
    for (const BlobId& leaf : put_rows_) RETURN_IF_ERROR(cache_->TakeBack(path_, leaf));
    return id;
  }
  for (const BlobId& leaf : replaced_leaves_) RETURN_IF_ERROR(cache_->Remove(path_, leaf));
  RETURN_IF_ERROR(PutRows());
  return id;
}

}  // namespace cairn
