// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check_trees.h"

#include <algorithm>
#include <variant>

#include "absl/strings/str_format.h"
#include "core/repo/check_affected.h"
#include "core/store/record.h"
#include "core/tree/reader.h"

namespace cairn {
namespace {

// The repository's fault, not one of the check's means.
bool IsDamage(const Status& status) {
  return status.code() == StatusCode::kDataLoss || status.code() == StatusCode::kNotFound;
}

}  // namespace

Status TreeCheck::Run() {
  std::vector<std::pair<uint64_t, SnapshotId>> order;
  for (const auto& [id, record] : state_.snapshots()) order.emplace_back(record.record, id);
  std::ranges::sort(order);
  if (options_.progress != nullptr) options_.progress->total_snapshots = order.size();
  for (const auto& [number, id] : order) {
    RETURN_IF_ERROR(CheckSnapshot(id, state_.snapshots().at(id)));
    if (options_.progress != nullptr) ++options_.progress->snapshots;
  }
  return OkStatus();
}

Status TreeCheck::CheckSnapshot(const SnapshotId& id, const SnapshotRecord& record) {
  StatusOr<SnapshotObject> object = DecodeSnapshotObject(record.snapshot.object);
  if (object.ok() && HashSnapshotObject(record.snapshot.object) != id) {
    object = DataLoss("its object does not have its id");
  }
  if (!object.ok()) {
    findings_.Add({"snapshot " + id.Hex(), std::string(Message(object.status()))});
    unreadable_snapshots_.push_back(id);
    return OkStatus();
  }
  for (const LongList* list :
       {&object->excludes, &object->errors, &object->skipped, &object->owners}) {
    for (const LongList::Part& part : list->parts) {
      RETURN_IF_ERROR(NeedChunk(part.chunk, part.bytes));
    }
  }
  RETURN_IF_ERROR(Need({BlobKind::kRoot, object->root}, /*is_top=*/true));
  snapshots_.push_back({id, *std::move(object)});
  while (!stack_.empty()) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    const Work work = stack_.back();
    stack_.pop_back();
    RETURN_IF_ERROR(Visit(work));
  }
  return OkStatus();
}

bool TreeCheck::Mark(const PlaceList& places) {
  bool is_new = false;
  for (const Place& place : places) {
    std::vector<bool>& bits = marks_[place.pack];
    if (bits.size() <= place.ordinal) bits.resize(place.ordinal + 1);
    if (&place == &places.front()) is_new = !bits[place.ordinal];
    bits[place.ordinal] = true;
  }
  if (is_new) ++blobs_seen_;
  return is_new;
}

void TreeCheck::Lose(const BlobRef& ref, const std::string& what) {
  anything_lost_ = true;
  const bool is_new = lost_[static_cast<int>(ref.kind)].insert(ref.id).second;
  if (is_new && !what.empty() && named_++ < kMaxNamedBlobs) {
    findings_.Add({BlobObject(ref), what});
  }
}

Status TreeCheck::Need(const BlobRef& ref, bool is_top) {
  ASSIGN_OR_RETURN(const CheckedBlobs::Places places, blobs_.Find(ref));
  if (places.all.empty()) {
    Lose(ref, "it is in no pack");
  } else if (Mark(places.all)) {
    stack_.push_back({ref, is_top});
  }
  return OkStatus();
}

Status TreeCheck::NeedChunk(const BlobId& id, uint64_t bytes) {
  const BlobRef ref{BlobKind::kChunk, id};
  ASSIGN_OR_RETURN(const CheckedBlobs::Places places, blobs_.Find(ref));
  Mark(places.all);
  if (places.all.empty()) {
    Lose(ref, "it is in no pack");
  } else if (places.sound.empty()) {
    Lose(ref, "");  // the damage of what holds it was found before
  } else if (places.sound.front().bytes != bytes) {
    Lose(ref,
         absl::StrFormat("it has %d bytes, and a tree says %d", places.sound.front().bytes, bytes));
  }
  return OkStatus();
}

Status TreeCheck::NeedEntry(const Entry& entry) {
  for (const Xattr& xattr : entry.xattrs) {
    if (const auto* const blob = std::get_if<Xattr::InBlob>(&xattr.value)) {
      RETURN_IF_ERROR(NeedChunk(blob->id, blob->bytes));
    }
  }
  if (IsAnyDirectory(entry.type)) return Need({BlobKind::kTree, entry.node}, /*is_top=*/true);
  if (entry.type != EntryType::kFile) return OkStatus();
  if (entry.content.is_list) return NeedList(entry);
  for (const ContentItem& item : entry.content.items) {
    if (!item.zero) RETURN_IF_ERROR(NeedChunk(item.id, item.bytes));
  }
  return OkStatus();
}

Status TreeCheck::NeedList(const Entry& file) {
  const BlobRef ref{BlobKind::kList, file.content.list};
  RETURN_IF_ERROR(Need(ref, /*is_top=*/true));
  ASSIGN_OR_RETURN(const Summary list, SummaryOf(ref, static_cast<int>(kMaxNodeLevel)));
  if (!list.readable) return OkStatus();
  if (list.bytes != file.size) {
    Lose(ref, absl::StrFormat("it has %d bytes, and the file has %d", list.bytes, file.size));
  }
  if (!list.is_top) Lose(ref, "it is a part of a list, and a file names it");
  return OkStatus();
}

Status TreeCheck::Visit(const Work& work) {
  const StatusOr<Bytes> bytes = blobs_.ReadBlob(work.ref);
  if (!bytes.ok()) {
    if (!IsDamage(bytes.status())) return bytes.status();
    Lose(work.ref, "");  // what holds it was found to be damaged
    return OkStatus();
  }
  const Status status = VisitBytes(work, *bytes);
  if (status.code() != StatusCode::kDataLoss) {
    if (status.ok()) ++nodes_;
    return status;
  }
  Lose(work.ref, std::string(Message(status)));
  return OkStatus();
}

Status TreeCheck::VisitBytes(const Work& work, ByteSpan bytes) {
  switch (work.ref.kind) {
    case BlobKind::kRoot: {
      ASSIGN_OR_RETURN(const Root root, DecodeRoot(bytes));
      if (root.links) RETURN_IF_ERROR(Need({BlobKind::kLinks, *root.links}, /*is_top=*/true));
      if (const Entry* const entry = std::get_if<Entry>(&root.top)) return NeedEntry(*entry);
      return Need({BlobKind::kTree, std::get<BlobId>(root.top)}, /*is_top=*/true);
    }
    case BlobKind::kTree: {
      ASSIGN_OR_RETURN(const TreeNode node, DecodeTreeNode(bytes));
      return VisitTree(work, node);
    }
    case BlobKind::kList: {
      ASSIGN_OR_RETURN(const ListNode node, DecodeListNode(bytes));
      return VisitList(work, node);
    }
    case BlobKind::kLinks: {
      ASSIGN_OR_RETURN(const LinksNode node, DecodeLinksNode(bytes));
      return VisitLinks(work, node);
    }
    case BlobKind::kChunk:
      break;
  }
  return Internal("a chunk was visited as a node");
}

Status TreeCheck::VisitTree(const Work& work, const TreeNode& node) {
  if (work.is_top && node.level > 0 && node.children.size() < 2) {
    return DataLoss("it is the top of one child");
  }
  for (const Entry& entry : node.entries) RETURN_IF_ERROR(NeedEntry(entry));
  std::vector<Claim> claims;
  for (const NamedChild& child : node.children) {
    RETURN_IF_ERROR(Need({BlobKind::kTree, child.id}, /*is_top=*/false));
    claims.push_back({child.last, child.count, 0, child.id});
  }
  return CompareClaims(work.ref, node.level, claims);
}

Status TreeCheck::VisitList(const Work& work, const ListNode& node) {
  for (const ContentItem& item : node.items) {
    if (!item.zero) RETURN_IF_ERROR(NeedChunk(item.id, item.bytes));
  }
  std::vector<Claim> claims;
  for (const ListChild& child : node.children) {
    RETURN_IF_ERROR(Need({BlobKind::kList, child.id}, /*is_top=*/false));
    claims.push_back({"", child.count, child.bytes, child.id});
  }
  return CompareClaims(work.ref, node.level, claims);
}

Status TreeCheck::VisitLinks(const Work& work, const LinksNode& node) {
  for (const NamedChild& child : node.children) {
    RETURN_IF_ERROR(Need({BlobKind::kLinks, child.id}, /*is_top=*/false));
  }
  if (!work.is_top) return OkStatus();
  // The order of groups goes beyond single nodes.
  LinksReader reader(blobs_, work.ref.id);
  for (;;) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    ASSIGN_OR_RETURN(const std::optional<LinkPath> path, reader.Next());
    if (!path) return OkStatus();
  }
}

Status TreeCheck::CompareClaims(const BlobRef& parent, int level,
                                const std::vector<Claim>& claims) {
  for (size_t i = 0; i < claims.size(); ++i) {
    const Claim& claim = claims[i];
    ASSIGN_OR_RETURN(const Summary child, SummaryOf({parent.kind, claim.id}, level - 1));
    if (!child.readable) continue;
    const char* fault = nullptr;
    if (child.level + 1 != level) {
      fault = "its level does not follow from the parent's";
    } else if (child.last != claim.last || child.count != claim.count ||
               child.bytes != claim.bytes || child.count == 0) {
      fault = "it is not what the parent says of it";
    } else if (i > 0 && parent.kind == BlobKind::kTree && child.first <= claims[i - 1].last) {
      fault = "its names do not follow those before it";
    }
    if (fault != nullptr) {
      return DataLoss(absl::StrFormat("part %s: %s", claim.id.ShortHex(), fault));
    }
  }
  return OkStatus();
}

StatusOr<TreeCheck::Summary> TreeCheck::SummaryOf(const BlobRef& ref, int max_level) {
  const bool is_tree = ref.kind == BlobKind::kTree;
  auto& summaries = is_tree ? tree_summaries_ : list_summaries_;
  if (const auto known = summaries.find(ref.id); known != summaries.end()) return known->second;
  const StatusOr<Bytes> bytes = blobs_.ReadBlob(ref);
  StatusOr<Summary> summary = Summary();
  if (!bytes.ok()) {
    summary = bytes.status();
  } else {
    summary = is_tree ? SummaryOfTree(*bytes, max_level) : SummaryOfList(*bytes);
  }
  if (!summary.ok()) {
    if (!IsDamage(summary.status())) return summary;
    summary = Summary();
  }
  if (summary->level <= max_level) summaries[ref.id] = *summary;
  return summary;
}

StatusOr<TreeCheck::Summary> TreeCheck::SummaryOfList(ByteSpan bytes) {
  ASSIGN_OR_RETURN(const ListNode node, DecodeListNode(bytes));
  Summary summary;
  summary.readable = true;
  summary.level = node.level;
  summary.count = node.items.size();
  for (const ContentItem& item : node.items) summary.bytes += item.bytes;
  for (const ListChild& child : node.children) {
    summary.bytes += child.bytes;
    summary.count += child.count;
  }
  summary.is_top = node.level > 0 ? node.children.size() >= 2 : summary.count > kMaxInlineItems;
  return summary;
}

StatusOr<TreeCheck::Summary> TreeCheck::SummaryOfTree(ByteSpan bytes, int max_level) {
  ASSIGN_OR_RETURN(const TreeNode node, DecodeTreeNode(bytes));
  Summary summary;
  summary.readable = true;
  summary.level = node.level;
  summary.count = node.entries.size();
  for (const NamedChild& child : node.children) summary.count += child.count;
  if (!node.entries.empty()) {
    summary.first = node.entries.front().name;
    summary.last = node.entries.back().name;
  } else if (!node.children.empty()) {
    const NamedChild& first = node.children.front();
    summary.first = first.last;
    summary.last = node.children.back().last;
    // Levels must descend, or a chain of nodes that was made to be deep would end the stack.
    if (summary.level > max_level) return summary;
    ASSIGN_OR_RETURN(const Summary below, SummaryOf({BlobKind::kTree, first.id}, node.level - 1));
    if (below.readable) summary.first = below.first;
  }
  return summary;
}

Status TreeCheck::Report(CheckResult& result) {
  result.snapshots = state_.snapshots().size();
  result.nodes = nodes_;
  result.blobs = blobs_seen_;
  result.affected_snapshots = unreadable_snapshots_;
  if (anything_lost_) {
    AffectedPaths affected(blobs_, lost_, options_.stop, result);
    for (const CheckedSnapshot& snapshot : snapshots_) RETURN_IF_ERROR(affected.Find(snapshot));
  } else if (unreadable_snapshots_.empty()) {
    // Where nodes are lost, what they would reach is not known.
    ASSIGN_OR_RETURN(const auto reader, index_.Read());
    RETURN_IF_ERROR(reader->ForEachPack([&](const IndexPack& pack) {
      const bool is_ours = state_.FindPack(pack.info.name) != nullptr;
      if (is_ours && pack.state != PackState::kPurged && !marks_.contains(pack.number)) {
        ++result.unused_packs;
      }
      return true;
    }));
  }
  return OkStatus();
}

}  // namespace cairn
