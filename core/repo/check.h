// SPDX-License-Identifier: Apache-2.0
// Finding damage, and naming what it touches.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/repo/repository.h"

namespace cairn {

struct CheckProgress {
  std::atomic<uint64_t> packs{0};  // done with: looked at, and read if they are to be
  std::atomic<uint64_t> total_packs{0};
  std::atomic<uint64_t> bytes_read{0};
  std::atomic<uint64_t> total_bytes{0};
  std::atomic<uint64_t> snapshots{0};
  std::atomic<uint64_t> total_snapshots{0};
};

// Which packs are read whole.
struct ReadSubset {
  enum class Kind { kNone, kAll, kShare, kPart, kPacks } kind = Kind::kNone;
  double share = 0;   // kShare: of the packs, chosen at random, at least one
  uint64_t part = 0;  // kPart: the n-th of m parts (1-based), by name: m runs read everything
  uint64_t parts = 1;
  std::set<PackName> packs;  // kPacks: these
};

struct CheckOptions {
  ReadSubset read_data;
  // Of these, only packs that were last read whole, and found right, before that moment, as this
  // user's index remembers (verified_times.h), or never.
  std::optional<Timestamp> read_before;
  // No pack is begun when packs have been read for so many seconds. Those whose last reading is the
  // longest ago come first.
  std::optional<int64_t> read_seconds;
  const Clock* steady_clock = &SteadyClock();  // for read_seconds
  int threads = 0;
  const StopFlag* stop = nullptr;
  CheckProgress* progress = nullptr;
  // Each finding as it is made, from several threads.
  std::function<void(const std::string& finding)> on_finding;
};

struct Damage {
  std::string object;     // "pack 3f07... frame 12", "journal/000...", "chunk 83ab..."
  std::string what;       // "its bytes do not have its checksum"
  bool harmless = false;  // a second copy holds everything: nothing is lost
  bool mendable = false;  // `repair` mends it, without help from outside the repository
};

struct AffectedPath {
  SnapshotId snapshot;
  std::string path;  // absolute
  // A directory some of whose list of entries is lost: what stands below it is not known, and so is
  // not among the affected paths.
  bool unknown_below = false;
};

struct CheckResult {
  std::vector<Damage> damages;
  // Paths whose content, or whose list of entries, is damaged; at most kMaxAffectedPaths, the
  // number of all is counted.
  std::vector<AffectedPath> affected;
  uint64_t affected_count = 0;
  std::vector<SnapshotId> affected_snapshots;
  uint64_t snapshots = 0;
  uint64_t packs = 0;
  uint64_t nodes = 0;  // distinct ones, decoded
  uint64_t blobs = 0;  // distinct ones, reachable
  uint64_t bytes_read = 0;
  // Of the packs that read_data names, in bytes of files: read, not read as they were not long ago,
  // and left as the time was up.
  uint64_t packs_read = 0;
  uint64_t packs_recent = 0;
  uint64_t bytes_recent = 0;
  uint64_t packs_left = 0;
  uint64_t bytes_left = 0;
  uint64_t unused_packs = 0;  // named, and nothing in them is reachable: prune takes them
  // Whose parity was not placed before a power cut, or was removed: no damage, and `repair` makes
  // it.
  uint64_t packs_without_parity = 0;
  std::set<PackName> damaged_packs;  // in which something cannot be had
  std::vector<BlobRef> lost;         // that snapshots need, and no place has; by kind and id
  bool clean() const { return damages.empty(); }
};
inline constexpr size_t kMaxAffectedPaths = 10'000;

// Reads configuration, journal and folds (both copies), every pack's footer, every node of every
// snapshot, and sees that every blob is there with the size that is expected; with read_data also
// every byte of the packs, and every blob's hash; which packs were read and found right is
// remembered. The index is not believed: it is compared. Where
// something of the journal is lost, it says up to where the state is known, and checks what can
// still be known (salvage.h). Open the repository beside damage for it.
StatusOr<CheckResult> Check(Repository& repository, const CheckOptions& options);

}  // namespace cairn
