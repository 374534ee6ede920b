// SPDX-License-Identifier: Apache-2.0
#include "core/store/reed_solomon.h"

#include <isa-l/crc.h>
#include <isa-l/erasure_code.h>

#include "core/base/check.h"

namespace cairn {
namespace {

// What ISA-L makes of one coefficient.
constexpr size_t kTableBytes = 32;

// 1 / (x - y) with x from 128 on and y below: every square part of such a matrix is invertible.
uint8_t Coefficient(uint32_t row, uint32_t column) {
  return gf_inv(static_cast<uint8_t>((kGroupColumns + row) ^ column));
}

// For all rows and columns, row by row.
const Bytes& Tables() {
  static const Bytes tables = [] {
    Bytes coefficients;
    for (uint32_t row = 0; row < kMaxParityRows; ++row) {
      for (uint32_t column = 0; column < kGroupColumns; ++column) {
        coefficients.push_back(Coefficient(row, column));
      }
    }
    Bytes made(coefficients.size() * kTableBytes);
    ec_init_tables(kGroupColumns, kMaxParityRows, coefficients.data(), made.data());
    return made;
  }();
  return tables;
}

// ISA-L does not write to what it does not say const of.
uint8_t* Unconst(const uint8_t* bytes) { return const_cast<uint8_t*>(bytes); }

}  // namespace

uint32_t ShardChecksum(ByteSpan bytes) {
  return ~crc32_iscsi(Unconst(bytes.data()), static_cast<int>(bytes.size()), ~0U);
}

void AddToParity(uint32_t column, ByteSpan shard, std::span<uint8_t* const> rows) {
  CHECK(column < kGroupColumns && shard.size() == kShardBytes);
  CHECK(!rows.empty() && rows.size() <= kMaxParityRows);
  ec_encode_data_update(static_cast<int>(kShardBytes), kGroupColumns, static_cast<int>(rows.size()),
                        static_cast<int>(column), Unconst(Tables().data()), Unconst(shard.data()),
                        const_cast<uint8_t**>(rows.data()));
}

void AddToParityRow(uint32_t row, uint32_t column, ByteSpan shard, MutableByteSpan sum) {
  CHECK(row < kMaxParityRows && column < kGroupColumns);
  CHECK(shard.size() == kShardBytes && sum.size() == kShardBytes);
  const uint8_t* const tables = Tables().data() + size_t{row} * kGroupColumns * kTableBytes;
  gf_vect_mad(static_cast<int>(kShardBytes), kGroupColumns, static_cast<int>(column),
              Unconst(tables), Unconst(shard.data()), sum.data());
}

void EncodeParity(std::span<const uint32_t> columns, std::span<const uint8_t* const> shards,
                  std::span<uint8_t* const> rows) {
  CHECK(columns.size() == shards.size() && columns.size() <= kGroupColumns);
  CHECK(!rows.empty() && rows.size() <= kMaxParityRows);
  Bytes tables;
  tables.reserve(rows.size() * columns.size() * kTableBytes);
  for (size_t row = 0; row < rows.size(); ++row) {
    for (const uint32_t column : columns) {
      const size_t at = (row * kGroupColumns + column) * kTableBytes;
      Append(tables, ByteSpan(Tables()).subspan(at, kTableBytes));
    }
  }
  ec_encode_data(static_cast<int>(kShardBytes), static_cast<int>(columns.size()),
                 static_cast<int>(rows.size()), tables.data(), const_cast<uint8_t**>(shards.data()),
                 const_cast<uint8_t**>(rows.data()));
}

std::vector<Bytes> SolveLostShards(std::span<const uint32_t> columns,
                                   std::span<const ParityRemainder> remainders) {
  const size_t lost = columns.size();
  CHECK(lost > 0 && lost == remainders.size());
  Bytes matrix;
  std::vector<uint8_t*> sums;
  for (const ParityRemainder& remainder : remainders) {
    CHECK(remainder.bytes.size() == kShardBytes && remainder.number < kMaxParityRows);
    for (const uint32_t column : columns) matrix.push_back(Coefficient(remainder.number, column));
    sums.push_back(Unconst(remainder.bytes.data()));
  }
  Bytes inverse(matrix.size());
  CHECK(gf_invert_matrix(matrix.data(), inverse.data(), static_cast<int>(lost)) == 0);
  Bytes tables(inverse.size() * kTableBytes);
  ec_init_tables(static_cast<int>(lost), static_cast<int>(lost), inverse.data(), tables.data());
  std::vector<Bytes> shards(lost, Bytes(kShardBytes));
  std::vector<uint8_t*> out;
  for (Bytes& shard : shards) out.push_back(shard.data());
  ec_encode_data(static_cast<int>(kShardBytes), static_cast<int>(lost), static_cast<int>(lost),
                 tables.data(), sums.data(), out.data());
  return shards;
}

}  // namespace cairn
