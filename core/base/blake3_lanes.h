// SPDX-License-Identifier: Apache-2.0
// The compression function of BLAKE3, in sixteen 32-bit lanes of AVX-512, each with an input of its
// own. The library, too, has lanes, but only for chunks of one input, or for as many blocks with
// one counter; blobs of a few KiB, of which there are many at once, leave most of those empty.
// Private to core/base.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/blake3.h"

namespace cairn {

// One chunk of an input, or one parent in its tree, as BLAKE3 defines them.
struct HashLane {
  static constexpr size_t kChunkBytes = 1024;
  static constexpr size_t kParentBytes = 2 * sizeof(Hash256);

  const uint8_t* bytes = nullptr;
  uint32_t size = 0;     // up to kChunkBytes; kParentBytes of a parent
  uint32_t counter = 0;  // of the chunk in its input; 0 of a parent
  bool is_parent = false;
  bool is_root = false;  // the result is the input's hash
  Hash256* out = nullptr;
};

inline constexpr size_t kHashLanes = 16;

bool HasHashLanes();
// Takes up to kHashLanes at once; those of equal size together cost the least. All lanes are read
// before the first result is written. REQUIRES: HasHashLanes().
void CompressLanes(const HashKey& key, std::span<const HashLane> lanes);

}  // namespace cairn
