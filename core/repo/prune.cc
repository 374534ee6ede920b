// SPDX-License-Identifier: Apache-2.0
#include "core/repo/prune.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/repo/commit.h"
#include "core/repo/delta_bases.h"
#include "core/repo/mark.h"
#include "core/repo/parity_bytes.h"
#include "core/repo/prune_leftovers.h"
#include "core/repo/prune_plan.h"
#include "core/repo/prune_rewrite.h"
#include "core/repo/reserve.h"
#include "core/repo/snapshot_object.h"
#include "core/store/misplaced_packs.h"
#include "core/store/sessions.h"

namespace cairn {
namespace {

// The lock keeps other prunes out, but for network file systems that lose locks.
constexpr int kPruneAttempts = 5;

constexpr uint64_t kOnePack = 1;  // as a portion: it ends with the pack that reaches it

std::string Describe(const SessionInfo& session) {
  if (session.pid == 0) return "a session that has not said yet what it is";
  if (session.command.empty()) return absl::StrFormat("a session of pid %d", session.pid);
  return absl::StrFormat("%s of pid %d on %s", session.command, session.pid, session.host);
}

// Whether it may have found blobs in a pack that was condemned by `record`.
bool BeganBefore(const SessionInfo& session, uint64_t record) {
  return !session.start || *session.start < record;
}

class PruneRun {
 public:
  PruneRun(Repository& repository, const PruneOptions& options)
      : repository_(repository),
        options_(options),
        threads_(options.threads > 0
                     ? options.threads
                     : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))) {}

  StatusOr<PruneResult> Run();

 private:
  Status Begin();
  // Marks, plans, and reclaims; ABORTED if another prune has come between.
  Status Reclaim();
  Status SaveRoom(size_t next);
  Status MarkAndPlan();
  Status MarkNewSnapshots();
  Status MarkBases(const std::function<bool(const PackEntry&)>& stays);
  Status Condemn(const std::vector<PackUse>& drop, RewriteBatch& batch);
  StatusOr<RecordEntries> CondemnEntries(const std::vector<PackUse>& drop,
                                         const RewriteBatch& batch);
  void RememberCopied(const RewriteBatch& batch);
  Status FindNeeded(std::set<PackName>& needed, RecordEntries& entries) const;
  void CountCondemned(const RecordEntries& entries, const std::vector<PackUse>& drop,
                      const RewriteBatch& batch);
  Status Purge();
  Status Sweep();
  bool MustStay(const PackName& name);
  Status ForgetDependents(const std::vector<PackName>& gone);
  Status CleanUp();
  Status Predict();

  StatusOr<std::vector<SessionInfo>> OtherSessions();
  void CountWaiting(const std::vector<SessionInfo>& sessions, uint64_t record,
                    const PackInfo& pack);
  void Phase(const char* phase) const {
    if (options_.on_phase) options_.on_phase(phase);
  }
  void Warn(const std::string& message) const {
    if (repository_.options().warn) repository_.options().warn(message);
  }

  Repository& repository_;
  const PruneOptions& options_;
  const int threads_;
  PruneResult result_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<Session> session_;

  JournalState state_;
  // Head when the marking began, and what this run has condemned since: a pack that was condemned
  // later, and not by this run, shows that there is another prune.
  uint64_t planned_head_ = 0;
  std::set<PackName> condemned_;
  std::set<PackName> kept_;  // purged names of files that are other packs

  std::optional<ReachableBlobs> reachable_;
  const Index* marked_index_ = nullptr;
  std::set<SnapshotId> marked_snapshots_;
  // Marked blobs of packs that were rewritten, when they were copied: what is marked in them since
  // is not in the new packs.
  std::map<PackName, uint32_t> copied_;
  PrunePlan plan_;
  uint64_t portion_bytes_ = 0;
  bool disk_is_full_ = false;   // packs that should have been rewritten are left
  uint64_t missing_bytes_ = 0;  // about what the first of them takes more than there is
  bool counted_ = false;        // the figures of the plan are in the result
};

StatusOr<PruneResult> PruneRun::Run() {
  RETURN_IF_ERROR(Begin());
  Status status;
  for (int attempt = 1; attempt <= kPruneAttempts; ++attempt) {
    status = Reclaim();
    if (status.code() != StatusCode::kAborted) break;
  }
  if (status.code() == StatusCode::kAborted) {
    return Unavailable("other prunes come between again and again: " +
                       std::string(Message(status)));
  }
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(options_.dry_run ? Predict() : CleanUp());
  if (disk_is_full_ && result_.bytes_freed == 0) {
    return ResourceExhausted(absl::StrFormat(
        "nothing could be freed: to copy what is in use out of the first pack takes %.1f MB more "
        "than the disk has",
        1e-6 * static_cast<double>(missing_bytes_)));
  }
  return std::move(result_);
}

Status PruneRun::Begin() {
  const auto begin = [&]() -> Status {
    lock_ = nullptr;  // of a first try
    if (!options_.dry_run) {
      ASSIGN_OR_RETURN(lock_, LockForPrune(repository_.fs()));
    }
    ASSIGN_OR_RETURN(session_, repository_.OpenSession("prune"));
    ASSIGN_OR_RETURN(const JournalHead head, repository_.Refresh());
    // Without a start it counts as the oldest, which is no harm.
    session_->SetStart(head.number).IgnoreError();
    return OkStatus();
  };
  if (!options_.dry_run) return WithReserve(repository_.fs(), begin);
  // A look at a repository that cannot be written needs no session.
  const Status status = begin();
  return session_ == nullptr ? repository_.Refresh().status() : status;
}

Status PruneRun::Reclaim() {
  Phase("marking");
  RETURN_IF_ERROR(MarkAndPlan());
  if (options_.dry_run) return OkStatus();
  std::vector<PackUse> drop = std::move(plan_.drop);
  size_t next = 0;
  portion_bytes_ = options_.portion_bytes;
  disk_is_full_ = false;
  do {
    if (next < plan_.rewrite.size()) Phase("rewriting");
    PackRewriter rewriter(repository_, session_->id(), *reachable_,
                          {.threads = threads_,
                           .stop = options_.stop,
                           .batch_bytes = portion_bytes_,
                           .parity = options_.parity});
    StatusOr<RewriteBatch> batch = rewriter.Rewrite(plan_.rewrite, &next);
    if (batch.status().code() == StatusCode::kResourceExhausted) {
      // What is dropped may make the room for another try.
      if (drop.empty() && portion_bytes_ > kOnePack) {
        RETURN_IF_ERROR(SaveRoom(next));
        continue;
      }
      if (drop.empty()) {
        disk_is_full_ = true;
        const uint64_t takes = plan_.rewrite[next].rewritten_bytes;
        missing_bytes_ = takes - std::min(takes, repository_.fs().FreeBytes().value_or(0));
        Warn("packs were not rewritten: " + std::string(Message(batch.status())));
      }
      batch = RewriteBatch(repository_.store());
    }
    RETURN_IF_ERROR(batch.status());
    RememberCopied(*batch);
    RETURN_IF_ERROR(Condemn(drop, *batch));
    drop.clear();
    Phase("purging");
    RETURN_IF_ERROR(Purge());
    RETURN_IF_ERROR(Sweep());
    RETURN_IF_ERROR(CheckStop(options_.stop));
  } while (next < plan_.rewrite.size() && !disk_is_full_);
  return OkStatus();
}

// No whole pack can make room any more: from here on one pack at a time is rewritten, what takes
// least room first, as each makes room for the next.
Status PruneRun::SaveRoom(size_t next) {
  portion_bytes_ = kOnePack;
  const auto rest = plan_.rewrite.begin() + static_cast<ptrdiff_t>(next);
  // Small packs that would only be put together wait for better days.
  plan_.rewrite.erase(
      std::remove_if(rest, plan_.rewrite.end(),
                     [](const PackUse& pack) { return pack.rewritten_bytes >= pack.stored_bytes; }),
      plan_.rewrite.end());
  std::sort(rest, plan_.rewrite.end(), [](const PackUse& a, const PackUse& b) {
    return a.rewritten_bytes < b.rewritten_bytes;
  });
  return GiveUpReserve(repository_.fs());
}

Status PruneRun::MarkAndPlan() {
  ASSIGN_OR_RETURN(state_, repository_.journal().ReadState());
  planned_head_ = state_.head().number;
  RETURN_IF_ERROR(repository_.Refresh().status());
  marked_index_ = &repository_.index();
  ASSIGN_OR_RETURN(reachable_, ReachableBlobs::Create(repository_, options_.replace));
  marked_snapshots_.clear();
  copied_.clear();
  RETURN_IF_ERROR(MarkNewSnapshots());

  // After the state was read: a pack that is in it, and whose session is not alive now, is not one
  // that a session has just begun with.
  std::set<SessionId> alive;
  ASSIGN_OR_RETURN(const std::vector<SessionInfo> sessions, ListLiveSessions(repository_.fs()));
  for (const SessionInfo& session : sessions) alive.insert(session.id);
  RETURN_IF_ERROR(
      MarkBases([&](const PackEntry& entry) { return alive.contains(entry.info.session); }));
  ASSIGN_OR_RETURN(const std::vector<PackUse> packs,
                   MeasurePacks(repository_, state_, *reachable_, alive, options_.stop));
  plan_ = options_.replace.empty()
              ? ChoosePacks(packs, options_, repository_.config().pack_target_bytes)
              : ReplacePacks(packs, options_.replace);
  if (std::exchange(counted_, true)) return OkStatus();
  for (const auto& [name, entry] : state_.packs()) {
    if (entry.state == PackState::kPurged) continue;
    ++result_.packs_before;
    result_.bytes_before += entry.info.bytes;
    ASSIGN_OR_RETURN(const uint64_t parity, ParityBytesOf(repository_.store(), entry.info));
    result_.parity_before += parity;
  }
  result_.used_bytes = plan_.used_bytes;
  result_.unused_bytes = plan_.unused_bytes;
  return OkStatus();
}

// Marks what the live snapshots of state_ reach that were not marked before.
Status PruneRun::MarkNewSnapshots() {
  std::vector<SnapshotId> snapshots;
  std::vector<BlobRef> roots;
  for (const auto& [id, record] : state_.snapshots()) {
    if (marked_snapshots_.contains(id)) continue;
    const StatusOr<SnapshotObject> object = DecodeSnapshotObject(record.snapshot.object);
    if (!object.ok()) return Annotate(object.status(), "nothing was removed: snapshot " + id.Hex());
    for (const BlobRef& ref : SnapshotReferences(*object)) roots.push_back(ref);
    snapshots.push_back(id);
  }
  if (snapshots.empty()) return OkStatus();
  RETURN_IF_ERROR(repository_.Refresh().status());
  if (&repository_.index() != marked_index_) return Aborted("the index was exchanged");
  const Status marked =
      reachable_->Mark(roots, {.threads = threads_, .stop = options_.stop, .missing = nullptr});
  if (marked.ok()) {
    marked_snapshots_.insert(snapshots.begin(), snapshots.end());
    return OkStatus();
  }
  if (marked.code() != StatusCode::kNotFound && marked.code() != StatusCode::kDataLoss) {
    return marked;
  }
  // Another prune may have taken what a snapshot held that was forgotten meanwhile.
  RETURN_IF_ERROR(repository_.journal().CatchUp(state_));
  for (const SnapshotId& id : snapshots) {
    if (!state_.snapshots().contains(id)) return Aborted("a snapshot was forgotten meanwhile");
  }
  return DataLoss("nothing was removed, as something is missing that a snapshot needs: " +
                  std::string(Message(marked)));
}

// Marks the bases of the live packs that stay though nothing in them may be marked, and of all in
// which something is.
Status PruneRun::MarkBases(const std::function<bool(const PackEntry&)>& stays) {
  std::vector<PackName> staying;
  for (const auto& [name, entry] : state_.packs()) {
    if ((entry.info.content & kPackHasDeltas) == 0 || entry.state != PackState::kLive) continue;
    if (stays(entry)) staying.push_back(name);
  }
  RETURN_IF_ERROR(repository_.Refresh().status());
  if (&repository_.index() != marked_index_) return Aborted("the index was exchanged");
  const Status marked = reachable_->MarkBases(staying, options_.stop);
  if (marked.code() != StatusCode::kNotFound) return marked;
  return DataLoss("nothing was removed, as something is missing that a snapshot needs: " +
                  std::string(Message(marked)));
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

// The figures of a run at once, from the plan.
Status PruneRun::Predict() {
  ASSIGN_OR_RETURN(const std::vector<SessionInfo> sessions, OtherSessions());
  std::set<PackName> rescued;
  for (const auto& pack : reachable_->MarkedPacks()) rescued.insert(pack.name);
  uint64_t freed_packs = 0;
  const auto condemned = [&](const PackInfo& pack, uint64_t record) {
    const bool waits = std::ranges::any_of(
        sessions, [&](const SessionInfo& session) { return BeganBefore(session, record); });
    if (waits && !options_.now) return CountWaiting(sessions, record, pack);
    ++result_.packs_purged;
    freed_packs += pack.bytes;
    result_.parity_freed += ParityBytesOf(repository_.store(), pack).value_or(0);
  };
  for (const auto& [name, entry] : state_.packs()) {
    if (entry.state == PackState::kCondemned && !rescued.contains(name)) {
      condemned(entry.info, entry.since);
    }
    if (entry.state != PackState::kPurged) continue;
    if (repository_.store().Size(PackObjectName(name)).ok()) {
      result_.bytes_freed += entry.info.bytes;
    }
  }
  const uint64_t next_record = state_.head().number + 1;
  for (const PackUse& pack : plan_.drop) {
    ++result_.packs_dropped;
    result_.bytes_dropped += pack.info.bytes;
    condemned(pack.info, next_record);
  }
  for (const PackUse& pack : plan_.rewrite) {
    ++result_.packs_rewritten;
    result_.bytes_rewritten += pack.info.bytes;
    result_.bytes_written += pack.rewritten_bytes;
    condemned(pack.info, next_record);
  }
  if (options_.parity && result_.bytes_written > 0) {
    const uint64_t target = repository_.config().pack_target_bytes;
    const uint64_t whole = result_.bytes_written / target;
    const uint64_t rest = result_.bytes_written % target;
    result_.parity_written = whole * ParityLayout(target).file_bytes();
    if (rest > 0) result_.parity_written += ParityLayout(rest).file_bytes();
  }
  result_.parity_after = result_.parity_before + result_.parity_written - result_.parity_freed;
  result_.bytes_after = result_.bytes_before + result_.bytes_written - freed_packs;
  result_.bytes_freed += freed_packs;

  ASSIGN_OR_RETURN(const Leftovers leftovers, FindLeftovers(repository_, state_));
  result_.files_removed = leftovers.packs.size() + leftovers.files.size();
  for (const Leftovers::Pack& pack : leftovers.packs) result_.bytes_freed += pack.bytes;
  for (const auto& file : leftovers.files) result_.bytes_freed += file.bytes;
  return OkStatus();
}

}  // namespace

StatusOr<PruneResult> Prune(Repository& repository, const PruneOptions& options) {
  return PruneRun(repository, options).Run();
}

}  // namespace cairn
