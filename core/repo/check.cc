// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/repo/check_blobs.h"
#include "core/repo/check_packs.h"
#include "core/repo/check_trees.h"
#include "core/store/config.h"
#include "core/store/journal_state.h"
#include "core/store/sessions.h"

namespace cairn {
namespace {

constexpr int kAttempts = 3;
constexpr uint64_t kMaxConfigBytes = 1 * kMiB;

void CheckConfig(Repository& repository, CheckFindings& findings) {
  const StatusOr<Bytes> file = repository.store().ReadAll(kConfigName, kMaxConfigBytes);
  if (!file.ok()) {
    findings.Add({kConfigName, std::string(Message(file.status()))});
    return;
  }
  std::string damage;
  const StatusOr<RepositoryConfig> config = DecodeConfig(*file, &damage);
  if (!config.ok()) {
    findings.Add({kConfigName, std::string(Message(config.status()))});
  } else if (*config != repository.config()) {
    findings.Add({kConfigName, "it is not the one that this repository was opened with"});
  } else if (!damage.empty()) {
    findings.Add({kConfigName, damage, /*harmless=*/true});
  }
}

Status CheckJournal(Repository& repository, CheckFindings& findings) {
  ASSIGN_OR_RETURN(const std::vector<Journal::Finding> found, repository.journal().Verify());
  for (const Journal::Finding& each : found) {
    if (!each.status.ok()) {
      findings.Add({each.name, std::string(Message(each.status))});
    } else if (!each.damage.empty()) {
      findings.Add({each.name, each.damage, /*harmless=*/true});
    }
  }
  return OkStatus();
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

StatusOr<CheckResult> CheckState(Repository& repository, const JournalState& state,
                                 const CheckOptions& options, CheckFindings& findings) {
  CheckResult result;
  KnownDamage damage;
  // Where it fails, the comparison tells.
  const Status refreshed = repository.Refresh().status();
  PackCheck packs(repository, state, options, findings, damage);
  RETURN_IF_ERROR(packs.Run());
  ASSIGN_OR_RETURN(Index* const index, packs.RightIndex());
  CheckedBlobs blobs(*index, repository.store(), repository.hasher(), damage, findings);
  TreeCheck trees(state, options, *index, blobs, findings);
  RETURN_IF_ERROR(trees.Run());
  RETURN_IF_ERROR(trees.Report(result));
  RETURN_IF_ERROR(packs.MarkHarmless(blobs));
  if (!refreshed.ok() && findings.empty()) {
    findings.Add({"index", std::string(Message(refreshed)), /*harmless=*/true});
  }
  result.packs = packs.packs();
  result.bytes_read = packs.bytes_read() + blobs.bytes_read();
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
  StatusOr<std::unique_ptr<Session>> session = Session::Open(repository.fs(), "check");
  for (int attempt = 1;; ++attempt) {
    CheckFindings findings(options);
    CheckConfig(repository, findings);
    const StatusOr<IndexHead> seen = SeenHead(repository);
    RETURN_IF_ERROR(CheckJournal(repository, findings));
    CheckResult result;
    const StatusOr<JournalState> state = repository.journal().ReadState();
    if (state.ok()) {
      if (session.ok() && attempt == 1) {
        RETURN_IF_ERROR((*session)->SetStart(state->head().number));
      }
      if (seen.ok()) CompareHeads(*seen, *state, findings);
      ASSIGN_OR_RETURN(result, CheckState(repository, *state, options, findings));
    } else if (findings.empty()) {
      findings.Add({"journal", std::string(Message(state.status()))});
    }
    result.damages = findings.Take();
    if (result.clean() || !state.ok() || attempt == kAttempts) return result;
    const StatusOr<bool> pruned = LostSomething(repository, *state);
    if (!pruned.ok() || !*pruned) return result;
  }
}

}  // namespace cairn
