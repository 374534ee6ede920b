// SPDX-License-Identifier: Apache-2.0
// Content that does not compress, the same for the same seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace cairn::testing {

// Knuth's linear congruential generator (MMIX), of which the top bytes are taken.
inline std::string Noise(size_t bytes, uint64_t seed) {
  std::string noise(bytes, '\0');
  for (char& c : noise) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    c = static_cast<char>(seed >> 56);
  }
  return noise;
}

}  // namespace cairn::testing
