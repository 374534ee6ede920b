// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/chunker/cut_rule.h"

namespace cairn {

size_t NextCutScalar(const CutRule& rule, ByteSpan data) {
  const size_t limit = std::min(data.size(), rule.max_size);
  if (limit <= rule.min_size) return limit;

  const uint8_t* const bytes = data.data();
  uint64_t hash = 0;
  size_t at = rule.min_size - kHashWindow;
  while (at < rule.min_size) hash = (hash << 1) + rule.gear[bytes[at++]];
  const size_t normal = std::min(limit, rule.normal_size);
  while (at < normal) {
    hash = (hash << 1) + rule.gear[bytes[at++]];
    if ((hash & rule.strict_mask) == 0) return at;
  }
  while (at < limit) {
    hash = (hash << 1) + rule.gear[bytes[at++]];
    if ((hash & rule.loose_mask) == 0) return at;
  }
  return limit;
}

}  // namespace cairn
