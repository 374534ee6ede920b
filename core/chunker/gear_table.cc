// SPDX-License-Identifier: Apache-2.0
#include "core/chunker/gear_table.h"

#include "core/base/bytes.h"

namespace cairn {

GearTable::GearTable(const HashKey& id_key) {
  const HashKey key = Blake3DeriveKey("cairn v1 gear table", id_key);
  for (size_t i = 0; i < kEntries; ++i) {
    const uint8_t byte = static_cast<uint8_t>(i);
    const Hash256 hash = Blake3Keyed(key, ByteSpan(&byte, 1));
    uint64_t value = 0;
    for (int j = 0; j < 8; ++j) value |= static_cast<uint64_t>(hash[j]) << (8 * j);
    values_[i] = value;
    low_words_[i] = static_cast<uint16_t>(value);
    low_plane_[i] = static_cast<uint8_t>(value);
    high_plane_[i] = static_cast<uint8_t>(value >> 8);
  }
}

}  // namespace cairn
