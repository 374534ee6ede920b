// SPDX-License-Identifier: Apache-2.0
// One prune: what it knows, and its steps. Private to prune: prune.cc finds out what goes,
// prune_reclaim.cc places the records and removes the files. Protocol: docs/design.md, "Prune".
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/file_system.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/base/worker_pool.h"
#include "core/index/index.h"
#include "core/repo/mark.h"
#include "core/repo/prune.h"
#include "core/repo/prune_plan.h"
#include "core/repo/prune_rewrite.h"
#include "core/repo/repository.h"
#include "core/store/journal_state.h"
#include "core/store/record.h"
#include "core/store/sessions.h"

namespace cairn {

// Thread-compatible.
class PruneRun {
 public:
  PruneRun(Repository& repository, const PruneOptions& options)
      : repository_(repository), options_(options), threads_(WorkerCount(options.threads)) {}

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
  // Whether it may have found blobs in a pack that was condemned by `record`.
  static bool BeganBefore(const SessionInfo& session, uint64_t record);
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

}  // namespace cairn
