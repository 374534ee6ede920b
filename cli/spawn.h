// SPDX-License-Identifier: Apache-2.0
// Starting commands.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/status.h"

namespace cairn {

enum class ChildInput { kShared, kEmpty };

// Starts `command`, looked up in PATH, with its standard output on `output`. The signals that cairn
// ignores, blocks or handles are the command's own again. It does not get the repository's
// password: what it writes may be stored.
StatusOr<pid_t> Spawn(const std::vector<std::string>& command, ChildInput input, int output);

}  // namespace cairn
