// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/tree/node_cursor.h"
#include "core/tree/walk.h"
#include "core/tree/walk_path.h"

namespace cairn {
namespace {

using Visitor = std::function<StatusOr<bool>(const std::string& path, const DiffItem&)>;

// One of two directories that are merged; it may be absent, and has no entries then.
class Side {
 public:
  Side(BlobSource& source, const Entry* directory) {
    if (directory != nullptr) cursor_.emplace(source, directory->node);
  }

  // The next entry, until it is taken. Null at the end.
  StatusOr<const Entry*> Peek() {
    if (entry_ == nullptr && cursor_) {
      ASSIGN_OR_RETURN(entry_, cursor_->Next());
    }
    return entry_;
  }
  bool HasPeeked() const { return entry_ != nullptr; }
  // The entry stays valid until the next call.
  void Take() { entry_ = nullptr; }

  void Release() {
    if (entry_ != nullptr && entry_ != kept_.get()) {
      kept_ = std::make_unique<Entry>(*entry_);
      entry_ = kept_.get();
    }
    if (cursor_) cursor_->Release();
  }

  bool present() const { return cursor_.has_value(); }
  NodeCursor<TreeSequence>& cursor() { return *cursor_; }

 private:
  std::optional<NodeCursor<TreeSequence>> cursor_;
  const Entry* entry_ = nullptr;
  std::unique_ptr<Entry> kept_;  // the peeked entry after Release
};

// Passes over the nodes that both have at the same place, unread.
Status SkipEqualNodes(NodeCursor<TreeSequence>& before, NodeCursor<TreeSequence>& after) {
  while (true) {
    ASSIGN_OR_RETURN(const NamedChild* node_before, before.Pending());
    ASSIGN_OR_RETURN(const NamedChild* node_after, after.Pending());
    if (node_before == nullptr || node_after == nullptr) return OkStatus();
    const int level_before = before.PendingLevel();
    const int level_after = after.PendingLevel();
    if (level_before == level_after && node_before->id == node_after->id) {
      before.SkipPending();
      after.SkipPending();
      continue;
    }
    if (level_before == 0 && level_after == 0) return OkStatus();
    if (level_before >= level_after) RETURN_IF_ERROR(before.EnterPending());
    if (level_after >= level_before) RETURN_IF_ERROR(after.EnterPending());
  }
}

bool SameContent(const Entry& a, const Entry& b) {
  return a.type == b.type && a.size == b.size && a.sparse == b.sparse && a.unread == b.unread &&
         a.content == b.content && a.target == b.target && a.device == b.device;
}

bool SameAttributes(const Entry& a, const Entry& b) {
  return a.mode == b.mode && a.uid == b.uid && a.gid == b.gid && a.mtime == b.mtime &&
         a.xattrs == b.xattrs;
}

bool IsDirectory(const Entry* entry) { return entry != nullptr && IsAnyDirectory(entry->type); }

class Diff {
 public:
  Diff(BlobSource& source_before, BlobSource& source_after, const Visitor& visit)
      : source_before_(source_before), source_after_(source_after), visit_(visit) {}

  Status Run(const Entry& before, const Entry& after) {
    RETURN_IF_ERROR(Compare(&before, &after));
    while (!levels_.empty() && !stopped_) {
      path_.resize(levels_.back().path_bytes);
      RETURN_IF_ERROR(Step());
    }
    return OkStatus();
  }

 private:
  struct Level {
    size_t path_bytes;
    Side before;
    Side after;
  };

  Status Step() {
    Level& at = levels_.back();
    Status status = PeekBoth(at);
    if (!status.ok()) return Annotate(status, DirectoryForMessage(path_));
    ASSIGN_OR_RETURN(const Entry* before, at.before.Peek());
    ASSIGN_OR_RETURN(const Entry* after, at.after.Peek());
    if (before == nullptr && after == nullptr) {
      levels_.pop_back();
      return OkStatus();
    }
    if (before != nullptr && after != nullptr && before->name != after->name) {
      (before->name < after->name ? after : before) = nullptr;
    }
    if (before != nullptr) at.before.Take();
    if (after != nullptr) at.after.Take();
    AppendPathPart(path_, (before != nullptr ? before : after)->name);
    return Compare(before, after);
  }

  static Status PeekBoth(Level& at) {
    if (at.before.present() && at.after.present() && !at.before.HasPeeked() &&
        !at.after.HasPeeked()) {
      RETURN_IF_ERROR(SkipEqualNodes(at.before.cursor(), at.after.cursor()));
    }
    RETURN_IF_ERROR(at.before.Peek().status());
    return at.after.Peek().status();
  }

  // One of the two may be null.
  Status Compare(const Entry* before, const Entry* after) {
    DiffItem item = {.change = Change::kModified, .before = before, .after = after};
    if (before == nullptr) {
      item.change = Change::kAdded;
    } else if (after == nullptr) {
      item.change = Change::kRemoved;
    } else {
      item.content = !SameContent(*before, *after);
      item.attributes = !SameAttributes(*before, *after);
    }
    if (item.change != Change::kModified || item.content || item.attributes) {
      ASSIGN_OR_RETURN(const bool go_on, visit_(path_, item));
      stopped_ = !go_on;
    }
    return stopped_ ? OkStatus() : Descend(before, after);
  }

  Status Descend(const Entry* before, const Entry* after) {
    if (!IsDirectory(before)) before = nullptr;
    if (!IsDirectory(after)) after = nullptr;
    if (before == nullptr && after == nullptr) return OkStatus();
    if (before != nullptr && after != nullptr && before->node == after->node) return OkStatus();
    if (levels_.size() > static_cast<size_t>(kMaxDepth)) {
      return DataLoss(DirectoryForMessage(path_) + ": directories are nested too deeply");
    }
    if (levels_.size() >= kHeldDirectories) {
      Level& outer = levels_[levels_.size() - kHeldDirectories];
      outer.before.Release();
      outer.after.Release();
    }
    levels_.push_back({path_.size(), Side(source_before_, before), Side(source_after_, after)});
    return OkStatus();
  }

  BlobSource& source_before_;
  BlobSource& source_after_;
  const Visitor& visit_;
  std::string path_;
  std::vector<Level> levels_;  // the open directories, the top first
  bool stopped_ = false;
};

}  // namespace

Status DiffTrees(BlobSource& source_before, const Entry& before, BlobSource& source_after,
                 const Entry& after, const Visitor& visit) {
  return Diff(source_before, source_after, visit).Run(before, after);
}

}  // namespace cairn
