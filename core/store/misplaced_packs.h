// SPDX-License-Identifier: Apache-2.0
// Packs whose files have the names of others, as when somebody has exchanged two. A pack's header
// holds its name, so it is known and can be given its own again. docs/design.md, "Repair".
#pragma once

#include <set>
#include <vector>

#include "core/base/ids.h"
#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/store/journal_state.h"
#include "core/store/object_store.h"
#include "core/store/repository_keys.h"

namespace cairn {

struct MisplacedPack {
  PackInfo pack;
  PackName at;  // what its file is called
  // What it should be called: as the pack, or, where a better file has that name or gets it,
  // anything that makes room for the pack of the name that it has.
  PackName to;
  bool whole = false;
};

// Of the packs that are `damaged`, or gone, those that are whole, or all that is left of them, in
// files under the names of each other or under names that no pack in use has. Reads the files that
// may be such, and nothing where there is no damage. What cannot be read is not found.
std::vector<MisplacedPack> FindMisplacedPacks(ObjectStore& store, const RepositoryKeys& keys,
                                              const JournalState& state,
                                              const std::set<PackName>& damaged,
                                              const StopFlag* stop);

// Gives them their names, durable after the next ObjectStore::SyncNames. After a power cut or an
// error at any moment each file has its old name, its new one, or another that FindMisplacedPacks
// looks at.
Status RenameMisplacedPacks(ObjectStore& store, const std::vector<MisplacedPack>& packs);

// The pack that is lost if the file of pack `name` goes: another one that is in use, by the file's
// header, and not whole under its own name. Null if there is none, which one short read tells.
const PackInfo* FindPackLostWith(ObjectStore& store, const RepositoryKeys& keys,
                                 const JournalState& state, const PackName& name,
                                 const StopFlag* stop);

}  // namespace cairn
