// SPDX-License-Identifier: Apache-2.0
// What the live files and directories still give of what is lost. Private to repair.
#pragma once

#include <vector>

#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/repo/check.h"
#include "core/repo/recovered_blobs.h"
#include "core/repo/repository.h"

namespace cairn {

struct SourceRecoveryOptions {
  int threads = 0;
  const StopFlag* stop = nullptr;
};

// Reads what stands at the affected paths now, as a snapshot would by the rules of theirs, but
// trusting no metadata, and gives `blobs` all that comes of it: the content of files; of a
// directory some of whose list of entries is lost the whole tree, with its nodes; of a source's top
// also the link groups and the root. What cannot be read is passed over. Errors are those of
// storing, and CANCELLED.
Status RecoverFromSources(Repository& repository, const std::vector<AffectedPath>& affected,
                          const SourceRecoveryOptions& options, RecoveredBlobs& blobs);

}  // namespace cairn
