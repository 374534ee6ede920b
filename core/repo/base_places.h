// SPDX-License-Identifier: Apache-2.0
// Where the bases of delta frames lie. A base is named by the first half of its id and is read from
// a plain frame only: so the depth is one, and there are no cycles.
#pragma once

#include <vector>

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

// Every place of a blob, those in live packs first.
StatusOr<std::vector<FramedPlace>> FindFramedPlaces(IndexReader& reader, const BlobRef& ref);
// Of those of a base the ones in plain frames.
StatusOr<std::vector<FramedPlace>> FindBasePlaces(IndexReader& reader, const BaseId& base);

}  // namespace cairn
