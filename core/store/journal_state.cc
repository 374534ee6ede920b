// SPDX-License-Identifier: Apache-2.0
#include "core/store/journal_state.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"

namespace cairn {
namespace {

const char* StateName(const std::optional<PackState>& state) {
  if (!state) return "unknown";
  switch (*state) {
    case PackState::kLive:
      return "live";
    case PackState::kCondemned:
      return "condemned";
    case PackState::kPurged:
      return "purged";
  }
  return "unknown";
}

// The states of packs as one record changes them, entry after entry.
class PackChanges {
 public:
  explicit PackChanges(const JournalState& state) : state_(state) {}

  // `what` for messages. Nothing stands for a pack that the journal does not know.
  Status Change(const char* what, const PackName& name, std::optional<PackState> from,
                std::optional<PackState> to) {
    auto changed = changed_.find(name);
    if (changed == changed_.end()) {
      const PackEntry* entry = state_.FindPack(name);
      changed = changed_
                    .emplace(name, entry == nullptr ? std::optional<PackState>()
                                                    : std::optional<PackState>(entry->state))
                    .first;
    }
    if (changed->second != from) {
      return DataLoss(absl::StrFormat("pack %s: %s, but it is %s", name.Hex(), what,
                                      StateName(changed->second)));
    }
    changed->second = to;
    return OkStatus();
  }

  Status ChangeAll(const char* what, const std::vector<PackName>& names,
                   std::optional<PackState> from, std::optional<PackState> to) {
    for (const PackName& name : names) RETURN_IF_ERROR(Change(what, name, from, to));
    return OkStatus();
  }

 private:
  const JournalState& state_;
  absl::flat_hash_map<PackName, std::optional<PackState>> changed_;
};

}  // namespace

Status JournalState::CheckEntries(const RecordEntries& entries) const {
  PackChanges changes(*this);
  for (const PackInfo& pack : entries.packs) {
    RETURN_IF_ERROR(changes.Change("to be named", pack.name, std::nullopt, PackState::kLive));
  }
  RETURN_IF_ERROR(
      changes.ChangeAll("to be rescued", entries.rescue, PackState::kCondemned, PackState::kLive));
  RETURN_IF_ERROR(changes.ChangeAll("to be condemned", entries.condemn, PackState::kLive,
                                    PackState::kCondemned));
  RETURN_IF_ERROR(
      changes.ChangeAll("to be purged", entries.purge, PackState::kCondemned, PackState::kPurged));
  RETURN_IF_ERROR(
      changes.ChangeAll("to be swept", entries.swept, PackState::kPurged, std::nullopt));
  absl::flat_hash_set<SnapshotId> added;
  for (const SnapshotEntry& snapshot : entries.snapshots) {
    if (snapshots_.contains(snapshot.id) || !added.insert(snapshot.id).second) {
      return DataLoss(
          absl::StrFormat("snapshot %s: to be added, but it is there", snapshot.id.Hex()));
    }
  }
  return OkStatus();
}

Status JournalState::Apply(const Record& record) {
  if (record.number != head_.number + 1 || record.predecessor != head_.hash) {
    return Internal(absl::StrFormat("apply record %d: the state is that after record %d",
                                    record.number, head_.number));
  }
  const RecordEntries& entries = record.entries;
  if (const Status sound = CheckEntries(entries); !sound.ok()) {
    return Annotate(sound, absl::StrFormat("journal record %d", record.number));
  }

  TakeEffect(entries, record.number);
  head_ = {.number = record.number, .hash = record.hash};
  short_hashes_.push_back(ShortHash(record.hash));
  return OkStatus();
}

void JournalState::TakeEffect(const RecordEntries& entries, uint64_t number) {
  ended_.insert(entries.ended.begin(), entries.ended.end());
  for (const PackInfo& pack : entries.packs) {
    packs_[pack.name] = {
        .info = pack, .state = PackState::kLive, .named_at = number, .since = number};
  }
  const auto set_state = [&](const std::vector<PackName>& names, PackState state) {
    for (const PackName& name : names) {
      PackEntry& entry = packs_[name];
      entry.state = state;
      entry.since = number;
    }
  };
  set_state(entries.rescue, PackState::kLive);
  set_state(entries.condemn, PackState::kCondemned);
  set_state(entries.purge, PackState::kPurged);
  for (const PackName& name : entries.swept) packs_.erase(name);

  for (const SnapshotEntry& snapshot : entries.snapshots) {
    snapshots_[snapshot.id] = {
        .snapshot = snapshot, .record = number, .held = false, .tags = std::nullopt};
  }
  for (const SnapshotId& id : entries.forget) snapshots_.erase(id);
  const auto set_held = [&](const std::vector<SnapshotId>& ids, bool held) {
    for (const SnapshotId& id : ids) {
      if (const auto found = snapshots_.find(id); found != snapshots_.end()) {
        found->second.held = held;
      }
    }
  };
  set_held(entries.hold, true);
  set_held(entries.release, false);
  for (const TagsEntry& tags : entries.tags) {
    if (const auto found = snapshots_.find(tags.snapshot); found != snapshots_.end()) {
      found->second.tags = tags.tags;
    }
  }
}

void JournalState::ApplyBeyondLoss(const Record& record) {
  RecordEntries entries = record.entries;
  std::erase_if(entries.packs, [&](const PackInfo& pack) { return packs_.contains(pack.name); });
  std::set<PackName> added;
  for (const PackInfo& pack : entries.packs) added.insert(pack.name);
  const auto is_unknown = [&](const PackName& name) {
    const PackEntry* const entry = FindPack(name);
    return entry == nullptr ? !added.contains(name) : entry->state == PackState::kPurged;
  };
  std::erase_if(entries.rescue, is_unknown);
  std::erase_if(entries.condemn, is_unknown);
  std::erase_if(entries.purge, is_unknown);
  std::erase_if(entries.snapshots,
                [&](const SnapshotEntry& snapshot) { return snapshots_.contains(snapshot.id); });
  TakeEffect(entries, record.number);
  head_ = {.number = record.number, .hash = record.hash};
}

const PackEntry* JournalState::FindPack(const PackName& name) const {
  const auto found = packs_.find(name);
  return found == packs_.end() ? nullptr : &found->second;
}

RecordShortHash ShortHash(const RecordHash& hash) {
  RecordShortHash short_hash;
  std::copy_n(hash.bytes.begin(), short_hash.size(), short_hash.begin());
  return short_hash;
}

}  // namespace cairn
