// SPDX-License-Identifier: Apache-2.0
// Internal to core/chunker: the rule that every code path follows, and the paths.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/bytes.h"
#include "core/chunker/gear_table.h"

namespace cairn {

// The hash is shifted by one bit a byte, so 64 bytes are all that it knows.
inline constexpr size_t kHashWindow = 64;

// Both masks have these bits, and bits below 16 depend on the last 16 bytes alone: that is what
// lets a vector path discard all but one position in 1024 with 16-bit arithmetic.
inline constexpr uint64_t kSharedMaskBits = 0xFFC0;

struct CutRule {
  GearTable gear;
  size_t min_size;
  size_t normal_size;
  size_t max_size;
  uint64_t strict_mask;  // at positions below normal_size
  uint64_t loose_mask;   // from normal_size on

  uint64_t MaskAt(size_t position) const {
    return position < normal_size ? strict_mask : loose_mask;
  }
};

size_t NextCutScalar(const CutRule& rule, ByteSpan data);

bool Avx512Supported();
// REQUIRES: Avx512Supported().
size_t NextCutAvx512(const CutRule& rule, ByteSpan data);

bool VbmiSupported();
// REQUIRES: VbmiSupported().
size_t NextCutVbmi(const CutRule& rule, ByteSpan data);

}  // namespace cairn
