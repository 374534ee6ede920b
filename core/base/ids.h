// SPDX-License-Identifier: Apache-2.0
// Names of things as types of their own, so that one cannot be taken for another.
#pragma once

#include <endian.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/hex.h"

namespace cairn {

template <typename Tag, size_t kSize>
struct StrongId {
  static constexpr size_t kBytes = kSize;

  std::array<uint8_t, kSize> bytes{};

  // REQUIRES: from.size() == kBytes.
  static StrongId From(ByteSpan from) {
    StrongId id;
    std::copy_n(from.begin(), kSize, id.bytes.begin());
    return id;
  }
  static std::optional<StrongId> FromHex(std::string_view hex) {
    const std::optional<Bytes> decoded = HexDecode(hex);
    if (!decoded || decoded->size() != kSize) return std::nullopt;
    return From(*decoded);
  }

  ByteSpan span() const { return bytes; }
  std::string Hex() const { return HexEncode(bytes); }
  std::string ShortHex() const { return HexEncode(ByteSpan(bytes).first(4)); }
  bool IsZero() const { return *this == StrongId{}; }

  friend bool operator==(const StrongId&, const StrongId&) = default;
  friend std::strong_ordering operator<=>(const StrongId& a, const StrongId& b) {
    // Ids are hashes or random: their first bytes nearly always decide.
    static_assert(kSize >= sizeof(uint64_t));
    uint64_t a_first = 0;
    uint64_t b_first = 0;
    std::memcpy(&a_first, a.bytes.data(), sizeof(a_first));
    std::memcpy(&b_first, b.bytes.data(), sizeof(b_first));
    if (a_first != b_first) return be64toh(a_first) <=> be64toh(b_first);
    return std::memcmp(a.bytes.data(), b.bytes.data(), kSize) <=> 0;
  }

  template <typename H>
  friend H AbslHashValue(H state, const StrongId& id) {
    return H::combine_contiguous(std::move(state), id.bytes.data(), kSize);
  }
};

// Hash of a blob's bytes, keyed by its kind (core/base/blob.h).
using BlobId = StrongId<struct BlobIdTag, 32>;
// Hash of a snapshot object's bytes.
using SnapshotId = StrongId<struct SnapshotIdTag, 32>;
// Hash of a journal record.
using RecordHash = StrongId<struct RecordHashTag, 32>;
// BLAKE3 of a pack's header and footer, as the journal and the trailer have it.
using PackHash = StrongId<struct PackHashTag, 32>;
// Random; never reused.
using PackName = StrongId<struct PackNameTag, 16>;
using SessionId = StrongId<struct SessionIdTag, 16>;
using RepositoryId = StrongId<struct RepositoryIdTag, 16>;

}  // namespace cairn
