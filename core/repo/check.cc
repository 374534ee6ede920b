// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/repo/check_blobs.h"
#include "core/repo/check_packs.h"
#include "core/repo/check_trees.h"
#include "core/repo/salvage.h"
#include "core/store/config.h"
#include "core/store/journal_state.h"
#include "core/store/sessions.h"
#include "core/store/twin_file.h"

namespace cairn {
namespace {

constexpr int kCheckAttempts = 3;
constexpr char kJournalObject[] = "journal";

void CheckConfig(Repository& repository, CheckFindings& findings) {
  const StatusOr<Bytes> file = ReadTwinFile(repository.store(), kConfigName, kMaxConfigFileBytes);
  std::string damage;
  const StatusOr<RepositoryConfig> config = file.ok()
                                                ? DecodeConfig(repository.keys(), *file, &damage)
                                                : StatusOr<RepositoryConfig>(file.status());
  constexpr char kMeaning[] =
      "; the sizes of chunks that it holds stand nowhere else, and nothing can be written without "
      "it: `cairn repair --from COPY` puts it back from a copy of the repository. Snapshots can be "
      "read without it";
  if (!config.ok()) {
    findings.Add({kConfigName, std::string(Message(config.status())) + kMeaning});
  } else if (config->id != repository.config().id) {
    findings.Add({kConfigName, std::string("it is another repository's") + kMeaning});
  } else if (*config != repository.config()) {
    findings.Add({kConfigName, "it is not the one that this repository was opened with"});
  } else if (!damage.empty()) {
    findings.Add({kConfigName, damage, /*harmless=*/true, /*mendable=*/true});
  }
}

// One that is of no use may be the only one that somebody can open.
Status CheckKeys(Repository& repository, CheckFindings& findings) {
  ASSIGN_OR_RETURN(const std::vector<StoredKey> keys, ListKeys(repository.store()));
  for (const StoredKey& stored : keys) {
    if (!stored.key.ok()) {
      findings.Add({stored.name, std::string(Message(stored.key.status())) +
                                     "; `cairn repair --from COPY` puts it back from a copy of the "
                                     "repository, or remove it and add the password or key file "
                                     "again"});
    } else if (stored.key->repository != repository.config().id) {
      findings.Add({stored.name, "it is a key of another repository"});
    } else if (stored.misnamed()) {
      findings.Add(
          {stored.name, "the key in it has another name, " + stored.key->id.Hex() +
                            ": it opens all the same, and is perhaps one that was removed; "
                            "`cairn key remove` removes it"});
    } else if (!stored.damage.empty()) {
      findings.Add({stored.name, stored.damage, /*harmless=*/true, /*mendable=*/true});
    }
  }
  return OkStatus();
}

// Each object by itself; what it means for the whole is KnownState's.
Status CheckJournal(Repository& repository, CheckFindings& findings) {
  ASSIGN_OR_RETURN(const std::vector<Journal::Finding> found, repository.journal().Verify());
  for (const Journal::Finding& each : found) {
    if (each.name == kJournalObject) continue;
    if (!each.status.ok()) {
      findings.Add({each.name, std::string(Message(each.status))});
    } else if (!each.damage.empty()) {
      findings.Add({each.name, each.damage, /*harmless=*/true, /*mendable=*/true});
    }
  }
  return OkStatus();
}

struct KnownState {
  JournalState state;
  bool whole = true;  // else something of the journal is lost, and a finding says what
};

StatusOr<KnownState> FindKnownState(Repository& repository, CheckFindings& findings) {
  StatusOr<JournalState> state = repository.journal().ReadState();
  if (state.ok()) return KnownState{*std::move(state)};
  ASSIGN_OR_RETURN(Salvage salvage, SalvageJournal(repository.journal(), repository.store(),
                                                   repository.keys(), &repository.index()));
  findings.Add({kJournalObject, std::string(Message(state.status())) + "; " + salvage.Describe()});
  return KnownState{std::move(salvage.state), /*whole=*/false};
}

// A journal that lost its end is sound in itself; the index remembers how far it went.
void CompareHeads(const IndexHead& seen, const JournalState& state, CheckFindings& findings) {
  if (seen.number == 0) return;
  if (seen.number > state.head().number) {
    findings.Add({"journal", absl::StrFormat("it ends with record %d, and record %d has been seen: "
                                             "what came after was removed, or an older state of "
                                             "the repository was put in its place",
                                             state.head().number, seen.number)});
  } else if (ShortHash(seen.hash) != state.short_hashes()[seen.number - 1]) {
    findings.Add(
        {"journal", absl::StrFormat("record %d is not the one that has been seen", seen.number)});
  }
}

StatusOr<IndexHead> SeenHead(Repository& repository) {
  ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  return reader->Head();
}

// The trees of all snapshots, by what is known of damage.
struct TreeLook {
  TreeLook(Repository& repository, const JournalState& state, const CheckOptions& options,
           Index& index, CheckFindings& findings, KnownDamage& damage)
      : blobs(index, repository.store(), repository.keys(), repository.hasher(), damage),
        trees(repository.keys(), state, options, index, blobs, findings) {}

  CheckedBlobs blobs;
  TreeCheck trees;
};

// A look at the trees while packs are still being read, so that no processor waits for the one that
// walks them. It knows nothing of the damage that the readers find, so it is worth something only
// where neither finds any: else it says nothing to anybody, and the trees are looked at again.
class EarlyTreeLook {
 public:
  EarlyTreeLook(Repository& repository, const JournalState& state, const CheckOptions& options,
                Index& index)
      : options_(WithoutReports(options)),
        findings_(options_),
        damage_(findings_),
        look_(repository, state, options_, index, findings_, damage_) {}

  void Run() { status_ = look_.trees.Run(); }
  bool FoundNothing() const { return status_ && status_->ok() && findings_.empty(); }
  TreeLook& look() { return look_; }

 private:
  static CheckOptions WithoutReports(CheckOptions options) {
    options.on_finding = nullptr;
    return options;
  }

  const CheckOptions options_;
  CheckFindings findings_;
  KnownDamage damage_;
  TreeLook look_;
  std::optional<Status> status_;  // nothing before Run
};

StatusOr<CheckResult> CheckState(Repository& repository, const KnownState& known,
                                 const CheckOptions& options, ReadBudget& budget,
                                 CheckFindings& findings) {
  CheckResult result;
  KnownDamage damage(findings);
  const JournalState& state = known.state;
  // Where it fails, the comparison tells.
  const Status refreshed = repository.RefreshForReading().status();
  PackCheck packs(repository, state, options, budget, findings, damage);
  if (!known.whole) packs.LeaveIndexOut();
  RETURN_IF_ERROR(packs.Run());
  ASSIGN_OR_RETURN(Index* const index, packs.RightIndex());
  EarlyTreeLook early(repository, state, options, *index);
  RETURN_IF_ERROR(packs.CheckContent(*index, [&] {
    if (damage.empty()) early.Run();
  }));
  TreeLook late(repository, state, options, *index, findings, damage);
  const bool early_stands = early.FoundNothing() && damage.empty();
  if (!early_stands) RETURN_IF_ERROR(late.trees.Run());
  TreeLook& look = early_stands ? early.look() : late;
  RETURN_IF_ERROR(look.trees.Report(result));
  RETURN_IF_ERROR(packs.MarkHarmless(late.blobs));
  if (!refreshed.ok() && findings.empty()) {
    findings.Add({"index", std::string(Message(refreshed)), /*harmless=*/true});
  }
  packs.Report(result);
  result.bytes_read += look.blobs.bytes_read();
  return result;
}

// Whether something that `state` has was forgotten, or purged, since.
StatusOr<bool> LostSomething(Repository& repository, const JournalState& state) {
  ASSIGN_OR_RETURN(const JournalState now, repository.journal().ReadState());
  for (const auto& [name, entry] : state.packs()) {
    if (entry.state == PackState::kPurged) continue;
    const PackEntry* const pack = now.FindPack(name);
    if (pack == nullptr || pack->state == PackState::kPurged) return true;
  }
  return false;
}

}  // namespace

StatusOr<CheckResult> Check(Repository& repository, const CheckOptions& options) {
  // Keeps a prune that starts now from taking packs away meanwhile. It is only polite to others: on
  // a read-only or full disk the check goes without.
  StatusOr<std::unique_ptr<Session>> session = repository.OpenSession("check");
  ReadBudget budget(options);
  for (int attempt = 1;; ++attempt) {
    CheckFindings findings(options);
    CheckConfig(repository, findings);
    if (repository.keys().sealed()) RETURN_IF_ERROR(CheckKeys(repository, findings));
    const StatusOr<IndexHead> seen = SeenHead(repository);
    RETURN_IF_ERROR(CheckJournal(repository, findings));
    ASSIGN_OR_RETURN(const KnownState known, FindKnownState(repository, findings));
    // A session without a start counts as the oldest.
    if (session.ok() && attempt == 1 && known.whole) {
      const Status started = (*session)->SetStart(known.state.head().number);
      if (!started.ok()) session = started;
    }
    if (seen.ok() && known.whole) CompareHeads(*seen, known.state, findings);
    ASSIGN_OR_RETURN(CheckResult result, CheckState(repository, known, options, budget, findings));
    result.damages = findings.Take();
    if (result.clean() || !known.whole || attempt == kCheckAttempts) return result;
    const StatusOr<bool> pruned = LostSomething(repository, known.state);
    if (!pruned.ok() || !*pruned) return result;
  }
}

}  // namespace cairn
