// SPDX-License-Identifier: Apache-2.0
#include "core/repo/repair.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "core/repo/place_finder.h"
#include "core/repo/prune.h"
#include "core/repo/put_back.h"
#include "core/repo/recovered_blobs.h"
#include "core/repo/recovery_from_sources.h"
#include "core/store/config.h"
#include "core/store/journal_names.h"
#include "core/store/misplaced_packs.h"
#include "core/store/pack_mend.h"
#include "core/store/parity.h"
#include "core/store/record.h"
#include "core/store/sessions.h"
#include "core/store/twin_file.h"

namespace cairn {
namespace {

// What a delta pack is based on is found to be unused only once the delta pack is gone.
constexpr int kReplaceRounds = 3;

bool HasWrongIndex(const CheckResult& result) {
  return std::ranges::any_of(result.damages,
                             [](const Damage& damage) { return damage.object == "index"; });
}

class RepairRun {
 public:
  RepairRun(Repository& repository, const RepairOptions& options)
      : repository_(repository), options_(options) {}

  StatusOr<RepairResult> Run();

 private:
  // What belongs to a writer; not held while packs are replaced, which prune does.
  struct Turn {
    std::unique_ptr<FileLock> lock;
    std::unique_ptr<Session> session;
  };
  StatusOr<Turn> TakeTurn();

  StatusOr<CheckResult> CheckAgain(ReadSubset subset);
  StatusOr<CheckResult> CheckDamaged();

  Status MendTwins(const SessionId& session);
  Status MendKeys(const SessionId& session);
  Status MendTwin(const RepositoryKeys& keys, const TwinMagic& magic, const std::string& name,
                  const SessionId& session);
  Status PutBack(const SessionId& session);
  Status RenamePacks();
  Status MendPacks(const SessionId& session);
  Status MendPack(PackMender& mender, const JournalState& state, const PackInfo& pack);
  Status MakeParity(PackMender& mender, const PackInfo& pack);

  // Looks for lost blobs in every source, until nothing more is found.
  Status RecoverBlobs(const SessionId& session, CheckResult& state);
  StatusOr<uint64_t> RecoverOnce(const SessionId& session, const CheckResult& state);
  Status RecoverFromRepository(Repository& from, RecoveredBlobs& blobs);
  // Without those that were found before, and are lost for another reason; of a dry run also
  // without those that parity, or a pack's own name, would bring back.
  StatusOr<std::vector<BlobRef>> Wanted(const std::vector<BlobRef>& lost) const;
  StatusOr<bool> IsMendable(IndexReader& reader, const BlobRef& ref) const;
  Status ReplacePacks(CheckResult& state);
  // Whether the footer of the pack can be read.
  StatusOr<bool> KnowsItself(const PackName& name);

  void Phase(const char* phase) const {
    if (options_.on_phase) options_.on_phase(phase);
  }
  void Told(const std::string& what) const {
    if (options_.on_mended) options_.on_mended(what);
  }

  Repository& repository_;
  const RepairOptions& options_;
  RepairResult result_;
  std::set<PackName> damaged_;  // at the beginning
  std::set<PackName> mended_;   // of them, or mendable: by parity, or by their names
  absl::flat_hash_set<BlobId> recovered_;
};

StatusOr<RepairRun::Turn> RepairRun::TakeTurn() {
  Turn turn;
  if (options_.dry_run) return turn;
  ASSIGN_OR_RETURN(turn.lock, LockForPrune(repository_.fs()));
  ASSIGN_OR_RETURN(turn.session, repository_.OpenSession("repair"));
  ASSIGN_OR_RETURN(const JournalHead head, repository_.Refresh());
  RETURN_IF_ERROR(turn.session->SetStart(head.number));
  return turn;
}

StatusOr<CheckResult> RepairRun::CheckAgain(ReadSubset subset) {
  CheckOptions options;
  options.read_data = std::move(subset);
  options.threads = options_.threads;
  options.stop = options_.stop;
  ASSIGN_OR_RETURN(CheckResult result, Check(repository_, options));
  if (options_.dry_run || !HasWrongIndex(result)) return result;
  // It may be the last to know what is in a pack whose end is lost.
  for (const PackName& name : result.damaged_packs) {
    ASSIGN_OR_RETURN(const bool known, KnowsItself(name));
    if (!known) return result;
  }
  RETURN_IF_ERROR(repository_.RebuildIndex());
  Told("the index was made anew");
  return Check(repository_, options);
}

StatusOr<bool> RepairRun::KnowsItself(const PackName& name) {
  ASSIGN_OR_RETURN(const JournalState state, repository_.journal().ReadState());
  const PackEntry* const entry = state.FindPack(name);
  if (entry == nullptr) return true;
  return ReadPackFooter(repository_.store(), repository_.keys(), entry->info).ok();
}

StatusOr<CheckResult> RepairRun::CheckDamaged() {
  ReadSubset subset;
  subset.kind = ReadSubset::Kind::kPacks;
  subset.packs = damaged_;
  return CheckAgain(std::move(subset));
}

StatusOr<RepairResult> RepairRun::Run() {
  {
    ASSIGN_OR_RETURN(const Turn turn, TakeTurn());
    const SessionId session = turn.session != nullptr ? turn.session->id() : SessionId{};
    Phase("checking");
    RETURN_IF_ERROR(PutBack(session));
    const uint64_t objects = result_.objects_from_others;
    result_.damages_found = objects;
    if (result_.ends_with_objects) return std::move(result_);
    ReadSubset all;
    all.kind = ReadSubset::Kind::kAll;
    ASSIGN_OR_RETURN(result_.left, CheckAgain(std::move(all)));
    result_.damages_found = result_.left.damages.size() + (options_.dry_run ? 0 : objects);
    damaged_ = result_.left.damaged_packs;
    Phase("mending");
    RETURN_IF_ERROR(MendTwins(session));
    RETURN_IF_ERROR(RenamePacks());
    RETURN_IF_ERROR(MendPacks(session));
    if (!options_.dry_run && result_.damages_found > 0) {
      ASSIGN_OR_RETURN(result_.left, CheckDamaged());
    }
    Phase("recovering");
    RETURN_IF_ERROR(RecoverBlobs(session, result_.left));
  }
  if (!options_.dry_run && !result_.left.damaged_packs.empty() && !HasWrongIndex(result_.left)) {
    Phase("replacing");
    RETURN_IF_ERROR(ReplacePacks(result_.left));
  }
  // Of what was replaced, and of parity, once for all.
  if (!options_.dry_run) RETURN_IF_ERROR(repository_.store().SyncNames());
  return std::move(result_);
}

Status RepairRun::MendTwins(const SessionId& session) {
  RETURN_IF_ERROR(MendTwin(repository_.keys(), kConfigMagic, kConfigName, session));
  RETURN_IF_ERROR(MendKeys(session));
  ASSIGN_OR_RETURN(const std::vector<Journal::Finding> found, repository_.journal().Verify());
  for (const Journal::Finding& each : found) {
    if (!each.status.ok() || each.damage.empty()) continue;
    const bool is_fold = each.name.starts_with("journal/folds/");
    RETURN_IF_ERROR(
        MendTwin(repository_.keys(), is_fold ? kFoldMagic : kRecordMagic, each.name, session));
  }
  return OkStatus();
}

Status RepairRun::MendKeys(const SessionId& session) {
  if (!repository_.keys().sealed()) return OkStatus();
  // One that is removed meanwhile must not come back.
  std::unique_ptr<FileLock> lock;
  if (!options_.dry_run) {
    ASSIGN_OR_RETURN(lock, LockForKeys(repository_.fs()));
  }
  ASSIGN_OR_RETURN(const std::vector<StoredKey> keys, ListKeys(repository_.store()));
  for (const StoredKey& stored : keys) {
    if (!stored.key.ok() || stored.damage.empty()) continue;
    RETURN_IF_ERROR(MendTwin(RepositoryKeys(), kKeyMagic, stored.name, session));
  }
  return OkStatus();
}

// Only if one copy is whole: nothing else tells what the object said.
Status RepairRun::MendTwin(const RepositoryKeys& keys, const TwinMagic& magic,
                           const std::string& name, const SessionId& session) {
  ObjectStore& store = repository_.store();
  const StatusOr<Bytes> file = ReadTwinFile(store, name, kMaxFoldFileBytes);
  if (!file.ok()) return OkStatus();
  StatusOr<DecodedTwin> decoded = DecodeTwin(keys, magic, *file, name);
  if (!decoded.ok() || decoded->damage.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const Bytes whole, EncodeAgain(keys, *std::move(decoded), name));
  if (!options_.dry_run) RETURN_IF_ERROR(ReplaceTwinFile(store, name, whole, session));
  ++result_.copies_mended;
  Told(name + ": from its other copy");
  return OkStatus();
}

// What the repository could be opened without, as this user's index remembers what it said.
Status RepairRun::PutBack(const SessionId& session) {
  if (options_.from.empty()) return OkStatus();
  std::unique_ptr<FileLock> lock;
  if (repository_.keys().sealed() && !options_.dry_run) {
    ASSIGN_OR_RETURN(lock, LockForKeys(repository_.fs()));
  }
  PutBackOptions options;
  for (Repository* const from : options_.from) options.from.push_back(&from->store());
  options.dry_run = options_.dry_run;
  options.on_mended = options_.on_mended;
  ASSIGN_OR_RETURN(result_.objects_from_others,
                   PutBackObjects(repository_.store(), repository_.keys(), session, options));
  const bool is_back = result_.objects_from_others == 0 || !options_.dry_run;
  result_.ends_with_objects = !is_back && !repository_.journal().ReadState().ok();
  return OkStatus();
}

// Before all that looks for a pack under its name, and before anything goes.
Status RepairRun::RenamePacks() {
  ASSIGN_OR_RETURN(const JournalState state, repository_.journal().ReadState());
  const std::vector<MisplacedPack> packs =
      FindMisplacedPacks(repository_.store(), repository_.keys(), state, damaged_, options_.stop);
  RETURN_IF_ERROR(CheckStop(options_.stop));
  if (!options_.dry_run) RETURN_IF_ERROR(RenameMisplacedPacks(repository_.store(), packs));
  for (const MisplacedPack& each : packs) {
    const bool is_own = each.to == each.pack.name;
    if (is_own) ++result_.packs_renamed;
    if (is_own && each.whole) mended_.insert(each.pack.name);
    Told(absl::StrFormat("pack %s: %s had the name of pack %s", each.pack.name.Hex(),
                         is_own ? "its file" : "a damaged copy", each.at.Hex()));
  }
  return OkStatus();
}

Status RepairRun::MendPacks(const SessionId& session) {
  ASSIGN_OR_RETURN(const JournalState state, repository_.journal().ReadState());
  PackMender mender(repository_.store(), repository_.keys(), session, options_.stop);
  for (const auto& [name, entry] : state.packs()) {
    if (entry.state == PackState::kPurged) continue;
    RETURN_IF_ERROR(CheckStop(options_.stop));
    if (damaged_.contains(name)) RETURN_IF_ERROR(MendPack(mender, state, entry.info));
    if ((entry.info.content & kPackHasParity) == 0 || entry.state != PackState::kLive) continue;
    if (damaged_.contains(name) && !mender.Verify(entry.info).ok()) continue;
    const Status parity = mender.VerifyParity(entry.info);
    if (!parity.ok()) RETURN_IF_ERROR(MakeParity(mender, entry.info));
  }
  return OkStatus();
}

Status RepairRun::MendPack(PackMender& mender, const JournalState& state, const PackInfo& pack) {
  // Its own bytes may be right: then it lacks what others have lost.
  if (mender.Verify(pack).ok()) return OkStatus();
  // What is small can be made from parity alone, whatever stands in its place.
  if (FindPackLostWith(repository_.store(), repository_.keys(), state, pack.name, options_.stop)) {
    return OkStatus();
  }
  const StatusOr<PackMender::Patches> patches = mender.Solve(pack);
  RETURN_IF_ERROR(CheckStop(options_.stop));
  if (!patches.ok()) return OkStatus();
  if (!options_.dry_run) RETURN_IF_ERROR(mender.Mend(pack, *patches));
  mended_.insert(pack.name);
  ++result_.packs_mended;
  result_.bytes_mended += patches->size() * kShardBytes;
  Told(absl::StrFormat("pack %s: %d KiB by its parity", pack.name.Hex(),
                       patches->size() * kShardBytes / kKiB));
  return OkStatus();
}

Status RepairRun::MakeParity(PackMender& mender, const PackInfo& pack) {
  if (!options_.dry_run) RETURN_IF_ERROR(mender.MakeParity(pack));
  ++result_.parity_made;
  Told("pack " + pack.name.Hex() + ": its parity was made anew");
  return OkStatus();
}

StatusOr<bool> RepairRun::IsMendable(IndexReader& reader, const BlobRef& ref) const {
  const auto is_mended = [this](const FramedPlace& at) {
    return mended_.contains(at.pack.info.name);
  };
  PlaceFinder finder(reader);
  ASSIGN_OR_RETURN(const std::vector<FramedPlace> places, finder.Find(ref));
  if (std::ranges::any_of(places, is_mended)) return true;
  for (const FramedPlace& at : places) {
    for (const BaseId& base : at.frame.bases) {
      ASSIGN_OR_RETURN(const std::vector<FramedPlace> bases, finder.FindBase(base));
      if (std::ranges::any_of(bases, is_mended)) return true;
    }
  }
  return false;
}

StatusOr<std::vector<BlobRef>> RepairRun::Wanted(const std::vector<BlobRef>& lost) const {
  std::vector<BlobRef> wanted;
  ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  for (const BlobRef& ref : lost) {
    if (recovered_.contains(ref.id)) continue;
    bool mendable = false;
    if (options_.dry_run) {
      ASSIGN_OR_RETURN(mendable, IsMendable(*reader, ref));
    }
    if (!mendable) wanted.push_back(ref);
  }
  return wanted;
}

Status RepairRun::RecoverBlobs(const SessionId& session, CheckResult& state) {
  while (!state.lost.empty()) {
    ASSIGN_OR_RETURN(const uint64_t found, RecoverOnce(session, state));
    if (options_.dry_run || found == 0) break;
    // A node that was found may name others that are lost.
    ASSIGN_OR_RETURN(state, CheckDamaged());
    result_.blobs_missing = state.lost.size();
  }
  return OkStatus();
}

StatusOr<uint64_t> RepairRun::RecoverOnce(const SessionId& session, const CheckResult& state) {
  ASSIGN_OR_RETURN(const std::vector<BlobRef> wanted, Wanted(state.lost));
  RecoveredBlobs blobs(repository_, session, wanted, options_.dry_run, options_.stop);
  // A pack whose end is lost may still have them, where the index knows it.
  RETURN_IF_ERROR(RecoverFromRepository(repository_, blobs));
  uint64_t before = blobs.found();
  RETURN_IF_ERROR(RecoverFromSources(repository_, state.affected,
                                     {.threads = options_.threads, .stop = options_.stop}, blobs));
  result_.blobs_from_sources += blobs.found() - before;
  before = blobs.found();
  for (Repository* const from : options_.from) {
    RETURN_IF_ERROR(RecoverFromRepository(*from, blobs));
  }
  result_.blobs_from_others += blobs.found() - before;
  const std::vector<BlobRef> lacking = blobs.Lacking();
  result_.blobs_missing = lacking.size();
  for (const BlobRef& ref : wanted) recovered_.insert(ref.id);
  for (const BlobRef& ref : lacking) recovered_.erase(ref.id);
  if (!options_.dry_run) RETURN_IF_ERROR(blobs.Commit());
  return blobs.found();
}

Status RepairRun::RecoverFromRepository(Repository& from, RecoveredBlobs& blobs) {
  for (const BlobRef& ref : blobs.Lacking()) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    const StatusOr<Bytes> bytes = from.ReadBlob(ref);
    if (bytes.ok()) RETURN_IF_ERROR(blobs.WriteBlob(ref.kind, *bytes).status());
  }
  return OkStatus();
}

Status RepairRun::ReplacePacks(CheckResult& state) {
  for (int round = 0; round < kReplaceRounds && !state.damaged_packs.empty(); ++round) {
    PruneOptions options;
    options.replace = state.damaged_packs;
    options.threads = options_.threads;
    options.stop = options_.stop;
    const StatusOr<PruneResult> replaced = Prune(repository_, options);
    // What is lost keeps the damaged packs where they are.
    if (replaced.status().code() == StatusCode::kDataLoss) return OkStatus();
    RETURN_IF_ERROR(replaced.status());
    const uint64_t packs = replaced->packs_dropped + replaced->packs_rewritten;
    result_.packs_replaced += packs;
    if (packs > 0) Told(absl::StrFormat("%d damaged packs were replaced", packs));
    // It may have purged some that were condemned before.
    ASSIGN_OR_RETURN(state, CheckDamaged());
    if (packs == 0) return OkStatus();
  }
  return OkStatus();
}

}  // namespace

StatusOr<RepairResult> Repair(Repository& repository, const RepairOptions& options) {
  return RepairRun(repository, options).Run();
}

}  // namespace cairn
