// SPDX-License-Identifier: Apache-2.0
// The former version of a file beside the new one while that is read: which chunks the new ones
// stand in for. Those are what the new ones resemble, so a frame is compressed against them.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/base/blob.h"
#include "core/tree/entry.h"
#include "core/tree/reader.h"

namespace cairn {

// Both versions are followed item by item. Where an id is found in both, they stand at the same
// point again; what lies between two such points of the former version was replaced by what lies
// between them in the new one, and where these points are far apart, offsets tell what corresponds.
// A former version that cannot be read ends early. Memory: some 4,000 items. Thread-compatible.
class FormerVersion {
 public:
  // `source` must outlive it.
  FormerVersion(BlobSource& source, const Content& content) : items_(source, content) {}

  // The new version goes on with `item`, which is `stored` if it is a chunk of the frame at work.
  // Chunks that were replaced, if it is known now, are added to `replaced`.
  void Follow(const ContentItem& item, bool stored, std::vector<BlobRef>& replaced);
  // The frame ends here; the file goes on.
  void EndFrame(std::vector<BlobRef>& replaced);
  // So does the file.
  void EndFile(std::vector<BlobRef>& replaced);

 private:
  void Fill();
  void Drop(size_t count);
  void Replace(size_t end, std::vector<BlobRef>& replaced);

  ContentReader items_;
  bool at_end_ = false;
  // From the point where both versions stood last.
  std::deque<ContentItem> ahead_;
  uint64_t ahead_bytes_ = 0;
  uint64_t dropped_ = 0;                           // items before ahead_.front()
  absl::flat_hash_map<BlobId, uint64_t> numbers_;  // of the items ahead, counted from the first
  // Of the new version since that point: bytes, those before the frame at work, and those in it.
  uint64_t gap_bytes_ = 0;
  uint64_t gap_before_frame_ = 0;
  uint64_t gap_stored_ = 0;
};

}  // namespace cairn
