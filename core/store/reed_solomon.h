// SPDX-License-Identifier: Apache-2.0
// The code behind a pack's parity: Cauchy Reed-Solomon over GF(2^8), by ISA-L. docs/format.md,
// "Parity". A group is up to 128 shards of 4 KiB, each with a column of its own; of any r of them
// that are lost, r rows of parity give the content back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/bytes.h"

namespace cairn {

inline constexpr size_t kShardBytes = 4096;
inline constexpr uint32_t kGroupColumns = 128;
inline constexpr uint32_t kMaxParityRows = 17;

// CRC-32C: 70 GB/s a core, where BLAKE3 would cost more than all else that parity does. It tells
// where damage is; whether what was mended is right, the pack's own hashes tell.
uint32_t ShardChecksum(ByteSpan bytes);

// Adds a shard to the parity of its group: row[r] += c(r, column) * shard. Rows and shard have
// kShardBytes; REQUIRES: column < kGroupColumns, 1 <= rows.size() <= kMaxParityRows.
void AddToParity(uint32_t column, ByteSpan shard, std::span<uint8_t* const> rows);
// The same for the one row `row`.
void AddToParityRow(uint32_t row, uint32_t column, ByteSpan shard, MutableByteSpan sum);

// The parity of a whole group at once, which is faster: shard i has column columns[i]. Replaces
// what is in `rows`.
void EncodeParity(std::span<const uint32_t> columns, std::span<const uint8_t* const> shards,
                  std::span<uint8_t* const> rows);

// Row `number` of a group's parity, after everything that is not lost was added to it (which, in a
// field of characteristic 2, takes it away again).
struct ParityRemainder {
  uint32_t number = 0;
  Bytes bytes;
};

// The lost shards, in the order of their columns. REQUIRES: as many remainders as columns, all
// distinct, and at least one.
std::vector<Bytes> SolveLostShards(std::span<const uint32_t> columns,
                                   std::span<const ParityRemainder> remainders);

}  // namespace cairn
