// SPDX-License-Identifier: Apache-2.0
// What a tree says of one file, directory or other thing: all that can be restored, and nothing
// that another machine would not give back (no inode, ctime or owners' names).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/blob.h"
#include "core/base/bytes.h"
#include "core/base/clock.h"

namespace cairn {

// Part of the format: values are never changed or reused.
enum class EntryType : uint8_t {
  kFile = 1,
  kDirectory = 2,
  kSymlink = 3,
  kFifo = 4,
  kSocket = 5,
  kCharacterDevice = 6,
  kBlockDevice = 7,
  kPartialDirectory = 8,  // on the way to a source: a name and a node, no attributes
};
const char* EntryTypeName(EntryType type);
inline bool IsAnyDirectory(EntryType type) {
  return type == EntryType::kDirectory || type == EntryType::kPartialDirectory;
}

inline constexpr size_t kMaxNameBytes = 4095;
inline constexpr size_t kMaxTargetBytes = 4096;
inline constexpr size_t kMaxXattrNameBytes = 255;
inline constexpr size_t kMaxXattrNamesBytes =
    65536;  // of an entry, each with a NUL (XATTR_LIST_MAX)
inline constexpr size_t kMaxXattrValueBytes = 65536;   // XATTR_SIZE_MAX
inline constexpr size_t kMaxInlineXattrBytes = 1024;   // of one value
inline constexpr size_t kMaxInlineXattrsBytes = 4096;  // of all values of an entry
inline constexpr uint64_t kMaxFileBytes = (uint64_t{1} << 63) - 1;
inline constexpr uint64_t kMaxZeroExtentBytes = uint64_t{1} << 62;

struct Xattr {
  std::string name;
  // The value itself, or the chunk blob that holds it.
  struct InBlob {
    BlobId id;
    uint32_t bytes = 0;
    friend bool operator==(const InBlob&, const InBlob&) = default;
  };
  std::variant<Bytes, InBlob> value;
  friend bool operator==(const Xattr&, const Xattr&) = default;
};

// A piece of a file: a chunk, or a run of zeros that is not stored.
struct ContentItem {
  uint64_t bytes = 0;
  bool zero = false;
  BlobId id;  // of the chunk, if not zero
  friend bool operator==(const ContentItem&, const ContentItem&) = default;
};

inline constexpr size_t kMaxInlineItems = 16;

// A file's chunk list: in the entry while it is short, else the id of the top list node.
struct Content {
  std::vector<ContentItem> items;  // at most kMaxInlineItems; empty if `list` is used
  bool is_list = false;
  BlobId list;
  friend bool operator==(const Content&, const Content&) = default;
};

struct Device {
  uint32_t major = 0;
  uint32_t minor = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

struct Entry {
  std::string name;  // empty in a root of one source
  EntryType type = EntryType::kFile;
  uint32_t mode = 0;  // & 07777
  uint32_t uid = 0;
  uint32_t gid = 0;
  Timestamp mtime;
  std::vector<Xattr> xattrs;  // ascending by name

  // By type; the others stay empty.
  uint64_t size = 0;    // file: bytes stored
  bool sparse = false;  // file
  bool unread = false;  // file, directory: attributes are known, content is not
  Content content;      // file
  BlobId node;          // (partial) directory: its top tree node
  std::string target;   // symlink
  Device device;        // character and block devices

  friend bool operator==(const Entry&, const Entry&) = default;
};

// A name that may stand in a tree.
bool IsValidName(std::string_view name);

// What makes the entry one that no tree may hold, as a literal; null if nothing does. With `named`
// false it is the entry of a root, which has no name and is no partial directory. Whether a list
// or a node below it is sound is not looked at.
const char* EntryFault(const Entry& entry, bool named);
// The same for a sequence of items: `before` is the one before `item`, or null.
const char* ContentItemFault(const ContentItem* before, const ContentItem& item);

// Order of paths in the link groups, and of a walk: by bytes, '/' below all others.
int ComparePaths(std::string_view a, std::string_view b);

}  // namespace cairn
