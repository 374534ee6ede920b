// SPDX-License-Identifier: Apache-2.0
// Witnesses: by what a later snapshot knows that a file has not changed since it was read, without
// opening it. docs/design.md, "Change cache", has the rules and what each is there to prevent.
// All functions are thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/blake3.h"
#include "core/base/clock.h"
#include "core/fs/file_status.h"

namespace cairn {

// Hash of type, inode (where stable), size, mtime, ctime and btime; never of a device number, which
// changes at boot. Zero means "no witness": equal to nothing, not even itself.
//
// 64 bits are enough, as a witness is only ever compared with the one that the same path had
// before: it meets one other value, not a set of them, so that a change is overlooked by chance
// once in 2^63. Who forges one (by setting the time of day, say) hides his own file only; so a fast
// hash will do (XXH3), where one of a directory, which others' files are in too, must be BLAKE3.
//
// Where the times are a server's (network, FUSE), its clock may stand behind ours, and a file that
// can still change within its tick looks settled. There a first run leaves a tentative witness,
// which is equal to none either; a second one that begins 2 s later and finds the same status reads
// the file once more and settles it.
using Witness = uint64_t;

// Settled: neither zero nor tentative.
Witness MakeWitness(const FileStatus& status, const FileSystemTraits& traits);
Witness MakeTentative(Witness settled);
bool IsTentative(Witness witness);

// What an earlier run left: a witness, and when it ended, if that was tentative (seconds).
struct Remembered {
  Witness witness = 0;
  std::optional<int64_t> tentative_at;
};

// The witness that an entry may get by being read now: `seen` is that of its status when the coarse
// clock showed `before_stat`. Zero if it is racy.
Witness WitnessToEarn(Witness seen, const FileStatus& status, const Timestamp& before_stat,
                      const FileSystemTraits& traits, const Remembered& remembered);

// The clock that the kernel stamps files with (CLOCK_REALTIME_COARSE), to be read before the first
// statx of a directory's entries.
Timestamp CoarseNow();

// Whether a file with this status, seen when the coarse clock showed `before_stat`, could change
// once more without its ctime moving. Racy: ctime >= before_stat - 10 ms; - 2 s where its
// nanoseconds are 0 or the file system is not known to keep them. mtime plays no part.
bool IsRacy(const FileStatus& status, const Timestamp& before_stat, const FileSystemTraits& traits);

// Whether the file may be written through a mapping without any time stamp moving: its ctime is
// under two minutes old, or it lies on tmpfs. Such a file gets a witness only if a read lease was
// had before it was read. False for whatever is not a regular file.
bool NeedsLease(const FileStatus& status, const Timestamp& now, const FileSystemTraits& traits);

// Takes F_SETLEASE(F_RDLCK) and gives it back at once. True if it succeeded or is not permitted to
// this user or file system; false if somebody has the file open, or mapped, for writing, and
// always on overlayfs, which grants leases on files that are mapped for writing (the mapping
// belongs to the file below). `descriptor` is open for reading only.
// Process-wide: ignores SIGIO from the first call on, since a lease that is broken sends it.
bool NobodyWrites(int descriptor, const FileSystemTraits& traits);

// The running hash of a directory, or of a leaf of a large one: names and witnesses of its entries
// in order of names. Thread-compatible.
class DirectoryHasher {
 public:
  DirectoryHasher();
  // A witness that is not settled spoils the hash: Finish returns nothing. `name` holds no NUL.
  void Add(std::string_view name, Witness witness);
  std::optional<std::array<uint8_t, 16>> Finish() const;

 private:
  Blake3 hasher_;
  bool spoiled_ = false;
};

}  // namespace cairn
