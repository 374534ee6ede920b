// SPDX-License-Identifier: Apache-2.0
#include "core/tree/items.h"

#include <array>

#include "core/base/blake3.h"
#include "core/base/coding.h"
#include "core/tree/xattrs.h"

namespace cairn {
namespace {

constexpr uint8_t kSparse = 1;
constexpr uint8_t kUnread = 2;
constexpr uint32_t kMaxUint32 = 0xffffffff;
constexpr uint8_t kSplitMask = 0x1f;

bool SplitHashMatches(uint8_t level, ByteSpan key) {
  // One key a level: with one for all, items that match would match at every level, and the levels
  // of some inputs would never become fewer.
  static const auto keys = [] {
    std::array<HashKey, kMaxNodeLevel + 1> made;
    for (uint8_t i = 0; i <= kMaxNodeLevel; ++i) {
      made[i] = Blake3DeriveKey("cairn v1 split", ByteSpan(&i, 1));
    }
    return made;
  }();
  return (Blake3Keyed(keys[level], key)[0] & kSplitMask) == 0;
}

void EncodeXattrs(const std::vector<Xattr>& xattrs, NodeSections& out) {
  out.items().Varint(xattrs.size());
  for (const Xattr& xattr : xattrs) {
    out.items().String(xattr.name);
    if (const auto* blob = std::get_if<Xattr::InBlob>(&xattr.value)) {
      out.items().Fixed8(1);
      out.items().Varint(blob->bytes);
      out.Id(blob->id);
    } else {
      out.items().Fixed8(0);
      out.items().String(std::get<Bytes>(xattr.value));
    }
  }
}

std::vector<Xattr> DecodeXattrs(NodeSectionReader& in) {
  std::vector<Xattr> xattrs;
  const uint64_t count = in.items().VarintUpTo(kMaxXattrNamesBytes / 2);
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    Xattr& xattr = xattrs.emplace_back();
    xattr.name = in.items().Text(kMaxXattrNameBytes);
    switch (in.items().Fixed8()) {
      case 0: {
        const ByteSpan value = in.items().String(kMaxInlineXattrBytes);
        xattr.value = Bytes(value.begin(), value.end());
        break;
      }
      case 1: {
        const auto bytes = static_cast<uint32_t>(in.items().VarintUpTo(kMaxXattrValueBytes));
        xattr.value = Xattr::InBlob{in.Id(), bytes};
        break;
      }
      default:
        in.FailIf("unknown place of an extended attribute");
    }
  }
  return xattrs;
}

void EncodeContent(const Content& content, NodeSections& out) {
  out.items().Fixed8(content.is_list ? 1 : 0);
  if (content.is_list) {
    out.Id(content.list);
    return;
  }
  out.items().Varint(content.items.size());
  for (const ContentItem& item : content.items) EncodeItem(item, out);
}

Content DecodeContent(NodeSectionReader& in) {
  Content content;
  const uint8_t form = in.items().Fixed8();
  if (form > 1) in.FailIf("unknown form of content");
  content.is_list = form == 1;
  if (content.is_list) {
    content.list = in.Id();
    return content;
  }
  const uint64_t count = in.items().VarintUpTo(kMaxInlineItems);
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    DecodeItem(in, content.items.emplace_back());
  }
  return content;
}

uint8_t DecodeFlags(NodeSectionReader& in, uint8_t known) {
  const uint8_t flags = in.items().Fixed8();
  if ((flags & ~known) != 0) in.FailIf("unknown flags of an entry");
  return flags;
}

void DecodeByType(NodeSectionReader& in, Entry& entry) {
  switch (entry.type) {
    case EntryType::kFile: {
      entry.size = in.items().VarintUpTo(kMaxFileBytes);
      const uint8_t flags = DecodeFlags(in, kSparse | kUnread);
      entry.sparse = (flags & kSparse) != 0;
      entry.unread = (flags & kUnread) != 0;
      entry.content = DecodeContent(in);
      return;
    }
    case EntryType::kDirectory:
      entry.unread = (DecodeFlags(in, kUnread) & kUnread) != 0;
      entry.node = in.Id();
      return;
    case EntryType::kSymlink:
      entry.target = in.items().Text(kMaxTargetBytes);
      return;
    case EntryType::kFifo:
    case EntryType::kSocket:
      return;
    case EntryType::kCharacterDevice:
    case EntryType::kBlockDevice:
      entry.device.major = static_cast<uint32_t>(in.items().VarintUpTo(kMaxUint32));
      entry.device.minor = static_cast<uint32_t>(in.items().VarintUpTo(kMaxUint32));
      return;
    case EntryType::kPartialDirectory:
      entry.node = in.Id();
      return;
  }
}

const char* ChildrenFault(const std::vector<NamedChild>& children,
                          bool (*is_valid)(std::string_view), bool ascending) {
  if (children.empty()) return "inner node without children";
  uint64_t total = 0;
  const NamedChild* before = nullptr;
  for (const NamedChild& child : children) {
    if (!is_valid(child.last)) return "invalid name of a child";
    if (ascending && before != nullptr && before->last >= child.last) {
      return "children are not in ascending order";
    }
    if (child.count == 0) return "child without items";
    total += child.count;
    if (total > kMaxFileBytes) return "too many items below a node";
    before = &child;
  }
  return nullptr;
}

template <typename Node>
const char* InnerTopFault(const Node& node) {
  return node.level > 0 && node.children.size() < 2 ? "top of one child" : nullptr;
}

}  // namespace

void EncodeEntry(const Entry& entry, bool named, NodeSections& out) {
  if (named) out.items().String(entry.name);
  out.items().Fixed8(static_cast<uint8_t>(entry.type));
  if (entry.type == EntryType::kPartialDirectory) {
    out.Id(entry.node);
    return;
  }
  out.items().Varint(entry.mode);
  out.items().Varint(entry.uid);
  out.items().Varint(entry.gid);
  out.items().SignedVarint(entry.mtime.seconds);
  out.items().Varint(entry.mtime.nanoseconds);
  EncodeXattrs(entry.xattrs, out);
  switch (entry.type) {
    case EntryType::kFile:
      out.items().Varint(entry.size);
      out.items().Fixed8(
          static_cast<uint8_t>((entry.sparse ? kSparse : 0) | (entry.unread ? kUnread : 0)));
      EncodeContent(entry.content, out);
      return;
    case EntryType::kDirectory:
      out.items().Fixed8(entry.unread ? kUnread : 0);
      out.Id(entry.node);
      return;
    case EntryType::kSymlink:
      out.items().String(entry.target);
      return;
    case EntryType::kCharacterDevice:
    case EntryType::kBlockDevice:
      out.items().Varint(entry.device.major);
      out.items().Varint(entry.device.minor);
      return;
    case EntryType::kFifo:
    case EntryType::kSocket:
    case EntryType::kPartialDirectory:
      return;
  }
}

Entry DecodeEntry(NodeSectionReader& in, bool named) {
  Entry entry;
  if (named) entry.name = in.items().Text(kMaxNameBytes);
  const uint8_t type = in.items().Fixed8();
  if (type < 1 || type > 8) in.FailIf("unknown type of entry");
  if (!in.ok()) return entry;
  entry.type = static_cast<EntryType>(type);
  if (entry.type != EntryType::kPartialDirectory) {
    entry.mode = static_cast<uint32_t>(in.items().VarintUpTo(07777));
    entry.uid = static_cast<uint32_t>(in.items().VarintUpTo(kMaxUint32));
    entry.gid = static_cast<uint32_t>(in.items().VarintUpTo(kMaxUint32));
    entry.mtime.seconds = in.items().SignedVarint();
    entry.mtime.nanoseconds = static_cast<uint32_t>(in.items().VarintUpTo(999'999'999));
    entry.xattrs = DecodeXattrs(in);
  }
  DecodeByType(in, entry);
  if (in.ok()) in.FailIf(EntryFault(entry, named));
  return entry;
}

void EncodeItem(const Entry& item, NodeSections& out) { EncodeEntry(item, /*named=*/true, out); }

void EncodeItem(const ContentItem& item, NodeSections& out) {
  out.items().Varint(item.bytes << 1 | (item.zero ? 1 : 0));
  if (!item.zero) out.Id(item.id);
}

void EncodeItem(const LinkPath& item, NodeSections& out) {
  out.items().Fixed8(item.first ? 1 : 0);
  out.items().String(item.path);
}

void EncodeItem(const NamedChild& item, NodeSections& out) {
  out.items().String(item.last);
  out.items().Varint(item.count);
  out.Id(item.id);
}

void EncodeItem(const ListChild& item, NodeSections& out) {
  out.items().Varint(item.bytes);
  out.items().Varint(item.count);
  out.Id(item.id);
}

void DecodeItem(NodeSectionReader& in, Entry& item) { item = DecodeEntry(in, /*named=*/true); }

void DecodeItem(NodeSectionReader& in, ContentItem& item) {
  const uint64_t value = in.items().Varint();
  item.bytes = value >> 1;
  item.zero = (value & 1) != 0;
  if (!item.zero) item.id = in.Id();
}

void DecodeItem(NodeSectionReader& in, LinkPath& item) {
  const uint8_t first = in.items().Fixed8();
  if (first > 1) in.FailIf("mark of a group's first path is neither 0 nor 1");
  item.first = first == 1;
  item.path = in.items().Text(kMaxLinkPathBytes);
}

void DecodeItem(NodeSectionReader& in, NamedChild& item) {
  item.last = in.items().Text(kMaxLinkPathBytes);
  item.count = in.items().VarintUpTo(kMaxFileBytes);
  item.id = in.Id();
}

void DecodeItem(NodeSectionReader& in, ListChild& item) {
  item.bytes = in.items().VarintUpTo(kMaxFileBytes);
  item.count = in.items().VarintUpTo(kMaxFileBytes);
  item.id = in.Id();
}

void Extend(NamedChild& span, const Entry& item) {
  span.last = item.name;
  ++span.count;
}

void Extend(NamedChild& span, const LinkPath& item) {
  span.last = item.path;
  ++span.count;
}

void Extend(NamedChild& span, const NamedChild& item) {
  span.last = item.last;
  span.count += item.count;
}

void Extend(ListChild& span, const ContentItem& item) {
  span.bytes += item.bytes;
  ++span.count;
}

void Extend(ListChild& span, const ListChild& item) {
  span.bytes += item.bytes;
  span.count += item.count;
}

bool SameSpan(const NamedChild& a, const NamedChild& b) {
  return a.last == b.last && a.count == b.count;
}

bool SameSpan(const ListChild& a, const ListChild& b) {
  return a.bytes == b.bytes && a.count == b.count;
}

bool AsksForSplit(uint8_t level, const Entry& item) {
  return SplitHashMatches(level, AsBytes(item.name));
}

bool AsksForSplit(uint8_t level, const ContentItem& item) {
  if (!item.zero) return SplitHashMatches(level, item.id.span());
  Bytes length;
  Encoder(length).Fixed64(item.bytes);
  return SplitHashMatches(level, length);
}

bool AsksForSplit(uint8_t level, const LinkPath& item) {
  return SplitHashMatches(level, AsBytes(item.path));
}

bool AsksForSplit(uint8_t level, const NamedChild& item) {
  return SplitHashMatches(level, AsBytes(item.last));
}

bool AsksForSplit(uint8_t level, const ListChild& item) {
  return SplitHashMatches(level, item.id.span());
}

const char* TreeSequence::NodeFault(const TreeNode& node) {
  if (node.level > 0) return ChildrenFault(node.children, IsValidName, /*ascending=*/true);
  const Entry* before = nullptr;
  for (const Entry& entry : node.entries) {
    if (before != nullptr && before->name >= entry.name) {
      return "names are not in ascending order";
    }
    before = &entry;
  }
  return nullptr;
}

const char* TreeSequence::TopFault(const TreeNode& node) { return InnerTopFault(node); }

const char* TreeSequence::BeginFault(const NamedChild& before, const TreeNode& node) {
  if (node.level == 0 && node.entries.empty()) return "empty part of a directory";
  const std::string& first = node.level == 0 ? node.entries[0].name : node.children[0].last;
  return before.last < first ? nullptr : "names are not in ascending order";
}

const char* ListSequence::NodeFault(const ListNode& node) {
  if (node.items.empty() && node.children.empty()) return "list node without items";
  uint64_t bytes = 0;
  uint64_t count = 0;
  const ContentItem* before = nullptr;
  for (const ContentItem& item : node.items) {
    if (const char* fault = ContentItemFault(before, item)) return fault;
    bytes += item.bytes;
    if (bytes > kMaxFileBytes) return "list of too many bytes";
    before = &item;
  }
  for (const ListChild& child : node.children) {
    if (child.count == 0) return "child without items";
    // No item is empty.
    if (child.bytes < child.count) return "child of fewer bytes than items";
    bytes += child.bytes;
    count += child.count;
    if (bytes > kMaxFileBytes || count > kMaxFileBytes) return "list of too many bytes";
  }
  return nullptr;
}

const char* ListSequence::TopFault(const ListNode& node) {
  if (node.level == 0 && node.items.size() <= kMaxInlineItems) return "list for a short content";
  return InnerTopFault(node);
}

const char* ListSequence::BeginFault(const ListChild&, const ListNode&) { return nullptr; }

const char* LinksSequence::NodeFault(const LinksNode& node) {
  // Paths of neighbouring groups interleave: only the groups' first paths ascend.
  if (node.level > 0) return ChildrenFault(node.children, IsValidLinkPath, /*ascending=*/false);
  if (node.paths.empty()) return "links node without paths";
  LinkOrder order(/*from_start=*/false);
  for (const LinkPath& path : node.paths) {
    if (const char* fault = order.Next(path)) return fault;
  }
  return nullptr;
}

const char* LinksSequence::TopFault(const LinksNode& node) { return InnerTopFault(node); }

const char* LinksSequence::BeginFault(const NamedChild&, const LinksNode&) { return nullptr; }

}  // namespace cairn
