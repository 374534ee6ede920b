// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check_affected.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "core/tree/node.h"
#include "core/tree/reader.h"

namespace cairn {
namespace {

// A few small nodes can stand for more paths than can be counted.
uint64_t SaturatingAdd(uint64_t a, uint64_t b) {
  return a > std::numeric_limits<uint64_t>::max() - b ? std::numeric_limits<uint64_t>::max()
                                                      : a + b;
}

}  // namespace

Status AffectedPaths::Find(const CheckedSnapshot& snapshot) {
  snapshot_ = snapshot.id;
  top_path_ = TopPath(snapshot.object);
  open_.clear();
  const uint64_t before = result_.affected_count;
  bool touched = false;
  for (const BlobRef& ref : SnapshotReferences(snapshot.object)) {
    touched = touched || IsLost(ref.kind, ref.id);
  }
  RETURN_IF_ERROR(Walk(snapshot));
  if (touched || result_.affected_count != before) {
    result_.affected_snapshots.push_back(snapshot.id);
  }
  return OkStatus();
}

Status AffectedPaths::Walk(const CheckedSnapshot& snapshot) {
  StatusOr<Root> root = ReadRoot(source_, snapshot.object.root);
  if (!root.ok()) {
    if (!IsDamage(root.status())) return root.status();
    Add("", /*unknown_below=*/true);
    return OkStatus();
  }
  if (root->links) {
    ASSIGN_OR_RETURN(const bool touched, AreLinksTouched(*root->links));
    if (touched) Add("");
  }
  Entry top;
  if (Entry* const entry = std::get_if<Entry>(&root->top)) {
    top = std::move(*entry);
  } else {
    top.type = EntryType::kPartialDirectory;
    top.node = std::get<BlobId>(root->top);
  }
  WalkCallbacks callbacks;
  callbacks.enter = [this](const std::string& path, const Entry& entry) {
    return Enter(path, entry);
  };
  callbacks.leave = [this](const std::string&, const Entry& directory) {
    below_[directory.node] = result_.affected_count - open_.back().count_before;
    open_.pop_back();
    return OkStatus();
  };
  callbacks.unreadable = [this](const std::string& path, const Entry&, Status error) {
    if (!IsDamage(error)) return error;
    if (!std::exchange(open_.back().unreadable, true)) Add(path, /*unknown_below=*/true);
    return OkStatus();
  };
  return WalkTree(source_, top, callbacks);
}

StatusOr<WalkStep> AffectedPaths::Enter(const std::string& path, const Entry& entry) {
  RETURN_IF_ERROR(CheckStop(stop_));
  ASSIGN_OR_RETURN(const bool touched, IsTouched(entry));
  if (touched) Add(path);
  if (!IsAnyDirectory(entry.type)) return WalkStep::kContinue;
  open_.push_back({result_.affected_count, false});
  const auto known = below_.find(entry.node);
  if (known == below_.end()) return WalkStep::kContinue;
  if (known->second > 0 && result_.affected.size() < kMaxAffectedPaths) return WalkStep::kContinue;
  result_.affected_count = SaturatingAdd(result_.affected_count, known->second);
  return WalkStep::kSkipChildren;
}

StatusOr<bool> AffectedPaths::IsTouched(const Entry& entry) {
  for (const Xattr& xattr : entry.xattrs) {
    const auto* const blob = std::get_if<Xattr::InBlob>(&xattr.value);
    if (blob != nullptr && IsLost(BlobKind::kChunk, blob->id)) return true;
  }
  if (entry.type != EntryType::kFile) return false;
  if (entry.content.is_list) return IsListTouched(entry.content);
  return std::ranges::any_of(entry.content.items, [this](const ContentItem& item) {
    return !item.zero && IsLost(BlobKind::kChunk, item.id);
  });
}

StatusOr<bool> AffectedPaths::IsListTouched(const Content& content) {
  if (IsLost(BlobKind::kList, content.list)) return true;
  if (const auto known = lists_.find(content.list); known != lists_.end()) return known->second;
  ContentReader items(source_, content);
  bool touched = false;
  while (!touched) {
    RETURN_IF_ERROR(CheckStop(stop_));
    const StatusOr<std::optional<ContentItem>> item = items.Next();
    if (!item.ok()) {
      if (!IsDamage(item.status())) return item.status();
      touched = true;
    } else if (!item->has_value()) {
      break;
    } else {
      touched = !(*item)->zero && IsLost(BlobKind::kChunk, (*item)->id);
    }
  }
  lists_[content.list] = touched;
  return touched;
}

StatusOr<bool> AffectedPaths::AreLinksTouched(const BlobId& links) {
  if (lost_[static_cast<int>(BlobKind::kLinks)].empty()) return false;
  LinksReader reader(source_, links);
  for (;;) {
    RETURN_IF_ERROR(CheckStop(stop_));
    const StatusOr<std::optional<LinkPath>> path = reader.Next();
    if (!path.ok()) {
      if (!IsDamage(path.status())) return path.status();
      return true;
    }
    if (!path->has_value()) return false;
  }
}

void AffectedPaths::Add(const std::string& path, bool unknown_below) {
  result_.affected_count = SaturatingAdd(result_.affected_count, 1);
  if (result_.affected.size() >= kMaxAffectedPaths) return;
  std::string absolute = top_path_;
  if (!path.empty()) {
    if (absolute != "/") absolute += '/';
    absolute += path;
  }
  result_.affected.push_back({snapshot_, std::move(absolute), unknown_below});
}

}  // namespace cairn
