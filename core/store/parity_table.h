// SPDX-License-Identifier: Apache-2.0
// The table of a parity file: whose parity it is, and a checksum of every shard of the pack and of
// the parity. It stands twice in the file, in blocks of 4 KiB that check themselves, so that a
// block may be lost in either copy. docs/format.md, "Parity".
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/store/parity_layout.h"

namespace cairn {

inline constexpr size_t kParityHeadBytes = 88;
inline constexpr size_t kChecksumBytes = 4;
inline constexpr size_t kTableBlockContent = kShardBytes - kChecksumBytes;

struct ParityTable {
  RepositoryId repository;
  PackName name;
  uint64_t pack_bytes = 0;
  PackHash hash;
  // Nothing where both copies of the block that held it are damaged.
  std::vector<std::optional<uint32_t>> shards;
  std::vector<std::optional<uint32_t>> parity;
};

// One copy. REQUIRES: the vectors are as long as the layout says, and without gaps.
Bytes EncodeParityTable(const ParityTable& table);

struct DecodedParityTable {
  ParityTable table;
  bool whole = true;  // both copies are
};

// `copies` are both, one after another, as long as ParityLayout(info.bytes) says. DATA_LOSS if the
// head cannot be read or names another pack, UNIMPLEMENTED for a version or flag that this program
// does not know.
StatusOr<DecodedParityTable> DecodeParityTable(ByteSpan copies, const PackInfo& info,
                                               const RepositoryId& repository);

}  // namespace cairn
