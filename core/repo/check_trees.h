// SPDX-License-Identifier: Apache-2.0
// The part of a check that looks at snapshots and their trees. Private to check.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/base/blob.h"
#include "core/index/index.h"
#include "core/repo/check.h"
#include "core/repo/check_blobs.h"
#include "core/repo/snapshot_object.h"
#include "core/store/journal_state.h"
#include "core/tree/node.h"

namespace cairn {

// Snapshots whose objects can be read.
struct CheckedSnapshot {
  SnapshotId id;
  SnapshotObject object;
};

// Visits every distinct node once. Memory: a bit a blob, what is lost, and a row for each part of
// a large directory and each long list. Thread-compatible.
class TreeCheck {
 public:
  // All must outlive it.
  TreeCheck(const JournalState& state, const CheckOptions& options, Index& index,
            CheckedBlobs& blobs, CheckFindings& findings)
      : state_(state), options_(options), index_(index), blobs_(blobs), findings_(findings) {}

  // What is wrong is a finding; errors are those that end the check.
  Status Run();
  // After Run: what it counted, and the snapshots and paths that damage touches.
  Status Report(CheckResult& result);

 private:
  // What a node says of itself, to be compared with what its parent says of it.
  struct Summary {
    bool readable = false;
    int level = 0;
    std::string first;  // trees: first name
    std::string last;
    uint64_t count = 0;
    uint64_t bytes = 0;   // lists
    bool is_top = false;  // it may be the top of a sequence
  };
  // What the parent says.
  struct Claim {
    std::string last;
    uint64_t count = 0;
    uint64_t bytes = 0;
    BlobId id;
  };
  struct Work {
    BlobRef ref;
    bool is_top = false;
  };

  Status CheckSnapshot(const SnapshotId& id, const SnapshotRecord& record);
  // Marks it; if it is a node that was not seen before, it is visited later.
  Status Need(const BlobRef& ref, bool is_top);
  Status NeedChunk(const BlobId& id, uint64_t bytes);
  Status NeedEntry(const Entry& entry);
  Status NeedList(const Entry& file);
  Status Visit(const Work& work);
  Status VisitBytes(const Work& work, ByteSpan bytes);
  Status VisitTree(const Work& work, const TreeNode& node);
  Status VisitList(const Work& work, const ListNode& node);
  Status VisitLinks(const Work& work, const LinksNode& node);
  Status CompareClaims(const BlobRef& parent, int level, const std::vector<Claim>& claims);
  // Of a node of `max_level` or below; a higher one has no `first`.
  StatusOr<Summary> SummaryOf(const BlobRef& ref, int max_level);
  StatusOr<Summary> SummaryOfTree(ByteSpan bytes, int max_level);
  static StatusOr<Summary> SummaryOfList(ByteSpan bytes);
  bool Mark(const PlaceList& places);
  // The blob cannot be had, or not as somebody needs it. `what` is a finding unless it is empty.
  void Lose(const BlobRef& ref, const std::string& what);

  // More missing blobs than these are not named one by one; the paths are.
  static constexpr size_t kMaxNamedBlobs = 10'000;

  const JournalState& state_;
  const CheckOptions& options_;
  Index& index_;
  CheckedBlobs& blobs_;
  CheckFindings& findings_;

  std::vector<CheckedSnapshot> snapshots_;
  std::vector<SnapshotId> unreadable_snapshots_;
  std::vector<Work> stack_;
  absl::flat_hash_map<PackNumber, std::vector<bool>> marks_;  // by ordinal
  absl::flat_hash_map<BlobId, Summary> tree_summaries_;
  absl::flat_hash_map<BlobId, Summary> list_summaries_;
  absl::flat_hash_set<BlobId> lost_[kBlobKinds + 1];
  size_t named_ = 0;
  bool anything_lost_ = false;
  uint64_t nodes_ = 0;
  uint64_t blobs_seen_ = 0;
};

}  // namespace cairn
