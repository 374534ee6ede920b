// SPDX-License-Identifier: Apache-2.0
// Walking a stored tree, and comparing two. Both stream: memory is a node a level, whatever the
// tree's size; depth is bounded by kMaxDepth; equal subtrees are one comparison.
#pragma once

#include <functional>
#include <string>

#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/tree/entry.h"
#include "core/tree/node.h"

namespace cairn {

// Directories below directories; deeper trees are refused, when read and when written.
inline constexpr int kMaxDepth = 4096;

enum class WalkStep {
  kContinue,
  kSkipChildren,  // of the directory just visited
  kStop,
};

struct WalkCallbacks {
  // Path relative to the walk's top ("" for the top itself), '/' between parts. Directories come
  // before their children, children in order of names.
  std::function<StatusOr<WalkStep>(const std::string& path, const Entry& entry)> enter;
  // After a directory's children. May be empty.
  std::function<Status(const std::string& path, const Entry& entry)> leave;
  // A directory's node, or a part of it, cannot be read. OK goes on after it. If empty, the walk
  // ends with the error.
  std::function<Status(const std::string& path, const Entry& directory, Status error)> unreadable;
};

// No recursion: the depth of a hostile tree does not end on the stack.
Status WalkTree(BlobSource& source, const Entry& top, const WalkCallbacks& callbacks);

enum class Change { kAdded, kRemoved, kModified };

struct DiffItem {
  Change change = Change::kModified;
  const Entry* before = nullptr;  // null if added
  const Entry* after = nullptr;   // null if removed
  bool content = false;           // modified: content, type, target or device differ
  bool attributes = false;        // modified: mode, owner, mtime, xattrs differ
};

// Calls `visit` for each difference between two trees, in walk order; an added or removed directory
// is followed by all that is in it. Returning false stops.
Status DiffTrees(
    BlobSource& source_before, const Entry& before, BlobSource& source_after, const Entry& after,
    const std::function<StatusOr<bool>(const std::string& path, const DiffItem&)>& visit);

}  // namespace cairn
