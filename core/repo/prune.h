// SPDX-License-Identifier: Apache-2.0
// Reclaiming space: condemn, rescue, purge. Beside any number of snapshots and restores, without a
// lock that they wait for and without a clock. docs/design.md, "Prune".
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/repo/repository.h"

namespace cairn {

struct PruneOptions {
  // How much of what stays stored may be unused: a share of the stored bytes (0.05 = 5 %), or bytes
  // if set.
  double max_unused_share = 0.05;
  std::optional<uint64_t> max_unused_bytes;
  std::optional<uint64_t> max_repack_bytes;  // rewrites packs of no more than so many bytes
  // Rewriting goes in portions of so many stored bytes: the old packs of one are condemned, and
  // purged if nobody needs them, before the next is begun.
  uint64_t portion_bytes = 1 * kGiB;
  // For repair: only these are dropped or rewritten, all of them, and what is in them is taken from
  // elsewhere where it can be.
  std::set<PackName> replace;
  bool parity = true;    // for the packs that are written
  bool now = false;      // purges without waiting for running sessions
  bool dry_run = false;  // takes no lock, and needs no right to write
  int threads = 0;
  const StopFlag* stop = nullptr;
  std::function<void(const char* phase)> on_phase;  // "marking", "rewriting", "purging"
};

// All in bytes of files, as the file system counts their sizes; of packs without their parity,
// which stands apart. A dry run's figures are those that a run at once would have; only
// bytes_written and parity_written, and with them what is left after, are estimates then. A file
// that another pack is lost with stays, with a warning, and is not among what is freed; a dry run
// does not look for such.
struct PruneResult {
  uint64_t packs_before = 0;  // live and condemned
  uint64_t bytes_before = 0;
  // Stored bytes of frames with a live blob. Packs that a running session wrote count as used.
  uint64_t used_bytes = 0;
  uint64_t unused_bytes = 0;   // of the others, in live packs
  uint64_t packs_dropped = 0;  // held nothing live
  uint64_t bytes_dropped = 0;
  uint64_t packs_rewritten = 0;
  uint64_t bytes_rewritten = 0;  // of the old packs
  uint64_t bytes_written = 0;    // of the new ones
  uint64_t packs_purged = 0;
  uint64_t bytes_freed = 0;    // files unlinked by this run
  uint64_t files_removed = 0;  // unnamed packs and unfinished files of dead sessions
  // Condemned, but a session that began before may still read or rescue them.
  uint64_t packs_waiting = 0;
  uint64_t bytes_waiting = 0;
  std::vector<std::string> waits_for;  // "snapshot of pid 71 on host"
  uint64_t bytes_after = 0;            // of live and condemned packs
  uint64_t parity_before = 0;          // of live and condemned packs
  uint64_t parity_written = 0;
  uint64_t parity_freed = 0;  // with packs that were unlinked
  uint64_t parity_after = 0;
};

// ABORTED if another prune runs (exit code 11). DATA_LOSS if something that a snapshot needs cannot
// be found: nothing is removed then. UNAVAILABLE if other prunes, which the lock does not keep out
// on some network file systems, came between again and again. After any error, what was done stays
// done, and the next prune goes on from there. On a full disk packs are dropped, if need be by
// means of the reserve (reserve.h), and rewritten only where that has made room.
StatusOr<PruneResult> Prune(Repository& repository, const PruneOptions& options);

}  // namespace cairn
