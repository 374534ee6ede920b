// SPDX-License-Identifier: Apache-2.0
// Entries, ids and directories that the tests of trees are made of.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "core/tree/builder.h"
#include "core/tree/entry.h"
#include "core/tree/node.h"
#include "core/tree/xattrs.h"
#include "tests/support/memory_blobs.h"

namespace cairn::testing {

// Every byte is `fill`.
inline BlobId FilledId(uint8_t fill) {
  BlobId id;
  id.bytes.fill(fill);
  return id;
}

inline BlobId NumberedId(uint64_t number) {
  static const BlobHasher hasher;
  return hasher.Hash(BlobKind::kChunk, AsBytes(std::to_string(number)));
}

inline uint64_t Below(std::mt19937_64& random, uint64_t bound) { return random() % bound; }

// A file of one chunk of `bytes` bytes, or an empty one.
inline Entry FileEntry(const std::string& name, uint64_t bytes = 0) {
  Entry entry;
  entry.name = name;
  entry.mode = 0644;
  entry.mtime = {1'700'000'000, 5};
  entry.size = bytes;
  if (bytes > 0) {
    entry.content.items.push_back({.bytes = bytes, .zero = false, .id = NumberedId(bytes)});
  }
  return entry;
}

inline Entry DirectoryEntry(const std::string& name, const BlobId& node) {
  Entry entry;
  entry.name = name;
  entry.type = EntryType::kDirectory;
  entry.mode = 0755;
  entry.node = node;
  return entry;
}

inline Entry SymlinkEntry(const std::string& name, const std::string& target) {
  Entry entry;
  entry.name = name;
  entry.type = EntryType::kSymlink;
  entry.target = target;
  return entry;
}

inline std::string RandomText(std::mt19937_64& random, size_t bytes) {
  std::string text(bytes, ' ');
  for (char& c : text) {
    do {
      c = static_cast<char>(random());
    } while (c == '/' || c == '\0');
  }
  return text;
}

inline std::string RandomName(std::mt19937_64& random) {
  std::string name;
  do {
    name = RandomText(random, 1 + Below(random, 12));
  } while (!IsValidName(name));
  return name;
}

// Numbers of every length.
inline uint64_t RandomNumber(std::mt19937_64& random, uint64_t max) {
  return std::min(random() >> Below(random, 64), max);
}

inline std::vector<Xattr> RandomXattrs(std::mt19937_64& random, MemoryBlobs& blobs) {
  static constexpr size_t kSizes[] = {0, 1, 20, 1000, 1024, 1025, 65536};
  std::map<std::string, Bytes> attributes;
  for (uint64_t i = Below(random, 10); i > 0; --i) {
    attributes[RandomName(random)] = Bytes(kSizes[Below(random, std::size(kSizes))], 'v');
  }
  auto xattrs = PlaceXattrs({attributes.begin(), attributes.end()}, blobs);
  CHECK(xattrs.ok());
  return *std::move(xattrs);
}

inline Content RandomInlineContent(std::mt19937_64& random, uint64_t& size) {
  Content content;
  for (uint64_t i = Below(random, kMaxInlineItems + 1); i > 0; --i) {
    const bool zero =
        Below(random, 3) == 0 && (content.items.empty() || !content.items.back().zero);
    ContentItem& item = content.items.emplace_back();
    item.zero = zero;
    item.bytes = 1 + RandomNumber(random, zero ? uint64_t{1} << 57 : kMaxBlobBytes - 1);
    if (!zero) item.id = NumberedId(random());
    size += item.bytes;
  }
  return content;
}

// All types, numbers of all lengths, attributes inline and in blobs; always an entry that a tree
// may hold. Directories and lists have ids that nothing stores.
inline Entry RandomEntry(std::mt19937_64& random, const std::string& name) {
  MemoryBlobs blobs;
  Entry entry;
  entry.name = name;
  entry.type = static_cast<EntryType>(1 + Below(random, 8));
  if (entry.type == EntryType::kPartialDirectory) {
    entry.node = NumberedId(random());
    return entry;
  }
  if (entry.type != EntryType::kSymlink) entry.mode = static_cast<uint32_t>(Below(random, 010000));
  entry.uid = static_cast<uint32_t>(RandomNumber(random, 0xffffffff));
  entry.gid = static_cast<uint32_t>(RandomNumber(random, 0xffffffff));
  entry.mtime.seconds = static_cast<int64_t>(random()) >> Below(random, 64);
  entry.mtime.nanoseconds = static_cast<uint32_t>(RandomNumber(random, 999'999'999));
  if (Below(random, 4) == 0) entry.xattrs = RandomXattrs(random, blobs);
  switch (entry.type) {
    case EntryType::kFile:
      entry.unread = Below(random, 8) == 0;
      if (entry.unread) break;
      entry.sparse = Below(random, 2) == 0;
      if (Below(random, 4) == 0) {
        entry.size = 17 + RandomNumber(random, kMaxFileBytes - 17);
        entry.content.is_list = true;
        entry.content.list = NumberedId(random());
      } else {
        entry.content = RandomInlineContent(random, entry.size);
      }
      break;
    case EntryType::kDirectory:
      entry.unread = Below(random, 8) == 0;
      entry.node = NumberedId(random());
      break;
    case EntryType::kSymlink:
      entry.target = RandomText(random, 1 + Below(random, kMaxTargetBytes));
      break;
    case EntryType::kCharacterDevice:
    case EntryType::kBlockDevice:
      entry.device = {static_cast<uint32_t>(RandomNumber(random, 0xffffffff)),
                      static_cast<uint32_t>(RandomNumber(random, 0xffffffff))};
      break;
    default:
      break;
  }
  return entry;
}

// In order of their names, no two equal.
inline std::vector<Entry> RandomEntries(std::mt19937_64& random, size_t count) {
  std::set<std::string> names;
  while (names.size() < count) names.insert(RandomName(random));
  std::vector<Entry> entries;
  for (const std::string& name : names) entries.push_back(RandomEntry(random, name));
  return entries;
}

// "n000000", "n000001", ...: files of one chunk each, as in a folder of photographs.
inline std::vector<Entry> NumberedEntries(size_t count) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < count; ++i) {
    entries.push_back(FileEntry(absl::StrFormat("n%06d", i), 1 + i));
  }
  return entries;
}

// Chunks of 1000 bytes, each with an id of its own, from `first` on.
inline std::vector<ContentItem> NumberedItems(size_t count, uint64_t first = 0) {
  std::vector<ContentItem> items;
  for (size_t i = 0; i < count; ++i) {
    items.push_back({.bytes = 1000, .zero = false, .id = NumberedId(first + i)});
  }
  return items;
}

// The functions below end the test program on an error.
inline BlobId BuildDirectory(BlobSink& sink, const std::vector<Entry>& entries,
                             std::vector<NamedChild>* leaves = nullptr) {
  TreeBuilder builder(sink);
  if (leaves != nullptr) {
    builder.OnLeaf([leaves](const NamedChild& leaf) { leaves->push_back(leaf); });
  }
  for (const Entry& entry : entries) CHECK(builder.Add(entry).ok());
  const StatusOr<BlobId> top = builder.Finish();
  CHECK(top.ok());
  return *top;
}

inline Content BuildContent(BlobSink& sink, const std::vector<ContentItem>& items) {
  ListBuilder builder(sink);
  for (const ContentItem& item : items) CHECK(builder.Add(item).ok());
  StatusOr<Content> content = builder.Finish();
  CHECK(content.ok());
  return *std::move(content);
}

// A whole tree in one literal: paths ("a/b"; "dir/" is an empty directory) and the files' sizes.
// Returns the entry of its top.
inline Entry BuildTree(BlobSink& sink, const std::map<std::string, uint64_t>& paths) {
  std::map<std::string, std::map<std::string, uint64_t>> directories;
  std::map<std::string, Entry> entries;
  for (const auto& [path, bytes] : paths) {
    const size_t slash = path.find('/');
    if (slash == path.npos) {
      entries[path] = FileEntry(path, bytes);
      continue;
    }
    auto& below = directories[path.substr(0, slash)];
    if (slash + 1 < path.size()) below[path.substr(slash + 1)] = bytes;
  }
  for (const auto& [name, below] : directories) {
    entries[name] = BuildTree(sink, below);
    entries[name].name = name;
  }
  std::vector<Entry> sorted;
  for (const auto& [name, entry] : entries) sorted.push_back(entry);
  return DirectoryEntry("", BuildDirectory(sink, sorted));
}

}  // namespace cairn::testing
