// SPDX-License-Identifier: Apache-2.0
// From lost blobs to the paths that they are missed at. Private to check.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/base/blob.h"
#include "core/base/stop.h"
#include "core/repo/check.h"
#include "core/repo/check_trees.h"
#include "core/tree/entry.h"
#include "core/tree/walk.h"

namespace cairn {

// What a check found to be lost cannot be read, though its bytes may be there.
class WithoutLost : public BlobSource {
 public:
  using Lost = absl::flat_hash_set<BlobId>[kBlobKinds + 1];
  WithoutLost(BlobSource& source, const Lost& lost) : source_(source), lost_(lost) {}

  StatusOr<Bytes> ReadBlob(const BlobRef& ref) override {
    if (lost_[static_cast<int>(ref.kind)].contains(ref.id)) return DataLoss("it is lost");
    return source_.ReadBlob(ref);
  }

 private:
  BlobSource& source_;
  const Lost& lost_;
};

// Walks snapshots and adds to a result. A directory in which nothing is affected is walked once
// for all snapshots, and so is every other one once there are kMaxAffectedPaths. Thread-compatible.
class AffectedPaths {
 public:
  // `lost` is by kind; `source` fails to read what is lost. All must outlive it.
  AffectedPaths(BlobSource& source, const absl::flat_hash_set<BlobId> (&lost)[kBlobKinds + 1],
                const StopFlag* stop, CheckResult& result)
      : source_(source), lost_(lost), stop_(stop), result_(result) {}

  Status Find(const CheckedSnapshot& snapshot);

 private:
  struct OpenDirectory {
    uint64_t count_before = 0;
    bool unreadable = false;
  };

  Status Walk(const CheckedSnapshot& snapshot);
  StatusOr<WalkStep> Enter(const std::string& path, const Entry& entry);
  StatusOr<bool> IsTouched(const Entry& entry);
  StatusOr<bool> IsListTouched(const Content& content);
  StatusOr<bool> AreLinksTouched(const BlobId& links);
  void Add(const std::string& path, bool unknown_below = false);
  bool IsLost(BlobKind kind, const BlobId& id) const {
    return lost_[static_cast<int>(kind)].contains(id);
  }

  BlobSource& source_;
  const absl::flat_hash_set<BlobId> (&lost_)[kBlobKinds + 1];
  const StopFlag* const stop_;
  CheckResult& result_;

  SnapshotId snapshot_;
  std::string top_path_;
  std::vector<OpenDirectory> open_;
  absl::flat_hash_map<BlobId, uint64_t> below_;  // affected paths below a directory's node
  absl::flat_hash_map<BlobId, bool> lists_;
};

}  // namespace cairn
