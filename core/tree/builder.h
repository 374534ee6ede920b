// SPDX-License-Identifier: Apache-2.0
// Sequences into nodes: directories, long chunk lists and link groups, split at content-defined
// borders (a prolly tree; Noms/Dolt), so that a change rewrites one node a level. The result is a
// function of the sequence alone (docs/format.md, "How sequences are split").
//
// A builder holds one open node a level: memory does not grow with the sequence. What no node may
// hold is INVALID_ARGUMENT and is not added; after any other error the builder is of no use, and
// Finish fails. Thread-compatible.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/tree/node.h"

namespace cairn {

class TreeBuilder {
 public:
  // `sink` must outlive the builder.
  explicit TreeBuilder(BlobSink& sink);
  ~TreeBuilder();

  // Names must ascend strictly.
  Status Add(const Entry& entry);
  // Adds all entries below a node of level 0 that is known to be stored, unread and unwritten, if
  // the sequence so far ended with a closed node and this one closed by the rules (and was not just
  // the last of its directory); otherwise returns false and adds nothing: the caller adds the
  // entries one by one. `last` and `count` are what the parent's item says of it. A node that was
  // closed by its bytes is not taken, as its item does not show it. An error of writing an inner
  // node is returned by the next Add or Finish.
  bool TryAddNode(const NamedChild& node);
  // Id of the top node; the builder is of no use afterwards.
  StatusOr<BlobId> Finish();

  // Called for each node of level 0, in order, once its entries are all added (by Add, Finish or
  // TryAddNode) and it is written: its child item, with the number of its entries. The node of an
  // empty directory has no name. For those who remember things by node (the change cache). Set
  // before the first Add.
  void OnLeaf(std::function<void(const NamedChild&)> callback);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class ListBuilder {
 public:
  explicit ListBuilder(BlobSink& sink);
  ~ListBuilder();
  // Adjacent zero extents are merged. RESOURCE_EXHAUSTED above kMaxFileBytes.
  Status Add(const ContentItem& item);
  // The content for the entry; writes nodes only if there are more than kMaxInlineItems.
  StatusOr<Content> Finish();
  uint64_t bytes() const;  // so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class LinksBuilder {
 public:
  explicit LinksBuilder(BlobSink& sink);
  ~LinksBuilder();
  // Groups must be in order of their first paths, paths ascending within a group.
  Status Add(const LinkPath& path);
  // Nothing if no path was added.
  StatusOr<std::optional<BlobId>> Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cairn
