// SPDX-License-Identifier: Apache-2.0
// The feature flags of headers (docs/format.md, "Feature flags"): what a reader must know to make
// sense of an object.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ranges>

#include "core/base/pack.h"

namespace cairn {

inline constexpr uint32_t kFeatureSealed = 1;
inline constexpr uint32_t kFeatureDelta = 2;
inline constexpr uint32_t kKnownFeatures = kFeatureSealed | kFeatureDelta;

// Of a pack, and of an object that names packs.
inline uint32_t FeaturesOf(uint8_t pack_content) {
  return (pack_content & kPackHasDeltas) != 0 ? kFeatureDelta : 0;
}
template <std::ranges::range Packs, typename ContentOf>
uint32_t FeaturesOf(const Packs& packs, ContentOf content_of) {
  uint32_t features = 0;
  for (const auto& pack : packs) features |= FeaturesOf(content_of(pack));
  return features;
}

}  // namespace cairn
