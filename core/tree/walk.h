// SPDX-License-Identifier: Apache-2.0
// Walking a stored tree, and comparing two. Both stream: memory is a node a level of the innermost
// directories (those further out are read again on the way back), whatever the tree's size; depth
// is bounded by kMaxDepth; equal subtrees are one comparison.
#pragma once

#include <functional>
#include <string>

#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/tree/entry.h"
#include "core/tree/node.h"

namespace cairn {

// Directories below the top directory, one below the other; deeper trees are refused, when read and
// when written.
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
  // After a directory's children, and also after those that were skipped or unreadable: each
  // directory that was entered is left, unless the walk ends before. May be empty.
  std::function<Status(const std::string& path, const Entry& entry)> leave;
  // A directory's node, or a part of it, cannot be read, or lies too deep. OK goes on after that
  // node, so that it may be called again for other parts of the directory. If empty, the walk ends
  // with the error.
  std::function<Status(const std::string& path, const Entry& directory, Status error)> unreadable;
};

// Visits `top` and, if it is a directory, all that is below it. Errors of the callbacks end the
// walk and are returned as they are. No recursion: the depth of a hostile tree does not end on the
// stack.
Status WalkTree(BlobSource& source, const Entry& top, const WalkCallbacks& callbacks);

enum class Change { kAdded, kRemoved, kModified };

struct DiffItem {
  Change change = Change::kModified;
  const Entry* before = nullptr;  // null if added
  const Entry* after = nullptr;   // null if removed
  // Modified: type, content, target, device, or the marks sparse and unread differ. What differs
  // below a directory is no modification of the directory.
  bool content = false;
  bool attributes = false;  // modified: mode, owner, mtime, xattrs differ
};

// Calls `visit` for each difference between two trees, in walk order; an added or removed directory
// is followed by all that is in it, and so is one that became, or was, something else. The names of
// `before` and `after` themselves are not compared. The entries are valid during the call only.
// Returning false stops. Directories, and parts of large ones, that have equal ids are not read.
Status DiffTrees(
    BlobSource& source_before, const Entry& before, BlobSource& source_after, const Entry& after,
    const std::function<StatusOr<bool>(const std::string& path, const DiffItem&)>& visit);

}  // namespace cairn
