// SPDX-License-Identifier: Apache-2.0
// Nodes and roots as values, and their bytes. docs/format.md, "Nodes". Decoders are for untrusted
// bytes: they refuse whatever is not canonical.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/blob.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/tree/entry.h"

namespace cairn {

inline constexpr size_t kMaxNodeLevel = 31;
inline constexpr size_t kMaxNodeItems = 1024;
// Of one path of the link groups, so that no node outgrows a blob. What has a longer path is not
// in a group: its names are restored as files of their own.
inline constexpr size_t kMaxLinkPathBytes = 1 * kMiB;

// An inner item of a tree or links node: `last` is the last name or path below it.
struct NamedChild {
  std::string last;
  uint64_t count = 0;
  BlobId id;
  friend bool operator==(const NamedChild&, const NamedChild&) = default;
};
// An inner item of a list node.
struct ListChild {
  uint64_t bytes = 0;
  uint64_t count = 0;
  BlobId id;
  friend bool operator==(const ListChild&, const ListChild&) = default;
};
struct LinkPath {
  bool first = false;  // of its group
  std::string path;
  friend bool operator==(const LinkPath&, const LinkPath&) = default;
};

// Level 0 has entries (items, paths), a higher one children; the other vector is empty.
struct TreeNode {
  uint8_t level = 0;
  std::vector<Entry> entries;
  std::vector<NamedChild> children;
  friend bool operator==(const TreeNode&, const TreeNode&) = default;
};
struct ListNode {
  uint8_t level = 0;
  std::vector<ContentItem> items;
  std::vector<ListChild> children;
  friend bool operator==(const ListNode&, const ListNode&) = default;
};
struct LinksNode {
  uint8_t level = 0;
  std::vector<LinkPath> paths;
  std::vector<NamedChild> children;
  friend bool operator==(const LinksNode&, const LinksNode&) = default;
};
struct Root {
  // One source: its entry, without a name. Several: the top tree node of a partial directory.
  std::variant<Entry, BlobId> top;
  std::optional<BlobId> links;
  friend bool operator==(const Root&, const Root&) = default;
};

// A path that may stand in the link groups: relative, of valid names.
bool IsValidLinkPath(std::string_view path);

// The order of the link groups, over a sequence of their paths. Both return what is wrong as a
// literal, or null.
class LinkOrder {
 public:
  // `from_start`: the sequence begins with its first group; else somewhere, perhaps within one.
  explicit LinkOrder(bool from_start) : unknown_(!from_start) {}
  const char* Next(const LinkPath& path);
  // The sequence is over.
  const char* End() const { return alone_ ? kAlone : nullptr; }

 private:
  static constexpr const char* kAlone = "link group of one path";

  bool unknown_;        // nothing is known of what was before
  bool alone_ = false;  // the group has one path so far
  std::string group_;   // first path of the group; empty if it lies before the sequence
  std::string last_;
};

// Encoders require values that the decoders would accept; TreeBuilder and its like see to it.
Bytes EncodeTreeNode(const TreeNode& node);
Bytes EncodeListNode(const ListNode& node);
Bytes EncodeLinksNode(const LinksNode& node);
Bytes EncodeRoot(const Root& root);
StatusOr<TreeNode> DecodeTreeNode(ByteSpan bytes);
StatusOr<ListNode> DecodeListNode(ByteSpan bytes);
StatusOr<LinksNode> DecodeLinksNode(ByteSpan bytes);
StatusOr<Root> DecodeRoot(ByteSpan bytes);

// Every blob that a node or root names directly, for mark, check and copy: chunks, xattr values,
// lists, children. In the order of the ids section; duplicates kept. A chunk names none.
StatusOr<std::vector<BlobRef>> NodeReferences(BlobKind kind, ByteSpan bytes);

}  // namespace cairn
