// SPDX-License-Identifier: Apache-2.0
// Lost blobs that were found elsewhere, on their way into new packs. Private to repair.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/repo/pack_assembler.h"
#include "core/repo/repository.h"
#include "core/store/frame.h"

namespace cairn {

// Takes what it lacks, by id, and nothing else. Thread-compatible.
class RecoveredBlobs : public BlobSink {
 public:
  // With `dry_run` it counts only. `repository` must outlive it.
  RecoveredBlobs(Repository& repository, const SessionId& session,
                 const std::vector<BlobRef>& lacking, bool dry_run);

  // Of a kind that may be lacking; others may be given too.
  StatusOr<BlobId> WriteBlob(BlobKind kind, ByteSpan bytes) override;

  std::vector<BlobRef> Lacking() const;
  uint64_t found() const { return found_; }

  // Stores what was taken, durably, and names its packs in a record.
  Status Commit();

 private:
  Status Flush(bool node);

  Repository& repository_;
  const bool dry_run_;
  PackAssembler assembler_;
  FrameCodecContext codec_;
  RawFrame frames_[2];  // [0] chunks, [1] nodes
  absl::flat_hash_set<BlobId> lacking_[kBlobKinds + 1];
  uint64_t found_ = 0;
};

// Reads the files at `paths`, as they are now, for chunks and list nodes that are lacking. What
// cannot be read is passed over. Errors are those of storing.
Status RecoverFromFiles(Repository& repository, const std::vector<std::string>& paths,
                        const StopFlag* stop, RecoveredBlobs& blobs);

}  // namespace cairn
