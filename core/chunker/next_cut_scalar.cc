// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/chunker/cut_rule.h"

namespace cairn {
namespace {

struct Scan {
  const GearTable& gear;
  const uint8_t* bytes;
  size_t at;
  uint64_t hash = 0;

  void HashUntil(size_t end) {
    while (at < end) hash = (hash << 1) + gear[bytes[at++]];
  }

  // Hashes on up to `end`, and stops after a byte whose hash has no bit of `mask`: then true.
  // Two bytes a step, so that the hash waits for one addition in two bytes (Xia et al., "The Design
  // of Fast Content-Defined Chunking", TPDS 2020).
  bool FindCut(size_t end, uint64_t mask) {
    for (; end - at >= 2; at += 2) {
      const uint64_t first = gear[bytes[at]];
      const uint64_t both = (first << 1) + gear[bytes[at + 1]];
      if ((((hash << 1) + first) & mask) == 0) {
        at += 1;
        return true;
      }
      hash = (hash << 2) + both;
      if ((hash & mask) == 0) {
        at += 2;
        return true;
      }
    }
    if (at == end) return false;
    HashUntil(end);
    return (hash & mask) == 0;
  }
};

}  // namespace

size_t NextCutScalar(const CutRule& rule, ByteSpan data) {
  const size_t limit = std::min(data.size(), rule.max_size);
  if (limit <= rule.min_size) return limit;

  Scan scan = {.gear = rule.gear, .bytes = data.data(), .at = rule.min_size - kHashWindow};
  scan.HashUntil(rule.min_size);
  if (scan.FindCut(std::min(limit, rule.normal_size), rule.strict_mask)) return scan.at;
  if (scan.FindCut(limit, rule.loose_mask)) return scan.at;
  return limit;
}

}  // namespace cairn
