// SPDX-License-Identifier: Apache-2.0
// Running prune and saying what it did: for `prune` and for `forget --prune`.
#pragma once

#include "cli/context.h"
#include "cli/exit_code.h"
#include "core/repo/prune.h"

namespace cairn {

// Prunes with `options`, whose hooks, threads and stop are set here, and prints the summary. Exit
// code 11 if another prune runs.
StatusOr<ExitCode> PruneAndReport(Context& context, PruneOptions options);

}  // namespace cairn
