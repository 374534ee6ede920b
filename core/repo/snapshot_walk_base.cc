// SPDX-License-Identifier: Apache-2.0
// The part of SnapshotWalk that compares with the base snapshot and the change cache.
#include <algorithm>
#include <utility>

#include "core/base/profile.h"
#include "core/repo/snapshot_walk.h"
#include "core/repo/snapshot_walk_state.h"
#include "core/tree/walk.h"

namespace cairn {

Status SnapshotWalk::OpenBase(Directory& d) {
  if (!d.base_node) return OkStatus();
  // Only leaves have rows. One of as many names as there are now may well be as it was, so that it
  // need not be read; if it is not, all names are looked for in it.
  ASSIGN_OR_RETURN(d.only_row, FindRow(d, *d.base_node));
  if (d.only_row && d.only_row->hash && d.names->size() == d.only_row->witnesses.size()) {
    d.leaves = BaseLeaves::OfOne(context_.repository,
                                 {std::string(d.names->last()), *d.names->size(), *d.base_node});
    return OkStatus();
  }
  // A base that cannot be read is no base: the new snapshot must not fail by an old damage.
  StatusOr<BaseLeaves> leaves = BaseLeaves::Open(context_.repository, *d.base_node);
  if (leaves.ok()) d.leaves = *std::move(leaves);
  return OkStatus();
}

// What the cache remembers of a leaf. Nothing of one that the repository has lost: it must be
// stored again, not taken over.
StatusOr<std::optional<CacheRow>> SnapshotWalk::FindRow(const Directory& d, const BlobId& leaf) {
  if (context_.cache == nullptr || context_.options.rescan) return std::optional<CacheRow>();
  ASSIGN_OR_RETURN(std::optional<CacheRow> row, context_.cache->Find(d.path, leaf));
  if (!row) return row;
  ASSIGN_OR_RETURN(const auto reader, context_.repository.index().Read());
  ASSIGN_OR_RETURN(const PlaceList places, reader->FindBlob({BlobKind::kTree, leaf}));
  if (places.empty()) row.reset();
  return row;
}

// Makes the witnesses, and says whether names and witnesses are those that the cache remembers of
// the base's leaf, and whether that is all there is to know.
Status SnapshotWalk::CompareWithRow(Directory& d, Span& span) {
  const StageTimer timer(Stage::kWalk);
  for (Slot& slot : span.slots) slot.witness = MakeWitness(slot.status, d.TraitsFor(slot));
  if (!span.base_leaf) return OkStatus();
  const NamedChild& item = d.leaves->items()[*span.base_leaf];
  if (!span.row) {
    ASSIGN_OR_RETURN(span.row, FindRow(d, item.id));
  }
  if (!span.row || !span.row->hash) return OkStatus();
  DirectoryHasher hasher;
  for (const Slot& slot : span.slots) hasher.Add(slot.name, slot.witness);
  span.same_names_and_witnesses =
      item.count == span.slots.size() && hasher.Finish() == span.row->hash;
  // Directories go on with the nodes that the leaf has, links with the entry.
  span.taken_over = span.same_names_and_witnesses && !span.names_follow &&
                    std::none_of(span.slots.begin(), span.slots.end(), [](const Slot& slot) {
                      return slot.status.type == EntryType::kDirectory || slot.status.links > 1;
                    });
  if (span.taken_over) took_over_ = true;
  return OkStatus();
}

// One that cannot be read is none.
void SnapshotWalk::ReadLeaf(Directory& d, Span& span) {
  if (!span.base_leaf) return;
  const StageTimer timer(Stage::kWalk);
  StatusOr<TreeNode> leaf = d.leaves->Read(*span.base_leaf);
  if (!leaf.ok()) return;
  span.leaf = *std::move(leaf);
  if (span.row && span.row->witnesses.size() != span.leaf->entries.size()) {
    span.row.reset();
    span.same_names_and_witnesses = false;
  }
}

// Finds each name's entry in the base's leaf, and which of them are unchanged by their witnesses.
void SnapshotWalk::MatchBase(const Directory& d, Span& span) {
  const std::vector<Entry> none;
  const std::vector<Entry>& entries = span.leaf ? span.leaf->entries : none;
  size_t next = 0;
  for (Slot& slot : span.slots) {
    Remembered remembered;
    while (next < entries.size() && entries[next].name < slot.name) ++next;
    if (next < entries.size() && entries[next].name == slot.name) {
      slot.base = &entries[next];
      if (span.row) remembered = {span.row->witnesses[next], span.row->tentative_at};
      slot.from_base = remembered.witness == slot.witness && slot.base->type == slot.status.type &&
                       !slot.base->unread;
    }
    if (slot.from_base) {
      took_over_ = true;
    } else {
      slot.witness =
          WitnessToEarn(slot.witness, slot.status, d.before_stat, d.TraitsFor(slot), remembered);
    }
  }
}

// Directories of the base that are gone: the cache need not remember what was below them.
Status SnapshotWalk::ForgetRemoved(const Directory& d, const Span& span) {
  if (context_.cache == nullptr) return OkStatus();
  auto slot = span.slots.begin();
  for (const Entry& entry : span.leaf->entries) {
    while (slot != span.slots.end() && slot->name < entry.name) ++slot;
    if (slot != span.slots.end() && slot->name == entry.name &&
        slot->status.type == EntryType::kDirectory) {
      continue;
    }
    if (entry.type != EntryType::kDirectory) continue;
    WalkCallbacks callbacks;
    callbacks.enter = [&](const std::string& below, const Entry& gone) -> StatusOr<WalkStep> {
      if (gone.type != EntryType::kDirectory) return WalkStep::kContinue;
      ASSIGN_OR_RETURN(const BaseLeaves leaves, BaseLeaves::Open(context_.repository, gone.node));
      const std::string top = Join(d.path, entry.name);
      for (const NamedChild& leaf : leaves.items()) {
        RETURN_IF_ERROR(context_.cache->Remove(below.empty() ? top : Join(top, below), leaf.id));
      }
      return WalkStep::kContinue;
    };
    // A base that cannot be read leaves rows behind that nobody will find.
    (void)WalkTree(context_.repository, entry, callbacks);
  }
  return OkStatus();
}

}  // namespace cairn
