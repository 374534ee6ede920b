// SPDX-License-Identifier: Apache-2.0
// A sequence into nodes, and the sequence of their child items into nodes again, until one remains.
// docs/format.md, "How sequences are split". For the files of this layer only.
#pragma once

#include <utility>
#include <vector>

#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/tree/items.h"

namespace cairn {

// Whether a node of `level` ends with `item`, its `items`-th, with which its sections have `bytes`.
template <typename AnyItem>
bool EndsNode(size_t level, size_t items, size_t bytes, const AnyItem& item) {
  if (items >= kMaxNodeItems) return true;
  // Two items at least above level 0, so that each level has fewer nodes than the one below even
  // where single items are large.
  if (bytes >= kMaxSplitBytes && (level == 0 || items >= 2)) return true;
  return items >= kMinSplitItems && AsksForSplit(static_cast<uint8_t>(level), item);
}

// Holds one open node a level. After an error all that follows fails. Thread-compatible.
template <typename Sequence>
class LevelSplitter {
 public:
  using Item = typename Sequence::Item;
  using Child = typename Sequence::Child;

  // `sink` must outlive the splitter.
  explicit LevelSplitter(BlobSink& sink) : sink_(sink), levels_(1) {}

  // Returns the node of level 0 that the item closed, or null; valid until the next call.
  StatusOr<const Child*> Add(const Item& item) {
    if (!Append(0, item)) return nullptr;
    RETURN_IF_ERROR(Close(0));
    RETURN_IF_ERROR(Raise(0));
    return &levels_[0].closed;
  }

  // Whether a node of level 0 would begin with the next item.
  bool AtBorder() const { return levels_[0].items == 0; }

  // A closed node of level 0 that is stored already. REQUIRES: AtBorder().
  Status AddLeaf(const Child& leaf) {
    levels_[0].closed = leaf;
    ++levels_[0].closed_nodes;
    return Raise(0);
  }

  // Closes the last node of level 0, if one is open or there is none yet; null if not.
  StatusOr<const Child*> CloseLast() {
    if (levels_[0].items == 0 && levels_[0].closed_nodes > 0) return nullptr;
    RETURN_IF_ERROR(Close(0));
    if (levels_[0].closed_nodes > 1) RETURN_IF_ERROR(Raise(0));
    return &levels_[0].closed;
  }

  // The top's child item. REQUIRES: CloseLast() was called, and nothing after it.
  StatusOr<Child> Finish() {
    if (broken_) return Internal("sequence goes on after an error");
    size_t level = 0;
    // A level with one node is the top. The level above may have its item in an open node, which
    // is never written.
    while (levels_[level].closed_nodes > 1) {
      ++level;
      if (levels_[level].items == 0) continue;
      RETURN_IF_ERROR(Close(level));
      if (levels_[level].closed_nodes > 1) RETURN_IF_ERROR(Raise(level));
    }
    return levels_[level].closed;
  }

 private:
  struct Level {
    NodeSections open;
    size_t items = 0;  // of the open node
    Child span;        // of the open node
    uint64_t closed_nodes = 0;
    Child closed;  // the last one of them
  };

  // Returns whether the item closes the node.
  template <typename AnyItem>
  bool Append(size_t level, const AnyItem& item) {
    Level& at = levels_[level];
    EncodeItem(item, at.open);
    Extend(at.span, item);
    ++at.items;
    return EndsNode(level, at.items, at.open.bytes(), item);
  }

  Status Close(size_t level) {
    if (broken_) return Internal("sequence goes on after an error");
    broken_ = true;
    Level& at = levels_[level];
    const Bytes bytes = at.open.Node(static_cast<uint8_t>(level), at.items);
    ASSIGN_OR_RETURN(at.span.id, sink_.WriteBlob(Sequence::kKind, bytes));
    at.closed = std::exchange(at.span, Child());
    at.open.Clear();
    at.items = 0;
    ++at.closed_nodes;
    broken_ = false;
    return OkStatus();
  }

  // Hands the node closed last to the level above, and on from there while nodes close.
  Status Raise(size_t level) {
    while (true) {
      if (level == kMaxNodeLevel) {
        broken_ = true;
        return ResourceExhausted("sequence needs too many levels");
      }
      if (levels_.size() == level + 1) levels_.emplace_back();
      if (!Append(level + 1, levels_[level].closed)) return OkStatus();
      ++level;
      RETURN_IF_ERROR(Close(level));
    }
  }

  BlobSink& sink_;
  std::vector<Level> levels_;
  bool broken_ = false;  // a write failed
};

}  // namespace cairn
