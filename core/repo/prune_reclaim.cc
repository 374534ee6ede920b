// SPDX-License-Identifier: Apache-2.0
// What prune does once it knows what goes: condemn, purge, sweep.
#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/repo/commit.h"
#include "core/repo/delta_bases.h"
#include "core/repo/parity_bytes.h"
#include "core/repo/prune_leftovers.h"
#include "core/repo/prune_run.h"
#include "core/repo/reserve.h"
#include "core/store/misplaced_packs.h"

namespace cairn {
namespace {

std::string Describe(const SessionInfo& session) {
  if (session.pid == 0) return "a session that has not said yet what it is";
  if (session.command.empty()) return absl::StrFormat("a session of pid %d", session.pid);
  return absl::StrFormat("%s of pid %d on %s", session.command, session.pid, session.host);
}

}  // namespace

bool PruneRun::BeganBefore(const SessionInfo& session, uint64_t record) {
  return !session.start || *session.start < record;
}

// Places one record with the new packs and the condemned ones. What has come between is looked at
// until the record follows the very head that was looked at.
Status PruneRun::Condemn(const std::vector<PackUse>& drop, RewriteBatch& batch) {
  std::set<PackName> going;
  for (const PackUse& pack : drop) going.insert(pack.info.name);
  for (const PackUse& pack : batch.old) going.insert(pack.info.name);
  for (;;) {
    RETURN_IF_ERROR(repository_.journal().CatchUp(state_));
    RETURN_IF_ERROR(MarkNewSnapshots());
    RETURN_IF_ERROR(
        MarkBases([&](const PackEntry& entry) { return !going.contains(entry.info.name); }));
    ASSIGN_OR_RETURN(const RecordEntries entries, CondemnEntries(drop, batch));
    if (entries.empty()) return OkStatus();
    RETURN_IF_ERROR(state_.CheckEntries(entries));
    const StatusOr<Record> record = repository_.journal().Append(state_.head(), entries);
    if (record.ok()) {
      batch.unnamed.Keep();
      RETURN_IF_ERROR(state_.Apply(*record));
      CountCondemned(entries, drop, batch);
      for (const std::unique_ptr<ParityWriter>& parity : batch.parity) {
        const Status placed = parity->Place();
        if (!placed.ok()) Warn("a pack is left without parity: " + std::string(Message(placed)));
      }
      for (const PackInfo& pack : batch.packs) {
        result_.parity_written += ParityBytesOf(repository_.store(), pack).value_or(0);
      }
      // The record is what counts. An index that lags is brought up to date before it is used.
      repository_.Refresh(&batch.footers).IgnoreError();
      return OkStatus();
    }
    if (record.status().code() == StatusCode::kAborted) continue;
    batch.unnamed.Keep();  // the record may stand
    if (record.status().code() != StatusCode::kResourceExhausted) return record.status();
    ASSIGN_OR_RETURN(const bool given_up, GiveUpReserveBlock(repository_.fs()));
    if (!given_up) return record.status();
  }
}

void PruneRun::RememberCopied(const RewriteBatch& batch) {
  std::set<PackName> rewritten;
  for (const PackUse& pack : batch.old) rewritten.insert(pack.info.name);
  for (const ReachableBlobs::PackMarks& pack : reachable_->MarkedPacks()) {
    if (rewritten.contains(pack.name)) copied_[pack.name] = pack.marked;
  }
}

// The packs with marked blobs that no new pack has: they must be live after the record.
Status PruneRun::FindNeeded(std::set<PackName>& needed, RecordEntries& entries) const {
  for (const ReachableBlobs::PackMarks& pack : reachable_->MarkedPacks()) {
    const auto copied = copied_.find(pack.name);
    if (copied != copied_.end() && copied->second == pack.marked) continue;
    needed.insert(pack.name);
    const PackEntry* const entry = state_.FindPack(pack.name);
    if (entry == nullptr || entry->state == PackState::kPurged) {
      return Aborted("pack " + pack.name.Hex() + " was purged by another prune");
    }
    if (entry->state == PackState::kLive) continue;
    if (entry->since > planned_head_ && !condemned_.contains(pack.name)) {
      return Aborted("pack " + pack.name.Hex() + " was condemned by another prune");
    }
    entries.rescue.push_back(pack.name);
  }
  return OkStatus();
}

StatusOr<RecordEntries> PruneRun::CondemnEntries(const std::vector<PackUse>& drop,
                                                 const RewriteBatch& batch) {
  RecordEntries entries;
  std::set<PackName> needed;
  RETURN_IF_ERROR(FindNeeded(needed, entries));
  std::set<SessionId> ended;
  for (const std::vector<PackUse>* const packs : {&drop, &batch.old}) {
    for (const PackUse& pack : *packs) {
      const PackName& name = pack.info.name;
      if (needed.contains(name)) continue;
      const PackEntry* const entry = state_.FindPack(name);
      if (entry == nullptr || entry->state != PackState::kLive) {
        return Aborted("pack " + name.Hex() + " was condemned by another prune");
      }
      entries.condemn.push_back(name);
      if (!state_.IsEnded(pack.info.session)) ended.insert(pack.info.session);
    }
  }
  if (entries.condemn.empty()) return entries;
  entries.ended.assign(ended.begin(), ended.end());
  entries.packs = batch.packs;
  return entries;
}

void PruneRun::CountCondemned(const RecordEntries& entries, const std::vector<PackUse>& drop,
                              const RewriteBatch& batch) {
  const std::set<PackName> condemned(entries.condemn.begin(), entries.condemn.end());
  condemned_.insert(condemned.begin(), condemned.end());
  for (const PackUse& pack : drop) {
    if (!condemned.contains(pack.info.name)) continue;
    ++result_.packs_dropped;
    result_.bytes_dropped += pack.info.bytes;
  }
  for (const PackUse& pack : batch.old) {
    if (!condemned.contains(pack.info.name)) continue;
    ++result_.packs_rewritten;
    result_.bytes_rewritten += pack.info.bytes;
  }
  for (const PackInfo& pack : entries.packs) result_.bytes_written += pack.bytes;
}

StatusOr<std::vector<SessionInfo>> PruneRun::OtherSessions() {
  ASSIGN_OR_RETURN(std::vector<SessionInfo> sessions, ListLiveSessions(repository_.fs()));
  if (session_ != nullptr) {
    std::erase_if(sessions, [&](const SessionInfo& s) { return s.id == session_->id(); });
  }
  return sessions;
}

void PruneRun::CountWaiting(const std::vector<SessionInfo>& sessions, uint64_t record,
                            const PackInfo& pack) {
  ++result_.packs_waiting;
  result_.bytes_waiting += pack.bytes;
  for (const SessionInfo& session : sessions) {
    const std::string text = Describe(session);
    if (BeganBefore(session, record) && !std::ranges::count(result_.waits_for, text)) {
      result_.waits_for.push_back(text);
    }
  }
}

Status PruneRun::Purge() {
  // After the record that condemned: a session that begins now knows of it.
  ASSIGN_OR_RETURN(const std::vector<SessionInfo> sessions, OtherSessions());
  std::map<PackName, uint64_t> candidates;  // with the record that condemned them
  for (const auto& [name, entry] : state_.packs()) {
    if (entry.state != PackState::kCondemned) continue;
    const uint64_t since = entry.since;
    const bool waits = std::ranges::any_of(
        sessions, [&](const SessionInfo& session) { return BeganBefore(session, since); });
    if (options_.now || !waits) candidates[name] = since;
  }
  std::vector<PackName> purged;
  const auto prepare = [&](const JournalState& state) -> StatusOr<RecordEntries> {
    RecordEntries entries;
    for (const auto& [name, since] : candidates) {
      const PackEntry* const entry = state.FindPack(name);
      // Else it was rescued meanwhile.
      if (entry != nullptr && entry->state == PackState::kCondemned && entry->since == since) {
        entries.purge.push_back(name);
      }
    }
    purged = entries.purge;
    return entries;
  };
  RETURN_IF_ERROR(WithReserve(repository_.fs(), [&] {
    return CommitWithState(repository_.journal(), state_, prepare).status();
  }));
  result_.packs_purged += purged.size();

  result_.packs_waiting = 0;
  result_.bytes_waiting = 0;
  result_.waits_for.clear();
  for (const auto& [name, entry] : state_.packs()) {
    if (entry.state == PackState::kCondemned) CountWaiting(sessions, entry.since, entry.info);
  }
  return OkStatus();
}

// Removes the files of what was purged, by this run or one that did not come so far.
Status PruneRun::Sweep() {
  std::vector<PackName> gone;
  Status failure;
  for (const auto& [name, entry] : state_.packs()) {
    if (entry.state != PackState::kPurged) continue;
    const uint64_t parity = ParityBytesOf(repository_.store(), entry.info).value_or(0);
    Status removed = repository_.store().Delete(ParityObjectName(name));
    if (removed.ok()) result_.parity_freed += parity;
    if (MustStay(name)) continue;
    if (removed.ok() || removed.code() == StatusCode::kNotFound) {
      removed = repository_.store().Delete(PackObjectName(name));
    }
    if (removed.ok()) result_.bytes_freed += entry.info.bytes;
    if (removed.ok() || removed.code() == StatusCode::kNotFound) {
      gone.push_back(name);
    } else if (failure.ok()) {
      failure = Annotate(removed, "remove pack " + name.Hex());
    }
  }
  const auto prepare = [&](const JournalState& state) -> StatusOr<RecordEntries> {
    RecordEntries entries;
    for (const PackName& name : gone) {
      if (state.FindPack(name) != nullptr) entries.swept.push_back(name);
    }
    return entries;
  };
  RETURN_IF_ERROR(WithReserve(repository_.fs(), [&] {
    return CommitWithState(repository_.journal(), state_, prepare).status();
  }));
  // Counts of frames that are gone are of no use, and of no harm.
  ForgetDependents(gone).IgnoreError();
  return failure;
}

// Warns of a file that another pack is lost with: what has its name is purged, it itself is not.
bool PruneRun::MustStay(const PackName& name) {
  if (kept_.contains(name)) return true;
  const PackInfo* const pack =
      FindPackLostWith(repository_.store(), repository_.keys(), state_, name, options_.stop);
  if (pack == nullptr) return false;
  kept_.insert(name);
  Warn("pack file " + PackObjectName(name) + " is pack " + pack->name.Hex() +
       " by what it says of itself: it stays, and `cairn repair` gives it its name");
  return true;
}

Status PruneRun::ForgetDependents(const std::vector<PackName>& gone) {
  if (gone.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const auto writer, repository_.index().Write());
  for (const PackName& name : gone) RETURN_IF_ERROR(DependentCounts::Forget(*writer, name));
  return writer->Commit();
}

Status PruneRun::CleanUp() {
  ASSIGN_OR_RETURN(const Leftovers leftovers, FindLeftovers(repository_, state_));
  ASSIGN_OR_RETURN(const RemovedFiles removed, RemoveLeftovers(repository_, leftovers, state_));
  result_.files_removed = removed.files;
  result_.bytes_freed += removed.bytes;
  for (const auto& [name, entry] : state_.packs()) {
    if (entry.state == PackState::kPurged) continue;
    result_.bytes_after += entry.info.bytes;
    result_.parity_after += ParityBytesOf(repository_.store(), entry.info).value_or(0);
  }
  // All that counts is done; whoever comes next makes up for what fails here.
  repository_.Refresh().IgnoreError();
  // Where it did not help it is taken back.
  repository_.EnsureReserve(disk_is_full_ ? 0 : kMinFreeForReserve).IgnoreError();
  repository_.FoldJournalIfDue().IgnoreError();
  return OkStatus();
}

}  // namespace cairn
