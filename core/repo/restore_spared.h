// SPDX-License-Identifier: Apache-2.0
// What a snapshot did not look at, and a restore must therefore not delete: excluded entries,
// places that could not be read, other mounts.
#pragma once

#include <string>

#include "absl/container/flat_hash_set.h"
#include "core/base/blob.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/fs/target.h"
#include "core/repo/snapshot_object.h"
#include "core/repo/source_rules.h"

namespace cairn {

// Immutable, thread-safe.
class SparedPaths {
 public:
  // FAILED_PRECONDITION if the snapshot does not say all that it left out; INVALID_ARGUMENT if its
  // rules are not understood: nothing may be deleted by it then.
  static StatusOr<SparedPaths> Load(BlobSource& source, const SnapshotObject& object);

  // Whether the snapshot noted an error at, or skipped, this very path: nothing below it is known.
  bool IsNoted(const std::string& path) const { return noted_.contains(path); }
  // Whether the snapshot's rules would leave out what is at `path`: `name` in `directory`.
  StatusOr<bool> LeavesOut(TargetDirectory& directory, const std::string& name,
                           const std::string& path, const FileStatus& status) const;

 private:
  SourceRules rules_;
  absl::flat_hash_set<std::string> noted_;
};

// Whether `directory` holds the repository itself, which no restore changes.
bool HoldsRepository(TargetDirectory& directory, const RepositoryId& repository);

}  // namespace cairn
