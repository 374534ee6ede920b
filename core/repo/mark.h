// SPDX-License-Identifier: Apache-2.0
// What is reachable: the walk over nodes that prune, stats and a commit share. Each distinct node
// is decoded once, however many snapshots name it; what was seen is one bit a blob.
#pragma once

#include <functional>
#include <set>
#include <vector>

#include "core/base/blob.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/index/index.h"
#include "core/repo/repository.h"

namespace cairn {

// One bit for each blob of each pack of the index, at the place that is to be kept: of several, one
// in a live pack before a condemned one, one in a plain frame before a delta, then the lowest pack
// number.
// States of packs are those of Create; packs that the index got since are looked at too. Memory:
// two bits a blob at most, and what Options bound. Mark must not be called from two threads at
// once.
class ReachableBlobs {
 public:
  // Places in packs of `avoid` (damaged ones) come after all others.
  static StatusOr<ReachableBlobs> Create(Repository& repository,
                                         const std::set<PackName>& avoid = {});
  ReachableBlobs(ReachableBlobs&&) noexcept;
  ReachableBlobs& operator=(ReachableBlobs&&) noexcept;
  ~ReachableBlobs();

  struct Options {
    int threads = 1;
    const StopFlag* stop = nullptr;
    // A blob that is in no pack (NOT_FOUND), or whose node cannot be read. Returning OK goes on. If
    // empty, the mark ends with the error: prune must not guess. Called by one thread at a time,
    // once or more for each blob.
    std::function<Status(const BlobRef&, const Status&)> missing;
    // Nodes that wait to be read; those above it are found again by walks over the index.
    size_t max_waiting = 1 << 18;
  };
  // Marks all that `roots` reach, themselves included; may be called again for more roots.
  Status Mark(const std::vector<BlobRef>& roots, const Options& options);

  // Marks the bases of all delta frames of `packs`, and of every pack in which something is marked:
  // whatever stays can be decoded, dead frames too, since a writer may find what is in them. After
  // Mark; may be called again. NOT_FOUND if a frame with a marked blob lacks a base.
  Status MarkBases(const std::vector<PackName>& packs, const StopFlag* stop);

  // By the pack's number at the time of Create.
  bool IsMarked(PackNumber pack, uint32_t ordinal) const;
  bool IsMarked(const PackName& pack, uint32_t ordinal) const;
  uint64_t count() const;  // of marked blobs

  struct PackMarks {
    PackName name;
    uint32_t blobs = 0;   // in the pack
    uint32_t marked = 0;  // of them, never 0
    // Raw bytes of blobs elsewhere that nothing needs but its dead delta frames, as bases. Of those
    // that several packs so hold on to, one has them. After MarkBases.
    uint64_t pinned_bytes = 0;
  };
  // The packs in which something is marked, by name.
  std::vector<PackMarks> MarkedPacks() const;

 private:
  ReachableBlobs();
  struct State;
  std::unique_ptr<State> state_;
};

// The packs in which the blobs below `root` are found, itself included. NOT_FOUND names one that is
// in no pack.
StatusOr<std::set<PackName>> PacksOfTree(Repository& repository, const BlobRef& root);

}  // namespace cairn
