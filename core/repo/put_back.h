// SPDX-License-Identifier: Apache-2.0
// What everything rests on, and is lost in both copies: configuration, keys, records and folds, put
// back from a copy of the repository. docs/design.md, "Repair".
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/file_system.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/store/key_object.h"
#include "core/store/object_store.h"
#include "core/store/repository_keys.h"

namespace cairn {

struct PutBackOptions {
  std::vector<ObjectStore*> from;  // of other repositories; they outlive the call
  bool dry_run = false;
  // Each object that is put back, as it is done.
  std::function<void(const std::string& what)> on_mended;
};

// Puts back what `from` can be proven to have of what is lost in `store`, whose keys are `keys`,
// and returns how many objects that were:
// - the configuration, which is written once: by the repository's id (and by the keys);
// - a key of which the object stands there and cannot be read: by its name and the repository's id;
// - a record: by its hash, which what stands here names (the record after it, its name, a fold), or
//   by what is left of the record itself, so that nothing comes back of which nothing here says
//   that it was here;
// - a fold: by the hash of its last record, likewise.
// Whoever writes must hold the lock of prune. `session` is the writer's.
StatusOr<uint64_t> PutBackObjects(ObjectStore& store, const RepositoryKeys& keys,
                                  const SessionId& session, const PutBackOptions& options);

// The same for a repository that cannot be opened, with its lock and a session of its own. Where
// nothing stands in the folder of keys, also the key that `credential` opens, if what it holds
// opens what is here. NOT_FOUND if nothing tells whose repository this is; ABORTED if a prune or
// repair is at work; UNAUTHENTICATED as Repository::Open.
StatusOr<uint64_t> PutBackLost(FileSystem& fs,
                               const std::function<StatusOr<Credential>()>& credential,
                               const PutBackOptions& options);

}  // namespace cairn
