// SPDX-License-Identifier: Apache-2.0
// The index on disk: LMDB, in a directory of the user's cache. Opened in microseconds however
// large it is, shared by processes, read without locks. Needs no close: a kill costs the last
// transaction, a power cut the last ones, and the index merely lags.
//
// Deleted under a running process, it goes on with the old file; who opens it next makes a new one.
// LMDB trusts its file: damage shows as DATA_LOSS in most cases, where the check of a row finds it,
// but it can crash the process as well, and a file cut short raises SIGBUS. It is the user's own
// file; a program handles SIGBUS by saying that the index is unreadable.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/index/index.h"
#include "core/index/patience.h"

namespace cairn {

struct LmdbIndexOptions {
  // For this repository alone, such as ~/.cache/cairn/REPOSITORY-ID.
  std::string directory;
  RepositoryId repository;
  // Address space, not memory; halved while the system refuses, and what the index cannot outgrow
  // in one transaction.
  uint64_t map_bytes = 256 * kGiB;
  // After so long a writer that does not get on is left behind with the old file: others take a
  // copy. What it has not committed is not in there, and the index merely lags.
  std::chrono::milliseconds patience = kPatience;
  // Told about that, if there. Must be thread-safe.
  std::function<void(const std::string&)> warn = nullptr;
};

// Opens the index, or makes an empty one where there is none, or one of another repository, or one
// that is damaged. Several may be open on one directory, in one process or in many. Its Write
// returns ABORTED if the writer it waits for is stopped and another index has taken this one's
// place: open it again.
//   FAILED_PRECONDITION  the directory is not the user's own, others can write to it, or it is on a
//                        network file system
//   UNAVAILABLE          I/O errors, or a process of the same number in another pid namespace has
//                        it open: use a directory of one's own, or the index in memory
//   RESOURCE_EXHAUSTED   no disk or address space
//   PERMISSION_DENIED    the directory cannot be made or written to
//   NOT_FOUND            somebody deletes the directory at this moment
StatusOr<std::unique_ptr<Index>> OpenLmdbIndex(const LmdbIndexOptions& options);

// Deletes the index, for one that is damaged. Who has it open goes on with it.
Status DeleteLmdbIndex(const std::string& directory);

// Replaces an index of more than `min_bytes` that is more than half empty by a compact copy;
// returns whether it did. Who has it open goes on with the old one, and what they write is not in
// the new one, which lags until they open it again: so do this last. Others wait to open it
// meanwhile (a second or so for each GB).
StatusOr<bool> CompactLmdbIndex(const LmdbIndexOptions& options, uint64_t min_bytes = 64 * kMiB);

}  // namespace cairn
