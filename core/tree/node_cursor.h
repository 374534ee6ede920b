// SPDX-License-Identifier: Apache-2.0
// A place in a stored sequence: one node a level, from the top to the leaf. Every node is compared
// with what its parent says of it, so that counts, borders and lengths may be relied on once a
// node was read. For the files of this layer only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/tree/items.h"
#include "core/tree/node_io.h"

namespace cairn {

// After an error the cursor stands behind the node that could not be read, so that the next call
// goes on after it. Pointers that are returned are valid until the next call. Thread-compatible.
template <typename Sequence>
class NodeCursor {
 public:
  using Node = typename Sequence::Node;
  using Item = typename Sequence::Item;
  using Child = typename Sequence::Child;

  // `source` must outlive the cursor. Reads nothing yet.
  NodeCursor(BlobSource& source, const BlobId& top) : source_(source), top_(top) {}

  // Null at the end.
  StatusOr<const Item*> Next() {
    ASSIGN_OR_RETURN(Frame * leaf, Leaf());
    if (leaf == nullptr) return nullptr;
    return &(leaf->node.*Sequence::kItems)[leaf->next++];
  }

  struct LeafView {
    const Child* item;
    const Node* node;
  };
  // The node of level 0 that holds the next item, of which no item was taken; all its items count
  // as taken then. Nothing at the end.
  StatusOr<std::optional<LeafView>> NextLeaf() {
    ASSIGN_OR_RETURN(Frame * leaf, Leaf());
    if (leaf == nullptr) return std::nullopt;
    leaf->next = leaf->size();
    return LeafView{&leaf->span, &leaf->node};
  }

  // Reads the top node unless it was read.
  Status Open() {
    RETURN_IF_ERROR(Resume());
    if (opened_) return OkStatus();
    opened_ = true;
    return Load(top_, nullptr, Child());
  }
  // The node of level 0 that is the whole sequence; null before Open, and where there are more.
  const Node* OnlyLeaf() const {
    return frames_.size() == 1 && frames_[0].node.level == 0 ? &frames_[0].node : nullptr;
  }

  // Goes to the first item up to which, and with which, the sequence does not pass the target:
  // `passes` tells of a span from the sequence's begin whether it ends before the target. Reads
  // only nodes on the way. Returns what lies before that item.
  template <typename Passes>
  StatusOr<Child> Seek(const Passes& passes) {
    resume_.reset();
    RETURN_IF_ERROR(Open());
    if (frames_.empty()) return Child();  // the top could not be read before
    while (frames_.size() > 1 && !Holds(frames_.back(), passes)) frames_.pop_back();
    while (true) {
      Frame& at = frames_.back();
      at.next = 0;
      at.passed = at.before;
      if (at.node.level == 0) {
        at.next = SkipItems(at.node.*Sequence::kItems, passes, at.passed);
        return at.passed;
      }
      at.next = SkipItems(at.node.children, passes, at.passed);
      if (at.next == at.size()) return at.passed;
      RETURN_IF_ERROR(EnterPending());
    }
  }

  // Gives up all nodes; the next call reads those on its way again.
  void Release() {
    if (frames_.empty()) return;
    const Frame& at = frames_.back();
    resume_ = at.node.level == 0 ? at.before.count + at.next : at.passed.count;
    frames_.clear();
  }

  // If the next item is the first of a node that was not read: that node's item. Else null.
  StatusOr<const Child*> Pending() {
    RETURN_IF_ERROR(Open());
    LeaveFinished();
    if (frames_.empty() || frames_.back().node.level == 0) return nullptr;
    const Frame& at = frames_.back();
    return at.next < at.size() ? &at.node.children[at.next] : nullptr;
  }
  // All of these REQUIRE that Pending returned a node.
  int PendingLevel() const { return frames_.back().node.level - 1; }
  void SkipPending() {
    Frame& at = frames_.back();
    Extend(at.passed, at.node.children[at.next++]);
  }
  Status EnterPending() {
    Frame& at = frames_.back();
    const Child& child = at.node.children[at.next];
    Child before = at.passed;
    SkipPending();
    return Load(child.id, &child, std::move(before));
  }

 private:
  struct Frame {
    Node node;
    Child span;    // its item in the parent
    Child before;  // all that lies before it
    Child passed;  // above level 0: all that lies before `next`
    size_t next = 0;

    size_t size() const {
      return node.level == 0 ? (node.*Sequence::kItems).size() : node.children.size();
    }
  };

  template <typename Passes>
  static bool Holds(const Frame& frame, const Passes& passes) {
    Child end = frame.before;
    Extend(end, frame.span);
    return passes(frame.before) && !passes(end);
  }

  template <typename AnyItem, typename Passes>
  static size_t SkipItems(const std::vector<AnyItem>& items, const Passes& passes, Child& passed) {
    size_t next = 0;
    for (; next < items.size(); ++next) {
      Child with = passed;
      Extend(with, items[next]);
      if (!passes(with)) break;
      passed = std::move(with);
    }
    return next;
  }

  void LeaveFinished() {
    while (frames_.size() > 1 && frames_.back().next == frames_.back().size()) frames_.pop_back();
  }

  // The leaf that has the next item, or null.
  StatusOr<Frame*> Leaf() {
    RETURN_IF_ERROR(Open());
    while (true) {
      LeaveFinished();
      if (frames_.empty() || frames_.back().next == frames_.back().size()) return nullptr;
      if (frames_.back().node.level == 0) return &frames_.back();
      RETURN_IF_ERROR(EnterPending());
    }
  }

  Status Resume() {
    if (!resume_) return OkStatus();
    const uint64_t count = *std::exchange(resume_, std::nullopt);
    opened_ = false;
    return Seek([count](const Child& span) { return span.count <= count; }).status();
  }

  // `item` is null for the top.
  Status Load(const BlobId& id, const Child* item, Child before) {
    ASSIGN_OR_RETURN(const Bytes bytes, ReadReferencedBlob(source_, {Sequence::kKind, id}));
    StatusOr<Node> node = DecodeNode<Sequence>(bytes);
    if (!node.ok()) return Annotate(node.status(), id.ShortHex());
    Frame frame;
    frame.node = *std::move(node);
    for (const auto& leaf_item : frame.node.*Sequence::kItems) Extend(frame.span, leaf_item);
    for (const auto& child : frame.node.children) Extend(frame.span, child);
    frame.span.id = id;
    const char* fault = nullptr;
    if (item == nullptr) {
      fault = Sequence::TopFault(frame.node);
    } else if (frame.node.level + 1 != frames_.back().node.level) {
      fault = "level does not follow from the parent's";
    } else if (!SameSpan(frame.span, *item)) {
      fault = "content is not what the parent says";
    } else {
      fault = Sequence::BeginFault(before, frame.node);
    }
    if (fault != nullptr) {
      return DataLoss(absl::StrFormat("%s %s: %s", Sequence::kName, id.ShortHex(), fault));
    }
    frame.before = std::move(before);
    frame.passed = frame.before;
    frames_.push_back(std::move(frame));
    return OkStatus();
  }

  BlobSource& source_;
  const BlobId top_;
  bool opened_ = false;
  std::optional<uint64_t> resume_;  // items before the place that Release gave up
  std::vector<Frame> frames_;       // the top first
};

}  // namespace cairn
