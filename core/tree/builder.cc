// SPDX-License-Identifier: Apache-2.0
#include "core/tree/builder.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "core/tree/level_splitter.h"

namespace cairn {

struct TreeBuilder::State {
  explicit State(BlobSink& sink) : splitter(sink) {}

  LevelSplitter<TreeSequence> splitter;
  std::string last;
  std::function<void(const NamedChild&)> on_leaf;
  Status deferred;  // what TryAddNode could not return

  void Closed(const NamedChild* leaf) {
    if (leaf != nullptr && on_leaf) on_leaf(*leaf);
  }
};

TreeBuilder::TreeBuilder(BlobSink& sink) : state_(std::make_unique<State>(sink)) {}
TreeBuilder::~TreeBuilder() = default;

void TreeBuilder::OnLeaf(std::function<void(const NamedChild&)> callback) {
  state_->on_leaf = std::move(callback);
}

Status TreeBuilder::Add(const Entry& entry) {
  RETURN_IF_ERROR(std::exchange(state_->deferred, OkStatus()));
  const char* fault = EntryFault(entry, /*named=*/true);
  if (fault == nullptr && entry.name <= state_->last) fault = "names are not in ascending order";
  if (fault != nullptr) {
    return InvalidArgument(absl::StrFormat("entry %s: %s", entry.name, fault));
  }
  state_->last = entry.name;
  ASSIGN_OR_RETURN(const NamedChild* leaf, state_->splitter.Add(entry));
  state_->Closed(leaf);
  return OkStatus();
}

bool TreeBuilder::TryAddNode(const NamedChild& node) {
  const bool closed_by_rule =
      node.count == kMaxNodeItems || (node.count >= kMinSplitItems && node.count < kMaxNodeItems &&
                                      AsksForSplit(/*level=*/0, node));
  if (!state_->deferred.ok() || !state_->splitter.AtBorder() || !closed_by_rule ||
      node.last <= state_->last) {
    return false;
  }
  state_->last = node.last;
  state_->deferred = state_->splitter.AddLeaf(node);
  state_->Closed(&node);
  return true;
}

StatusOr<BlobId> TreeBuilder::Finish() {
  RETURN_IF_ERROR(std::exchange(state_->deferred, OkStatus()));
  ASSIGN_OR_RETURN(const NamedChild* leaf, state_->splitter.CloseLast());
  state_->Closed(leaf);
  ASSIGN_OR_RETURN(const NamedChild top, state_->splitter.Finish());
  return top.id;
}

struct ListBuilder::State {
  explicit State(BlobSink& sink) : splitter(sink) {}

  LevelSplitter<ListSequence> splitter;
  std::vector<ContentItem> first;  // until there are more than an entry holds
  bool is_list = false;
  uint64_t pending_zeros = 0;
  uint64_t bytes = 0;

  // No two zero extents come here that could be one.
  Status AddMerged(const ContentItem& item) {
    if (!is_list && first.size() < kMaxInlineItems) {
      first.push_back(item);
      return OkStatus();
    }
    if (!is_list) {
      is_list = true;
      for (const ContentItem& early : first) RETURN_IF_ERROR(splitter.Add(early).status());
      first.clear();
    }
    return splitter.Add(item).status();
  }

  Status FlushZeros() {
    while (pending_zeros > 0) {
      const uint64_t extent = std::min(pending_zeros, kMaxZeroExtentBytes);
      RETURN_IF_ERROR(AddMerged({.bytes = extent, .zero = true, .id = {}}));
      pending_zeros -= extent;
    }
    return OkStatus();
  }
};

ListBuilder::ListBuilder(BlobSink& sink) : state_(std::make_unique<State>(sink)) {}
ListBuilder::~ListBuilder() = default;

Status ListBuilder::Add(const ContentItem& item) {
  if (const char* fault = ContentItemFault(nullptr, item)) {
    return InvalidArgument(absl::StrFormat("item at byte %d: %s", state_->bytes, fault));
  }
  if (item.bytes > kMaxFileBytes - state_->bytes) {
    return ResourceExhausted("content is larger than any file");
  }
  state_->bytes += item.bytes;
  if (item.zero) {
    state_->pending_zeros += item.bytes;
    return OkStatus();
  }
  RETURN_IF_ERROR(state_->FlushZeros());
  return state_->AddMerged(item);
}

StatusOr<Content> ListBuilder::Finish() {
  RETURN_IF_ERROR(state_->FlushZeros());
  Content content;
  content.is_list = state_->is_list;
  if (!content.is_list) {
    content.items = std::move(state_->first);
    return content;
  }
  RETURN_IF_ERROR(state_->splitter.CloseLast().status());
  ASSIGN_OR_RETURN(const ListChild top, state_->splitter.Finish());
  content.list = top.id;
  return content;
}

uint64_t ListBuilder::bytes() const { return state_->bytes; }

struct LinksBuilder::State {
  explicit State(BlobSink& sink) : splitter(sink) {}

  LevelSplitter<LinksSequence> splitter;
  LinkOrder order{/*from_start=*/true};
  bool empty = true;
};

LinksBuilder::LinksBuilder(BlobSink& sink) : state_(std::make_unique<State>(sink)) {}
LinksBuilder::~LinksBuilder() = default;

Status LinksBuilder::Add(const LinkPath& path) {
  if (const char* fault = state_->order.Next(path)) {
    return InvalidArgument(absl::StrFormat("hard link %s: %s", path.path, fault));
  }
  state_->empty = false;
  return state_->splitter.Add(path).status();
}

StatusOr<std::optional<BlobId>> LinksBuilder::Finish() {
  if (const char* fault = state_->order.End()) return InvalidArgument(fault);
  if (state_->empty) return std::nullopt;
  RETURN_IF_ERROR(state_->splitter.CloseLast().status());
  ASSIGN_OR_RETURN(const NamedChild top, state_->splitter.Finish());
  return top.id;
}

}  // namespace cairn
