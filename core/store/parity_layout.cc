// SPDX-License-Identifier: Apache-2.0
#include "core/store/parity_layout.h"

#include <algorithm>

#include "core/store/parity_table.h"

namespace cairn {
namespace {

uint64_t DivideUp(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

// A small window gives an eighth of its size for parity, until that covers a burst.
constexpr uint32_t kSmallShare = 8;
// A larger one has groups enough that two rows of each cover a burst.
constexpr uint32_t kLargeWindowGroups = 16;
constexpr uint32_t kLargeWindowRows = 2;

}  // namespace

ParityWindow MakeParityWindow(uint32_t shards, bool first) {
  ParityWindow window;
  window.shards = shards;
  window.groups = shards > kSmallWindowShards ? kLargeWindowGroups : 1;
  while (window.groups * kGroupColumns < shards) window.groups *= 2;
  // A later window follows a large one, so what it adds does not matter, and a burst may reach over
  // the border.
  const auto least = static_cast<uint32_t>(
      std::min<uint64_t>(kBurstShards, first ? DivideUp(shards, kSmallShare) : shards));
  window.rows = shards > kSmallWindowShards ? kLargeWindowRows
                                            : static_cast<uint32_t>(DivideUp(least, window.groups));
  return window;
}

ParityLayout::ParityLayout(uint64_t bytes)
    : pack_bytes(bytes), shards(DivideUp(bytes, kShardBytes)) {
  for (uint64_t first = 0; first < shards; first += kWindowShards) {
    const auto count = static_cast<uint32_t>(std::min<uint64_t>(shards - first, kWindowShards));
    ParityWindow window = MakeParityWindow(count, first == 0);
    window.first_shard = first;
    window.first_parity = parity_shards;
    parity_shards += window.parity_shards();
    windows.push_back(window);
  }
}

uint64_t ParityLayout::table_bytes() const {
  const uint64_t content = kParityHeadBytes + kChecksumBytes * (shards + parity_shards);
  return content + kChecksumBytes * DivideUp(content, kTableBlockContent);
}

}  // namespace cairn
