// SPDX-License-Identifier: Apache-2.0
// What `snapshot` says while it works and at its end.
#pragma once

#include <string>

#include "cli/context.h"
#include "cli/exit_code.h"
#include "cli/progress_line.h"
#include "core/repo/snapshot.h"

namespace cairn {

// Hooks the report of files and problems into `options`. `output` must outlive the run.
void ReportWhileRunning(Output& output, SnapshotOptions& options);

ProgressState StateOf(const SnapshotProgress& progress);

// Warns of each source that is an empty directory now and was not in the last snapshot of it: an
// unmounted disk looks like that.
Status WarnOfEmptySources(Repository& repository, const std::string& host,
                          const std::vector<std::string>& paths, Output& output);

// Prints the summary; `seconds` is how long it took.
ExitCode ReportResult(Output& output, const SnapshotResult& result, const SnapshotOptions& options,
                      double seconds);

}  // namespace cairn
