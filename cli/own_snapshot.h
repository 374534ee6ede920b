// SPDX-License-Identifier: Apache-2.0
// What every snapshot has that this program takes here and now: its labels, and that it leaves out
// cairn's own files.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "core/fs/exclude.h"
#include "core/repo/snapshot.h"

namespace cairn {

// Host, user and program.
SnapshotLabels OwnLabels();

// Excludes the repository, which would grow while it is read, and the index, which changes with
// every snapshot, where they lie in `sources`. A UsageError if a source lies in the repository.
Status LeaveOutOwnFiles(Context& context, const Repository& repository,
                        const std::vector<std::string>& sources, PatternList& excludes);

}  // namespace cairn
