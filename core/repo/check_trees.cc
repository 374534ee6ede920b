// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check_trees.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_format.h"
#include "core/repo/check_affected.h"
#include "core/repo/check_links.h"
#include "core/store/record.h"
#include "core/tree/reader.h"

namespace cairn {

Status TreeCheck::Run() {
  std::vector<std::pair<uint64_t, SnapshotId>> order;
  for (const auto& [id, record] : state_.snapshots()) order.emplace_back(record.record, id);
  std::ranges::sort(order);
  if (options_.progress != nullptr) {
    options_.progress->snapshots = 0;
    options_.progress->total_snapshots = order.size();
  }
  for (const auto& [number, id] : order) {
    RETURN_IF_ERROR(CheckSnapshot(id, state_.snapshots().at(id)));
    if (options_.progress != nullptr) ++options_.progress->snapshots;
  }
  return FindNeededChunks();
}

Status TreeCheck::CheckSnapshot(const SnapshotId& id, const SnapshotRecord& record) {
  StatusOr<SnapshotObject> object = DecodeSnapshotObject(record.snapshot.object);
  if (object.ok() && HashSnapshotObject(keys_, record.snapshot.object) != id) {
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
  const BlobId root = object->root;
  snapshots_.push_back({id, *std::move(object)});
  return VisitFrom({BlobKind::kRoot, root});
}

Status TreeCheck::VisitFrom(const BlobRef& root) {
  RETURN_IF_ERROR(Step({root, /*is_top=*/true}));
  while (!open_.empty()) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    OpenNode& at = open_.back();
    if (at.children.empty()) {
      CloseNode();
      continue;
    }
    const Work work = at.children.back();
    at.children.pop_back();
    RETURN_IF_ERROR(Step(work));
  }
  return OkStatus();
}

Status TreeCheck::Step(const Work& work) {
  ASSIGN_OR_RETURN(const CheckedBlobs::Places places, blobs_.Find(work.ref));
  if (places.all.empty()) {
    Lose(work.ref, "it is in no pack");
    return OkStatus();
  }
  if (IsMarked(places.all.front())) {
    // No node lies below itself, so all below this one was visited.
    if (!open_.empty()) Raise(open_.back().height, work, HeightOf(places.all.front()));
    return OkStatus();
  }
  const bool is_directory = work.ref.kind == BlobKind::kTree && work.is_top;
  // One that is seen from another place, too, is visited from there.
  if (open_.size() >= kMaxOpenNodes || (is_directory && open_directories_ > kMaxDepth)) {
    Lose(work.ref, "it lies below too many directories");
    return OkStatus();
  }
  Mark(places.all);
  visited_ = {work, places.all.front(), {}, 0};
  RETURN_IF_ERROR(Visit(work));
  open_directories_ += is_directory ? 1 : 0;
  open_.push_back(std::move(visited_));
  return OkStatus();
}

void TreeCheck::CloseNode() {
  const OpenNode done = std::move(open_.back());
  open_.pop_back();
  if (done.work.ref.kind == BlobKind::kTree && done.work.is_top) --open_directories_;
  if (done.height > 0) {
    std::vector<uint16_t>& heights = heights_[done.place.pack];
    if (heights.size() <= done.place.ordinal) heights.resize(done.place.ordinal + 1);
    heights[done.place.ordinal] = done.height;
  }
  // The top directory, too, is one of them.
  if (done.work.ref.kind == BlobKind::kRoot && done.height > kMaxDepth + 1) {
    Lose(done.work.ref, "its directories are nested too deeply");
  }
  if (!open_.empty()) Raise(open_.back().height, done.work, done.height);
}

void TreeCheck::Raise(uint16_t& height, const Work& child, uint16_t child_height) {
  if (child.ref.kind != BlobKind::kTree) return;
  // Far above what is allowed, it is not counted on.
  const int with = std::min(child_height + (child.is_top ? 1 : 0), 4 * kMaxDepth);
  height = std::max(height, static_cast<uint16_t>(with));
}

uint16_t TreeCheck::HeightOf(const Place& place) const {
  const auto heights = heights_.find(place.pack);
  if (heights == heights_.end() || heights->second.size() <= place.ordinal) return 0;
  return heights->second[place.ordinal];
}

bool TreeCheck::IsMarked(const Place& place) const {
  const auto bits = marks_.find(place.pack);
  return bits != marks_.end() && bits->second.size() > place.ordinal && bits->second[place.ordinal];
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
  const Work work{ref, is_top};
  if (places.all.empty()) {
    Lose(ref, "it is in no pack");
  } else if (IsMarked(places.all.front())) {
    Raise(visited_.height, work, HeightOf(places.all.front()));
    const SequenceSummary* const part = is_top ? sequences_.Known(ref) : nullptr;
    if (part != nullptr && part->readable && !part->may_be_top) {
      Lose(ref, "it is a part of something, and it is named as the whole");
    }
  } else {
    visited_.children.push_back(work);
  }
  return OkStatus();
}

Status TreeCheck::NeedChunk(const BlobId& id, uint64_t bytes) {
  needed_chunks_.push_back({id, bytes});
  return needed_chunks_.size() < kMaxNeededChunks ? OkStatus() : FindNeededChunks();
}

Status TreeCheck::FindNeededChunks() {
  RETURN_IF_ERROR(CheckStop(options_.stop));
  std::ranges::sort(needed_chunks_);
  needed_chunks_.erase(std::unique(needed_chunks_.begin(), needed_chunks_.end()),
                       needed_chunks_.end());
  ASSIGN_OR_RETURN(const auto reader, index_.Read());
  for (const NeededChunk& needed : needed_chunks_) {
    const BlobRef ref{BlobKind::kChunk, needed.id};
    ASSIGN_OR_RETURN(const CheckedBlobs::Places places, blobs_.Find(*reader, ref));
    Mark(places.all);
    if (places.all.empty()) {
      Lose(ref, "it is in no pack");
    } else if (places.sound.empty()) {
      Lose(ref, "");  // the damage of what holds it was found before
    } else if (places.sound.front().bytes != needed.bytes) {
      Lose(ref, absl::StrFormat("it has %d bytes, and a tree says %d", places.sound.front().bytes,
                                needed.bytes));
    }
  }
  needed_chunks_.clear();
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
  ASSIGN_OR_RETURN(const SequenceSummary list, sequences_.Of(ref, static_cast<int>(kMaxNodeLevel)));
  if (!list.readable) return OkStatus();
  if (list.bytes != file.size) {
    Lose(ref, absl::StrFormat("it has %d bytes, and the file has %d", list.bytes, file.size));
  }
  if (!list.may_be_top) Lose(ref, "it is a part of a list, and a file names it");
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
    case BlobKind::kRoot:
      return VisitRoot(work, bytes);
    case BlobKind::kTree: {
      ASSIGN_OR_RETURN(const TreeNode node, DecodeTreeNode(bytes));
      return VisitTree(work, node);
    }
    case BlobKind::kList: {
      ASSIGN_OR_RETURN(const ListNode node, DecodeListNode(bytes));
      return VisitList(node);
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

Status TreeCheck::VisitRoot(const Work& work, ByteSpan bytes) {
  ASSIGN_OR_RETURN(const Root root, DecodeRoot(bytes));
  if (root.links) RETURN_IF_ERROR(Need({BlobKind::kLinks, *root.links}, /*is_top=*/true));
  if (const Entry* const entry = std::get_if<Entry>(&root.top)) {
    RETURN_IF_ERROR(NeedEntry(*entry));
  } else {
    RETURN_IF_ERROR(Need({BlobKind::kTree, std::get<BlobId>(root.top)}, /*is_top=*/true));
  }
  if (!root.links) return OkStatus();
  LinkCheck links(blobs_, options_.stop);
  ASSIGN_OR_RETURN(const std::string fault, links.FindFault(root));
  if (!fault.empty()) {
    Lose({BlobKind::kLinks, *root.links},
         absl::StrFormat("%s, under root %s", fault, work.ref.id.ShortHex()));
  }
  return OkStatus();
}

Status TreeCheck::VisitTree(const Work& work, const TreeNode& node) {
  for (const Entry& entry : node.entries) RETURN_IF_ERROR(NeedEntry(entry));
  for (const NamedChild& child : node.children) {
    RETURN_IF_ERROR(Need({BlobKind::kTree, child.id}, /*is_top=*/false));
  }
  ASSIGN_OR_RETURN(const SequenceSummary summary, sequences_.Summarize(node, node.level));
  if (work.is_top && !summary.may_be_top) return DataLoss("it is the top of one child");
  return summary.fault.empty() ? OkStatus() : DataLoss(summary.fault);
}

Status TreeCheck::VisitList(const ListNode& node) {
  for (const ContentItem& item : node.items) {
    if (!item.zero) RETURN_IF_ERROR(NeedChunk(item.id, item.bytes));
  }
  for (const ListChild& child : node.children) {
    RETURN_IF_ERROR(Need({BlobKind::kList, child.id}, /*is_top=*/false));
  }
  ASSIGN_OR_RETURN(const SequenceSummary summary, sequences_.Summarize(node, node.level));
  return summary.fault.empty() ? OkStatus() : DataLoss(summary.fault);
}

Status TreeCheck::VisitLinks(const Work& work, const LinksNode& node) {
  for (const NamedChild& child : node.children) {
    RETURN_IF_ERROR(Need({BlobKind::kLinks, child.id}, /*is_top=*/false));
  }
  ASSIGN_OR_RETURN(const SequenceSummary summary, sequences_.Summarize(node, node.level));
  if (!summary.fault.empty()) return DataLoss(summary.fault);
  if (!work.is_top) return OkStatus();
  // The order of groups goes beyond single nodes.
  LinksReader reader(blobs_, work.ref.id);
  for (;;) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    ASSIGN_OR_RETURN(const std::optional<LinkPath> path, reader.Next());
    if (!path) return OkStatus();
  }
}

Status TreeCheck::Report(CheckResult& result) {
  result.snapshots = state_.snapshots().size();
  result.nodes = nodes_;
  result.blobs = blobs_seen_;
  result.affected_snapshots = unreadable_snapshots_;
  for (int kind = 1; kind <= kBlobKinds; ++kind) {
    for (const BlobId& id : lost_[kind]) result.lost.push_back({static_cast<BlobKind>(kind), id});
  }
  // A set's order changes from one process to the next.
  std::ranges::sort(result.lost, {},
                    [](const BlobRef& ref) { return std::pair(ref.kind, ref.id); });
  if (anything_lost_) {
    WithoutLost source(blobs_, lost_);
    AffectedPaths affected(source, lost_, options_.stop, result);
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
