// SPDX-License-Identifier: Apache-2.0
// What a snapshot's walk knows of a directory at work. Private to snapshot_walk*.cc.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/fs/file_status.h"
#include "core/fs/source_directory.h"
#include "core/fs/witness.h"
#include "core/repo/base_leaves.h"
#include "core/repo/change_cache.h"
#include "core/repo/directory_node.h"
#include "core/repo/snapshot_walk.h"
#include "core/tree/entry.h"
#include "core/tree/node.h"

namespace cairn {

inline std::string Join(const std::string& directory, std::string_view name) {
  std::string path = directory;
  if (!path.empty() && path.back() != '/') path += '/';
  path += name;
  return path;
}

// Below a root's top, whose path is "".
inline std::string JoinLinkPath(const std::string& directory, std::string_view name) {
  return directory.empty() ? std::string(name) : Join(directory, name);
}

struct SnapshotWalk::Slot {
  std::string name;
  FileStatus status;
  Witness witness = 0;
  bool dropped = false;  // vanished, or cannot be kept
  bool from_base = false;
  Entry entry;                  // as far as it is not the base's as it is
  const Entry* base = nullptr;  // in Directory::leaf

  bool IsBase() const { return from_base && status.type != EntryType::kDirectory; }
  const Entry& Result() const { return IsBase() ? *base : entry; }
};

// Some of a directory's names, with what the base has there.
struct SnapshotWalk::Span {
  std::vector<Slot> slots;          // stay where they are once their status is known
  std::optional<size_t> base_leaf;  // in Directory::leaves
  std::optional<TreeNode> leaf;     // as read; nothing if it cannot or need not be
  std::optional<CacheRow> row;
  bool names_follow = false;  // that no leaf of the base covers
  bool same_names_and_witnesses = false;
  bool taken_over = false;  // the same, and nothing else of the leaf is needed: it was not read
  bool lost_names = false;  // some that were listed are not in slots
};

struct SnapshotWalk::Directory {
  // Where the result goes, and whom it belongs to; null for a source's top.
  DirectoryRef parent;
  Slot* own_slot = nullptr;

  std::string path;       // absolute
  std::string link_path;  // relative to the root
  std::string name;
  int depth = 0;
  std::shared_ptr<SourceDirectory> handle;
  FileSystemTraits traits;
  bool crosses_mount = false;

  std::optional<BlobId> base_node;
  // The entry as found by the parent (attributes), completed here (node, unread).
  Entry entry;
  std::atomic<bool> unread{false};

  std::optional<NameList> names;
  std::optional<std::string> next_name;
  std::optional<BaseLeaves> leaves;
  std::optional<CacheRow> only_row;  // of the only leaf
  size_t next_leaf = 0;
  Timestamp before_stat;

  // The spans at work, and how many tasks there still are for them.
  std::vector<Span> spans;
  size_t spans_at_once = 1;
  std::atomic<size_t> pending{0};

  std::optional<DirectoryNode> node;

  // Of what the slot stands for: if something is mounted there, that is not looked at.
  const FileSystemTraits& TraitsFor(const Slot& slot) const {
    if (handle == nullptr) return traits;
    const FileStatus& own = handle->status();
    const bool same =
        slot.status.mount == own.mount && (own.mount != 0 || slot.status.device == own.device);
    return same ? traits : kUnknownTraits;
  }

  bool HasMoreSpans() const {
    return names && (next_name || (leaves && next_leaf < leaves->items().size()));
  }
};

}  // namespace cairn
