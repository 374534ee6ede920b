// SPDX-License-Identifier: Apache-2.0
// Sealed frames into packs: chunks, deltas and nodes into packs of their own, so that metadata
// stays dense and few packs have bases; a commit under 1 MiB into one mixed pack, so that a year of
// five-minute snapshots is not 200,000 files. Thread-safe; compression happens before, in the
// callers' threads.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/repo/repository.h"
#include "core/store/pack.h"
#include "core/store/parity.h"

namespace cairn {

struct FinishedPack {
  PackInfo info;
  PackFooter footer;
  std::unique_ptr<ParityWriter> parity;  // to be placed once a record names the pack; may be null
};

class PackAssembler {
 public:
  // A footer is held in memory, and put into the index, at once: of tiny files, a pack of full size
  // would have a million.
  static constexpr size_t kMaxPackBlobs = 64 * 1024;

  // `store` must outlive it. With `parity`, every pack gets it.
  PackAssembler(ObjectStore& store, const RepositoryKeys& keys, const RepositoryConfig& config,
                const SessionId& session, bool parity)
      : store_(store), keys_(keys), config_(config), session_(session), parity_(parity) {}

  // `node` frames hold nodes only, others chunks only.
  Status Add(SealedFrame frame, bool node);

  // The packs that were finished since the last call: durable and in place, their names not yet
  // durable (ObjectStore::SyncNames).
  std::vector<FinishedPack> TakeFinished();
  // Finishes what is open. Nothing may be added at the same time.
  Status Flush();

  // Stored bytes of all frames so far.
  uint64_t stored_bytes() const;
  // What the packs hold that are finished and not yet taken.
  uint64_t finished_bytes() const;
  uint64_t finished_blobs() const;

 private:
  static constexpr uint64_t kSmallCommitBytes = 1 * kMiB;

  StatusOr<std::unique_ptr<PackWriter>> NewPack(uint8_t content);
  Status AddToOpenPack(const SealedFrame& frame, bool node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status SpillSmall() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status FinishPack(std::unique_ptr<PackWriter> writer);

  ObjectStore& store_;
  const RepositoryKeys keys_;
  const RepositoryConfig config_;
  const SessionId session_;
  const bool parity_;

  mutable Mutex mutex_;
  // Frames that wait to see whether the commit stays small.
  std::vector<std::pair<SealedFrame, bool>> small_ ABSL_GUARDED_BY(mutex_);
  uint64_t small_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool spilled_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<uint8_t, std::unique_ptr<PackWriter>> open_ ABSL_GUARDED_BY(mutex_);  // by content
  std::vector<std::unique_ptr<PackWriter>> full_ ABSL_GUARDED_BY(mutex_);
  std::vector<FinishedPack> finished_ ABSL_GUARDED_BY(mutex_);
  uint64_t stored_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t finished_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t finished_blobs_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cairn
