// SPDX-License-Identifier: Apache-2.0
// The 256 constants of the chunker's rolling hash.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/base/blake3.h"

namespace cairn {

// Part of the format: entry b is the first 8 bytes, little-endian, of the BLAKE3 of the one byte b,
// keyed with derive_key("cairn v1 gear table", id_key). The table of the all-zero key is frozen in
// tests/chunker/vectors/gear_table.txt.
//
// A table made from a secret key keeps the lengths of the chunks from telling which known file
// they are of. Immutable.
class GearTable {
 public:
  // `id_key` is the repository's, all zeros where it is not encrypted.
  explicit GearTable(const HashKey& id_key);

  uint64_t operator[](uint8_t byte) const { return values_[byte]; }

  // For look-ups by vector instructions, aligned to 64 bytes: bits 0 to 15 of all entries; bits 0
  // to 7; bits 8 to 15.
  const uint16_t* low_words() const { return low_words_.data(); }
  const uint8_t* low_plane() const { return low_plane_.data(); }
  const uint8_t* high_plane() const { return high_plane_.data(); }

 private:
  static constexpr size_t kEntries = 256;

  alignas(64) std::array<uint64_t, kEntries> values_;
  alignas(64) std::array<uint16_t, kEntries> low_words_;
  alignas(64) std::array<uint8_t, kEntries> low_plane_;
  alignas(64) std::array<uint8_t, kEntries> high_plane_;
};

}  // namespace cairn
