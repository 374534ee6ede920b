// SPDX-License-Identifier: Apache-2.0
// The code paths and reproducible inputs for the chunker's tests.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/chunker/chunker.h"

namespace cairn::testing {

inline constexpr ChunkerPath kChunkerPaths[] = {ChunkerPath::kScalar, ChunkerPath::kAvx512,
                                                ChunkerPath::kVbmi};
inline const char* NameOf(ChunkerPath path) {
  constexpr const char* kNames[] = {"Auto", "Scalar", "Avx512", "Vbmi"};
  return kNames[static_cast<int>(path)];
}

// SplitMix64 (Steele, Lea, Flood, 2014): simple enough to be part of the test vectors.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15;
    uint64_t z = state_;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
  }
  // From 0 to bound - 1.
  uint64_t Below(uint64_t bound) { return Next() % bound; }

 private:
  uint64_t state_;
};

inline Bytes RandomBytes(uint64_t seed, size_t size) {
  SplitMix64 random(seed);
  Bytes bytes;
  bytes.reserve(size + 8);
  while (bytes.size() < size) {
    const uint64_t word = random.Next();
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<uint8_t>(word >> (8 * i)));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace cairn::testing
