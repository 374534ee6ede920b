// SPDX-License-Identifier: Apache-2.0
#include "core/repo/prune.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/repo/parity_bytes.h"
#include "core/repo/prune_leftovers.h"
#include "core/repo/prune_run.h"
#include "core/repo/reserve.h"
#include "core/repo/snapshot_object.h"

namespace cairn {
namespace {

// The lock keeps other prunes out, but for network file systems that lose locks.
constexpr int kPruneAttempts = 5;

constexpr uint64_t kOnePack = 1;  // as a portion: it ends with the pack that reaches it

}  // namespace

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

StatusOr<PruneResult> Prune(Repository& repository, const PruneOptions& options) {
  return PruneRun(repository, options).Run();
}

}  // namespace cairn
