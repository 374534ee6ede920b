// SPDX-License-Identifier: Apache-2.0
#include "core/tree/entry.h"

#include <algorithm>

#include "core/tree/xattrs.h"

namespace cairn {
namespace {

// '/' below all other bytes.
int PathRank(char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; }

const char* ContentFault(const Entry& entry) {
  const Content& content = entry.content;
  if (entry.size > kMaxFileBytes) return "file is too large";
  if (entry.unread && (entry.size != 0 || entry.sparse)) return "unread file with content";
  if (content.is_list) {
    if (!content.items.empty()) return "content is both a list and items";
    // Each of more than kMaxInlineItems items has a byte.
    return entry.size > kMaxInlineItems ? nullptr : "list for a short content";
  }
  if (content.items.size() > kMaxInlineItems) return "too many items for an entry";
  uint64_t total = 0;
  const ContentItem* before = nullptr;
  for (const ContentItem& item : content.items) {
    if (const char* fault = ContentItemFault(before, item)) return fault;
    total += item.bytes;
    if (total > kMaxFileBytes) return "file is too large";
    before = &item;
  }
  return total == entry.size ? nullptr : "items do not add up to the size of the file";
}

// What is set though the type has no such field.
const char* StrayFieldFault(const Entry& entry) {
  const bool file = entry.type == EntryType::kFile;
  const bool directory = IsAnyDirectory(entry.type);
  const bool device =
      entry.type == EntryType::kCharacterDevice || entry.type == EntryType::kBlockDevice;
  if (!file && (entry.size != 0 || entry.sparse || entry.content != Content{})) {
    return "content of what is not a file";
  }
  if (entry.unread && !file && entry.type != EntryType::kDirectory) {
    return "unread is for files and directories";
  }
  if (!directory && !entry.node.IsZero()) return "node of what is not a directory";
  if (entry.type != EntryType::kSymlink && !entry.target.empty()) {
    return "target of what is not a symlink";
  }
  if (!device && entry.device != Device{}) return "device numbers of what is not a device";
  if (entry.type == EntryType::kPartialDirectory &&
      (entry.mode != 0 || entry.uid != 0 || entry.gid != 0 || entry.mtime != Timestamp{} ||
       !entry.xattrs.empty())) {
    return "attributes of a partial directory";
  }
  return nullptr;
}

}  // namespace

const char* EntryTypeName(EntryType type) {
  switch (type) {
    case EntryType::kFile:
      return "file";
    case EntryType::kDirectory:
      return "directory";
    case EntryType::kSymlink:
      return "symlink";
    case EntryType::kFifo:
      return "fifo";
    case EntryType::kSocket:
      return "socket";
    case EntryType::kCharacterDevice:
      return "character device";
    case EntryType::kBlockDevice:
      return "block device";
    case EntryType::kPartialDirectory:
      return "partial directory";
  }
  return "unknown";
}

bool IsValidName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name != "." && name != ".." &&
         name.find('/') == name.npos && name.find('\0') == name.npos;
}

const char* EntryFault(const Entry& entry, bool named) {
  if (named && !IsValidName(entry.name)) return "invalid name";
  if (!named && !entry.name.empty()) return "name of a root's entry";
  const auto type = static_cast<uint8_t>(entry.type);
  if (type < 1 || type > 8) return "unknown type of entry";
  if (!named && entry.type == EntryType::kPartialDirectory) return "partial directory as a root";
  if (entry.mode > 07777) return "mode is out of its range";
  if (entry.mode != 0 && entry.type == EntryType::kSymlink) return "mode of a symlink";
  if (entry.mtime.nanoseconds >= 1'000'000'000) return "nanoseconds are out of their range";
  if (const char* fault = XattrsFault(entry.xattrs)) return fault;
  if (const char* fault = StrayFieldFault(entry)) return fault;
  if (entry.type == EntryType::kFile) return ContentFault(entry);
  if (entry.type == EntryType::kSymlink &&
      (entry.target.empty() || entry.target.size() > kMaxTargetBytes ||
       entry.target.find('\0') != std::string::npos)) {
    return "invalid target of a symlink";
  }
  return nullptr;
}

const char* ContentItemFault(const ContentItem* before, const ContentItem& item) {
  if (item.bytes == 0) return "empty item";
  if (!item.zero) return item.bytes <= kMaxBlobBytes ? nullptr : "chunk is too large";
  if (item.bytes > kMaxZeroExtentBytes) return "zero extent is too large";
  if (!item.id.IsZero()) return "id of a zero extent";
  if (before != nullptr && before->zero && before->bytes != kMaxZeroExtentBytes) {
    return "adjacent zero extents";
  }
  return nullptr;
}

int ComparePaths(std::string_view a, std::string_view b) {
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (in_a == a.end() || in_b == b.end()) return (in_b == b.end()) - (in_a == a.end());
  return PathRank(*in_a) - PathRank(*in_b);
}

}  // namespace cairn
