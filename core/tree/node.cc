// SPDX-License-Identifier: Apache-2.0
#include "core/tree/node.h"

#include "core/tree/items.h"
#include "core/tree/node_io.h"

namespace cairn {
namespace {

// Walks a node's items for the blobs that they name.
class ReferenceList {
 public:
  void Add(const Entry& entry) {
    for (const Xattr& xattr : entry.xattrs) {
      if (const auto* blob = std::get_if<Xattr::InBlob>(&xattr.value)) {
        Add(BlobKind::kChunk, blob->id);
      }
    }
    if (IsAnyDirectory(entry.type)) Add(BlobKind::kTree, entry.node);
    if (entry.content.is_list) Add(BlobKind::kList, entry.content.list);
    for (const ContentItem& item : entry.content.items) Add(item);
  }
  void Add(const ContentItem& item) {
    if (!item.zero) Add(BlobKind::kChunk, item.id);
  }
  void Add(const LinkPath&) {}
  void Add(BlobKind kind, const BlobId& id) { references_.push_back({kind, id}); }

  template <typename Sequence>
  Status AddNode(ByteSpan bytes) {
    ASSIGN_OR_RETURN(const typename Sequence::Node node, DecodeNode<Sequence>(bytes));
    for (const auto& item : node.*Sequence::kItems) Add(item);
    for (const auto& child : node.children) Add(Sequence::kKind, child.id);
    return OkStatus();
  }

  Status AddRoot(ByteSpan bytes) {
    ASSIGN_OR_RETURN(const Root root, DecodeRoot(bytes));
    if (const auto* entry = std::get_if<Entry>(&root.top)) {
      Add(*entry);
    } else {
      Add(BlobKind::kTree, std::get<BlobId>(root.top));
    }
    if (root.links) Add(BlobKind::kLinks, *root.links);
    return OkStatus();
  }

  std::vector<BlobRef> Take() { return std::move(references_); }

 private:
  std::vector<BlobRef> references_;
};

}  // namespace

bool IsValidLinkPath(std::string_view path) {
  if (path.size() > kMaxLinkPathBytes) return false;
  while (true) {
    const size_t slash = path.find('/');
    if (!IsValidName(path.substr(0, slash))) return false;
    if (slash == path.npos) return true;
    path.remove_prefix(slash + 1);
  }
}

const char* LinkOrder::Next(const LinkPath& path) {
  if (!IsValidLinkPath(path.path)) return "invalid path of a link group";
  if (path.first) {
    if (alone_) return kAlone;
    if (!group_.empty() && ComparePaths(group_, path.path) >= 0) {
      return "link groups are not in ascending order";
    }
    group_ = path.path;
  } else {
    if (last_.empty() && !unknown_) return "link groups do not begin with a group";
    if (!last_.empty() && ComparePaths(last_, path.path) >= 0) {
      return "paths of a link group are not in ascending order";
    }
  }
  alone_ = path.first;
  last_ = path.path;
  return nullptr;
}

Bytes EncodeTreeNode(const TreeNode& node) { return EncodeNode<TreeSequence>(node); }
Bytes EncodeListNode(const ListNode& node) { return EncodeNode<ListSequence>(node); }
Bytes EncodeLinksNode(const LinksNode& node) { return EncodeNode<LinksSequence>(node); }

Bytes EncodeRoot(const Root& root) {
  NodeSections out;
  if (const auto* entry = std::get_if<Entry>(&root.top)) {
    out.items().Fixed8(0);
    EncodeEntry(*entry, /*named=*/false, out);
  } else {
    out.items().Fixed8(1);
    out.Id(std::get<BlobId>(root.top));
  }
  out.items().Fixed8(root.links ? 1 : 0);
  if (root.links) out.Id(*root.links);
  return out.Root();
}

StatusOr<TreeNode> DecodeTreeNode(ByteSpan bytes) { return DecodeNode<TreeSequence>(bytes); }
StatusOr<ListNode> DecodeListNode(ByteSpan bytes) { return DecodeNode<ListSequence>(bytes); }
StatusOr<LinksNode> DecodeLinksNode(ByteSpan bytes) { return DecodeNode<LinksSequence>(bytes); }

StatusOr<Root> DecodeRoot(ByteSpan bytes) {
  NodeSectionReader in(bytes, "root", /*is_root=*/true);
  Root root;
  switch (in.items().Fixed8()) {
    case 0:
      root.top = DecodeEntry(in, /*named=*/false);
      break;
    case 1:
      root.top = in.Id();
      break;
    default:
      in.FailIf("unknown form");
  }
  const uint8_t links = in.items().Fixed8();
  if (links > 1) in.FailIf("mark of link groups is neither 0 nor 1");
  if (links == 1) root.links = in.Id();
  RETURN_IF_ERROR(in.Finish());
  return root;
}

StatusOr<std::vector<BlobRef>> NodeReferences(BlobKind kind, ByteSpan bytes) {
  ReferenceList list;
  switch (kind) {
    case BlobKind::kChunk:
      break;
    case BlobKind::kTree:
      RETURN_IF_ERROR(list.AddNode<TreeSequence>(bytes));
      break;
    case BlobKind::kList:
      RETURN_IF_ERROR(list.AddNode<ListSequence>(bytes));
      break;
    case BlobKind::kLinks:
      RETURN_IF_ERROR(list.AddNode<LinksSequence>(bytes));
      break;
    case BlobKind::kRoot:
      RETURN_IF_ERROR(list.AddRoot(bytes));
      break;
  }
  return list.Take();
}

}  // namespace cairn
