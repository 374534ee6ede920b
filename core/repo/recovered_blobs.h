// SPDX-License-Identifier: Apache-2.0
// Lost blobs that were found elsewhere, on their way into new packs. Private to repair.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/base/blob.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/repo/pack_assembler.h"
#include "core/repo/repository.h"
#include "core/store/frame.h"

namespace cairn {

// Takes what it lacks, by id, and nothing else. Thread-safe.
class RecoveredBlobs : public BlobSink {
 public:
  // With `dry_run` it counts only. `repository` and `stop` (may be null) must outlive it.
  RecoveredBlobs(Repository& repository, const SessionId& session,
                 const std::vector<BlobRef>& lacking, bool dry_run, const StopFlag* stop);

  // Of a kind that may be lacking; others may be given too. CANCELLED after a stop.
  StatusOr<BlobId> WriteBlob(BlobKind kind, ByteSpan bytes) override;

  // What is below a node that is lost is not known to be lost before the node is there. Where nodes
  // are made anew, children come before their parents: so those that the repository cannot give
  // are held, up to kMaxHeldBytes, and taken with the node that names them.
  void HoldNodes();
  void DropHeld();

  std::vector<BlobRef> Lacking() const;
  bool LacksNothing() const;
  bool Lacks(BlobKind kind) const;
  bool LacksNodes() const;
  uint64_t found() const;

  // Stores what was taken, durably, and names its packs in a record.
  Status Commit();

 private:
  static constexpr size_t kMaxHeldBytes = 64 * kMiB;
  using Ids = absl::flat_hash_set<BlobId>;

  // Whether it was taken.
  StatusOr<bool> TryTake(const BlobRef& ref, ByteSpan bytes);
  Status Take(const BlobRef& ref, ByteSpan bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status TakeHeldBelow(const BlobRef& ref, ByteSpan bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Hold(const BlobRef& ref, ByteSpan bytes);
  Status Flush(bool node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Repository& repository_;
  const bool dry_run_;
  const StopFlag* const stop_;
  PackAssembler assembler_;

  mutable Mutex mutex_;
  FrameCodecContext codec_ ABSL_GUARDED_BY(mutex_);
  RawFrame frames_[2] ABSL_GUARDED_BY(mutex_);  // [0] chunks, [1] nodes
  Ids lacking_[kBlobKinds + 1] ABSL_GUARDED_BY(mutex_);
  uint64_t found_ ABSL_GUARDED_BY(mutex_) = 0;
  bool holds_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<BlobId, Bytes> held_[kBlobKinds + 1] ABSL_GUARDED_BY(mutex_);
  size_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cairn
