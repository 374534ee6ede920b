// SPDX-License-Identifier: Apache-2.0
// Where blobs lie, with their frames; and where the bases of delta frames lie. A base is named by
// the first half of its id and is read from a plain frame only: so the depth is one, and there are
// no cycles.
#pragma once

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/base/blob.h"
#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/index/index.h"

namespace cairn {

// A place of a blob with its pack and its frame.
struct FramedPlace {
  BlobRef ref;
  Place place;
  IndexPack pack;
  FrameInfo frame;

  bool is_plain() const { return frame.bases.empty(); }
};

// For one view of the index; remembers the packs and frames that it has met, as neighbours lie
// together. Thread-compatible; as short-lived as its reader, which must outlive it.
class PlaceFinder {
 public:
  explicit PlaceFinder(IndexReader& reader) : reader_(reader) {}

  // Every place of a blob, those in live packs first.
  StatusOr<std::vector<FramedPlace>> Find(const BlobRef& ref);
  // Of those of a base the ones in plain frames.
  StatusOr<std::vector<FramedPlace>> FindBase(const BaseId& base);

 private:
  StatusOr<FramedPlace> Complete(const BlobRef& ref, const Place& place);

  IndexReader& reader_;
  absl::flat_hash_map<PackNumber, IndexPack> packs_;
  absl::flat_hash_map<std::pair<PackNumber, uint32_t>, FrameInfo> frames_;
};

}  // namespace cairn
