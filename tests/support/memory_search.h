// SPDX-License-Identifier: Apache-2.0
// Looking for copies of a secret in this process's own memory. Not under sanitizers, whose memory
// is terabytes.
#pragma once

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/secret.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CAIRN_CAN_SEARCH_MEMORY 1
#endif

namespace cairn::testing {

// Bytes that are looked for, and do not stand here as they are.
class MaskedBytes {
 public:
  explicit MaskedBytes(ByteSpan bytes) {
    for (const uint8_t byte : bytes) masked_.push_back(byte ^ kMask);
  }
  // Of a secret that has passed through `bytes`.
  static MaskedBytes AndWipe(MutableByteSpan bytes) {
    MaskedBytes masked(bytes);
    Wipe(bytes);
    return masked;
  }

  // Wherever they stand in memory that this process can write, its own stack included.
  std::vector<const uint8_t*> Find() const {
    std::vector<std::pair<uintptr_t, uintptr_t>> regions;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      uintptr_t begin = 0;
      uintptr_t end = 0;
      char modes[5] = {};
      if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, modes) != 3) continue;
      if (modes[0] == 'r' && modes[1] == 'w') regions.emplace_back(begin, end);
    }
    std::vector<const uint8_t*> found;
    for (const auto& [begin, end] : regions) {
      const auto* const bytes = reinterpret_cast<const uint8_t*>(begin);
      for (size_t i = 0; i + masked_.size() <= end - begin; ++i) {
        size_t same = 0;
        while (same < masked_.size() && (bytes[i + same] ^ kMask) == masked_[same]) ++same;
        if (same == masked_.size()) found.push_back(bytes + i);
      }
    }
    return found;
  }

 private:
  static constexpr uint8_t kMask = 0x5a;

  Bytes masked_;
};

}  // namespace cairn::testing
