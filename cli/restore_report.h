// SPDX-License-Identifier: Apache-2.0
// What `restore` and `rollback` say of what they put back.
#pragma once

#include "cli/output.h"
#include "cli/progress_line.h"
#include "core/repo/restore.h"

namespace cairn {

// A restore may have many files open; the usual limit is there for programs that use select().
void RaiseFileLimit();

ProgressState StateOf(const RestoreProgress& progress);

// Hooks the report of entries and problems into `options`. `output` must outlive the run.
void ReportWhileRunning(Output& output, RestoreOptions& options);

// What this user may not set, and what the snapshot does not have; nothing where there is nothing.
void TellWhatWasNotSet(Output& output, const RestoreResult& result);

}  // namespace cairn
