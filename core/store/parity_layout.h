// SPDX-License-Identifier: Apache-2.0
// Which shards of a pack belong together, and where their parity stands: a function of the pack's
// size alone, which the journal knows, so that a reader needs nothing of a parity file to find its
// way in it. docs/format.md, "Parity".
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/bytes.h"
#include "core/store/reed_solomon.h"

namespace cairn {

// Shards of up to 64 MiB of a pack. Shard i of a window belongs to group i % groups, so what is
// lost in one piece is spread over as many groups as there are.
struct ParityWindow {
  uint64_t first_shard = 0;   // of the pack
  uint64_t first_parity = 0;  // of the parity file's shards: row by row, in it group by group
  uint32_t shards = 0;        // at least 1
  uint32_t groups = 0;        // a power of two, at most kMaxGroups
  uint32_t rows = 0;          // parity shards of a group
  uint32_t parity_shards() const { return groups * rows; }
};
inline constexpr uint32_t kMaxParityGroups = 128;
inline constexpr uint32_t kSmallWindowShards = 512;
inline constexpr uint32_t kWindowShards = kMaxParityGroups * kGroupColumns;

// The column in its group of shard `i` of a window. It does not depend on the number of groups, so
// parity that was computed with many groups is merged into that of fewer by adding.
inline uint32_t ParityColumn(uint32_t i) { return (i ^ (i / kGroupColumns)) % kGroupColumns; }

// A burst of 64 KiB lies in up to 17 shards.
inline constexpr uint32_t kBurstShards = 17;

// `first` of a window at the pack's beginning, with `shards` shards, in all its fields.
ParityWindow MakeParityWindow(uint32_t shards, bool first);

// Everything in bytes but where it says shards.
struct ParityLayout {
  explicit ParityLayout(uint64_t pack_bytes);

  uint64_t pack_bytes = 0;
  uint64_t shards = 0;
  uint64_t parity_shards = 0;
  std::vector<ParityWindow> windows;

  uint64_t parity_bytes() const { return parity_shards * kShardBytes; }
  uint64_t table_bytes() const;  // of one copy
  uint64_t file_bytes() const { return parity_bytes() + 2 * table_bytes(); }
};

}  // namespace cairn
