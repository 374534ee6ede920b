// SPDX-License-Identifier: Apache-2.0
// The envelope of the small objects that everything rests on: configuration, journal records and
// folds, and keys. Header, payload and hash stand twice in the file, the second time on a fresh 4
// KiB sector, so that one damaged sector loses nothing. Layout: docs/format.md, "Twin objects".
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/store/repository_keys.h"

namespace cairn {

using TwinMagic = std::array<char, 8>;
inline constexpr TwinMagic kConfigMagic = {'C', 'A', 'I', 'R', 'N', 'C', 'F', 'G'};
inline constexpr TwinMagic kRecordMagic = {'C', 'A', 'I', 'R', 'N', 'J', 'N', 'L'};
inline constexpr TwinMagic kFoldMagic = {'C', 'A', 'I', 'R', 'N', 'F', 'L', 'D'};
inline constexpr TwinMagic kKeyMagic = {'C', 'A', 'I', 'R', 'N', 'K', 'E', 'Y'};

using Nonce = std::array<uint8_t, 16>;

inline constexpr size_t kTwinSectorBytes = 4096;
inline constexpr size_t kTwinHeaderBytes = 96;
inline constexpr size_t kTwinHashBytes = 32;

struct Twin {
  TwinMagic magic{};
  // core/store/features.h; for the payload's decoder to compare. Whether it is sealed is not among
  // them: that goes by the keys.
  uint32_t features = 0;
  RepositoryId repository;
  uint64_t number = 0;     // of the record; of the last record that a fold covers; 0 for others
  RecordHash predecessor;  // hash of record number-1; of record `number` for a fold; else zeros
  Nonce nonce{};
  Bytes payload;    // as it was before it was sealed
  RecordHash hash;  // of header and payload; set by EncodeTwin and DecodeTwin
};

// The file's bytes, sealed if the keys say so. Sets twin.hash. The same twin gives the same bytes.
Bytes EncodeTwin(const RepositoryKeys& keys, Twin& twin);

struct DecodedTwin {
  Twin twin;
  // Empty if both copies are whole and equal, else what is wrong with one of them: `check` reports
  // it and `repair` mends it; nothing is lost.
  std::string damage;
};

// UNIMPLEMENTED for a format version or a feature flag that this program does not know, with a
// message that says so: believed only of a copy whose hash holds, or where both copies state the
// same version. DATA_LOSS if neither copy is whole, or if both are and differ, or if it is sealed
// and the repository is not, or the other way round. Does not compare repository or number. `name`
// is for messages.
StatusOr<DecodedTwin> DecodeTwin(const RepositoryKeys& keys, const TwinMagic& magic, ByteSpan file,
                                 std::string_view name);

// The object's file as it was written, with both copies whole. INTERNAL if it would be another.
StatusOr<Bytes> EncodeAgain(const RepositoryKeys& keys, DecodedTwin decoded, std::string_view name);

// What one who does not have the keys can see of a twin object, and believe if he likes.
struct TwinClaim {
  RepositoryId repository;
  bool sealed = false;
};
// Of the copies that have the magic and a known version; empty if neither has.
std::vector<TwinClaim> PeekTwin(const TwinMagic& magic, ByteSpan file);

}  // namespace cairn
