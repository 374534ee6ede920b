// SPDX-License-Identifier: Apache-2.0
// What sessions that are gone have left behind: packs that no record names, unfinished files,
// parity of packs that are no more. Private to prune.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/repo/repository.h"
#include "core/store/journal_state.h"

namespace cairn {

struct Leftovers {
  std::set<SessionId> sessions;  // whose files these are
  struct Pack {
    PackName name;
    uint64_t bytes = 0;
  };
  std::vector<Pack> packs;
  // Unfinished files, and parity of packs that are gone.
  struct File {
    std::string name;
    uint64_t bytes = 0;
  };
  std::vector<File> files;
};

// `state` is brought up to the journal's head on the way. A file that looks like a pack and does
// not say whose it is stays, and is told of by RepositoryOptions::warn.
StatusOr<Leftovers> FindLeftovers(Repository& repository, JournalState& state);

struct RemovedFiles {
  uint64_t files = 0;
  uint64_t bytes = 0;
};
// Ends the sessions in the journal first, so that none of them can name a pack any more; what one
// has named before stays.
StatusOr<RemovedFiles> RemoveLeftovers(Repository& repository, const Leftovers& leftovers,
                                       JournalState& state);

}  // namespace cairn
