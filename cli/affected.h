// SPDX-License-Identifier: Apache-2.0
// The snapshots and paths that damage touches, as `check` and `repair` show them.
#pragma once

#include "cli/json.h"
#include "cli/output.h"
#include "core/repo/check.h"

namespace cairn {

// A line for each path, and how many more there are.
void PrintAffected(Output& output, const CheckResult& result);
// "affected_snapshots", "affected_paths" (with "unknown_below" where what is below a directory
// cannot be judged) and "affected_paths_count".
void AddAffected(Json& json, const CheckResult& result);

}  // namespace cairn
