// SPDX-License-Identifier: Apache-2.0
// Mending what is damaged, and naming what cannot be mended. docs/design.md, "Repair".
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/repo/check.h"
#include "core/repo/repository.h"

namespace cairn {

struct RepairOptions {
  // Other repositories that may have what is lost here; opened by the caller. Blobs have the same
  // ids in all that have the same key.
  std::vector<Repository*> from;
  bool dry_run = false;  // writes nothing, takes no lock
  int threads = 0;
  const StopFlag* stop = nullptr;
  std::function<void(const char* phase)> on_phase;  // "checking", "mending", ...
  // Each thing that is mended, as it is done.
  std::function<void(const std::string& what)> on_mended;
};

struct RepairResult {
  uint64_t damages_found = 0;
  uint64_t copies_mended = 0;  // of configuration, records and folds, from their other copy
  // Of what was lost in both copies, from other repositories (put_back.h).
  uint64_t objects_from_others = 0;
  // Of a dry run: without these the journal cannot be read, and nothing more was looked at.
  bool ends_with_objects = false;
  uint64_t packs_renamed = 0;  // whose files had the names of others
  uint64_t packs_mended = 0;   // bit for bit, by parity
  uint64_t bytes_mended = 0;   // in them, in shards of 4 KiB
  uint64_t parity_made = 0;    // for packs that lacked it, or whose own was damaged
  uint64_t packs_replaced = 0;
  // Blobs that no place had any more, and where they were found; those that are missing still.
  uint64_t blobs_from_sources = 0;
  uint64_t blobs_from_others = 0;
  uint64_t blobs_missing = 0;
  // What is left after the run; of a dry run, what was found, with `mendable` set where the
  // repository itself has what it takes.
  CheckResult left;
};

// Reads everything, and mends, in this order: what stands twice, from the other copy, or, if both
// are lost, from other repositories; packs whose files have the names of others, by their own
// names; packs, by their parity, bit for bit; blobs, from the files and directories that the
// snapshots name, where these still give them, then from other repositories: these go into new
// packs, and damaged packs are replaced, as prune does it. No snapshot is removed, and nothing that
// can still be read. ABORTED if a prune or another repair is at work. After an error what was
// mended stays so.
StatusOr<RepairResult> Repair(Repository& repository, const RepairOptions& options);

}  // namespace cairn
