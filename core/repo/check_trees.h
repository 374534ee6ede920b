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
#include "core/repo/check_sequences.h"
#include "core/repo/snapshot_object.h"
#include "core/store/journal_state.h"
#include "core/tree/node.h"
#include "core/tree/walk.h"

namespace cairn {

// Snapshots whose objects can be read.
struct CheckedSnapshot {
  SnapshotId id;
  SnapshotObject object;
};

// Visits every distinct node once. Memory: a bit a blob, two bytes a node that has directories
// below it, what is lost, kMaxNeededChunks chunks, and what SequenceCheck keeps. Thread-compatible.
class TreeCheck {
 public:
  // All must outlive it.
  TreeCheck(const RepositoryKeys& keys, const JournalState& state, const CheckOptions& options,
            Index& index, CheckedBlobs& blobs, CheckFindings& findings)
      : keys_(keys),
        state_(state),
        options_(options),
        index_(index),
        blobs_(blobs),
        findings_(findings),
        sequences_(blobs) {}

  // What is wrong is a finding; errors are those that end the check.
  Status Run();
  // After Run: what it counted, and the snapshots and paths that damage touches.
  Status Report(CheckResult& result);

 private:
  struct Work {
    BlobRef ref;
    bool is_top = false;  // a directory's top node, or that of another sequence
  };
  // A node whose children are visited.
  struct OpenNode {
    Work work;
    Place place;
    std::vector<Work> children;
    uint16_t height = 0;
  };

  struct NeededChunk {
    BlobId id;
    uint64_t bytes = 0;
    friend auto operator<=>(const NeededChunk&, const NeededChunk&) = default;
  };

  Status CheckSnapshot(const SnapshotId& id, const SnapshotRecord& record);
  Status VisitFrom(const BlobRef& root);
  // Visits the node if it is a new one; opens it then.
  Status Step(const Work& work);
  void CloseNode();
  // If it is a node that was not seen before, it is visited as a child of the one being visited.
  Status Need(const BlobRef& ref, bool is_top);
  Status NeedChunk(const BlobId& id, uint64_t bytes);
  Status FindNeededChunks();
  Status NeedEntry(const Entry& entry);
  Status NeedList(const Entry& file);
  Status Visit(const Work& work);
  Status VisitBytes(const Work& work, ByteSpan bytes);
  Status VisitRoot(const Work& work, ByteSpan bytes);
  Status VisitTree(const Work& work, const TreeNode& node);
  Status VisitList(const ListNode& node);
  Status VisitLinks(const Work& work, const LinksNode& node);

  bool IsMarked(const Place& place) const;
  // Returns whether it was not marked.
  bool Mark(const PlaceList& places);
  // How many directories lie below one another under a node, itself not counted.
  uint16_t HeightOf(const Place& place) const;
  static void Raise(uint16_t& height, const Work& child, uint16_t child_height);
  // The blob cannot be had, or not as somebody needs it. `what` is a finding unless it is empty.
  void Lose(const BlobRef& ref, const std::string& what);

  // More missing blobs than these are not named one by one; the paths are.
  static constexpr size_t kMaxNamedBlobs = 10'000;
  // They are looked for in the order of the index, where each is near the one before.
  static constexpr size_t kMaxNeededChunks = 1 << 16;
  // Nodes below one another; no directories that are not nested too deeply need so many.
  static constexpr size_t kMaxOpenNodes = size_t{16} * kMaxDepth;

  const RepositoryKeys keys_;
  const JournalState& state_;
  const CheckOptions& options_;
  Index& index_;
  CheckedBlobs& blobs_;
  CheckFindings& findings_;

  std::vector<CheckedSnapshot> snapshots_;
  std::vector<SnapshotId> unreadable_snapshots_;
  SequenceCheck sequences_;
  std::vector<OpenNode> open_;  // from a root down
  size_t open_directories_ = 0;
  std::vector<NeededChunk> needed_chunks_;                          // that were not looked for yet
  OpenNode visited_;                                                // by Visit
  absl::flat_hash_map<PackNumber, std::vector<bool>> marks_;        // by ordinal
  absl::flat_hash_map<PackNumber, std::vector<uint16_t>> heights_;  // by ordinal; 0 where it ends
  absl::flat_hash_set<BlobId> lost_[kBlobKinds + 1];
  size_t named_ = 0;
  bool anything_lost_ = false;
  uint64_t nodes_ = 0;
  uint64_t blobs_seen_ = 0;
};

}  // namespace cairn
