// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "core/base/worker_pool.h"
#include "core/repo/restore_files.h"
#include "core/repo/restore_filter.h"
#include "core/repo/restore_place.h"
#include "core/repo/restore_remove.h"
#include "core/repo/restore_report.h"
#include "core/repo/restore_spared.h"
#include "core/repo/restore_walk.h"
#include "core/store/sessions.h"

namespace cairn {
namespace {

// Makes prune wait. A repository that cannot be written, being read-only or on a full disk, is read
// without a session: a pack that goes meanwhile is looked for again.
StatusOr<std::unique_ptr<Session>> OpenSession(Repository& repository) {
  StatusOr<std::unique_ptr<Session>> session = repository.OpenSession("restore");
  ASSIGN_OR_RETURN(const JournalHead head, repository.RefreshForReading());
  if (!session.ok() || !(*session)->SetStart(head.number).ok()) return nullptr;
  return session;
}

}  // namespace

StatusOr<RestoreResult> Restore(Repository& repository, const RestorePlace& place,
                                const RestoreOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, OpenSession(repository));
  ASSIGN_OR_RETURN(const SnapshotView snapshot, repository.FindSnapshot(place.snapshot));
  RestoreReport report(options);
  const RestoreFilter filter(options.include, options.exclude);
  if (place.path.empty() && filter.takes_everything()) {
    report.SetTotals(snapshot.object.statistics.files, snapshot.object.statistics.bytes);
  }
  std::optional<SparedPaths> spared;
  std::optional<ExtraRemover> remover;
  if (options.delete_extra) {
    StatusOr<SparedPaths> loaded = SparedPaths::Load(repository, snapshot.object);
    if (!loaded.ok()) {
      return Annotate(loaded.status(), "nothing can be deleted by this snapshot");
    }
    spared = *std::move(loaded);
    remover.emplace(ExtraRemover::Context{.spared = *spared,
                                          .filter = filter,
                                          .report = report,
                                          .repository = repository.config().id,
                                          .dry_run = options.dry_run,
                                          .stop = options.stop});
  }
  ASSIGN_OR_RETURN(RestoreStart start,
                   FindRestoreStart(repository, snapshot, place, options.dry_run));
  WorkerPool pool(WorkerCount(options.threads));
  FileRestorer files({.repository = repository,
                      .snapshot = place.snapshot,
                      .report = report,
                      .pool = pool,
                      .remover = remover ? &*remover : nullptr,
                      .verify = options.verify,
                      .stop = options.stop});
  RestoreWalk walk({.repository = repository,
                    .options = options,
                    .filter = filter,
                    .report = report,
                    .files = files,
                    .spared = spared ? &*spared : nullptr,
                    .remover = remover ? &*remover : nullptr},
                   std::move(start));
  RETURN_IF_ERROR(walk.Run());
  return report.Result();
}

}  // namespace cairn
