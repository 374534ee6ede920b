// SPDX-License-Identifier: Apache-2.0
// Errors of the command line: a Status that also knows the exit code.
#pragma once

#include <string_view>

#include "cli/exit_code.h"
#include "core/base/status.h"

namespace cairn {

// The command was called in a way that it does not understand: exit code 2.
Status UsageError(std::string_view message);

// The same error, to end the program with `code`. Annotate forgets it again, so this comes last.
Status WithExitCode(Status status, ExitCode code);

// OK stays OK; INVALID_ARGUMENT, as the parsers of core/ return it, becomes a UsageError that says
// of what `option` it speaks.
Status AsUsage(const Status& status, std::string_view option);

// kDone for OK; else what WithExitCode said; else kInterrupted for CANCELLED and kFailed for all
// others.
ExitCode ExitCodeOf(const Status& status);

}  // namespace cairn
