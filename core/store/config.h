// SPDX-License-Identifier: Apache-2.0
// The repository's configuration: what is fixed at `init` for all who use it.
#pragma once

#include "core/base/blob.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/store/object_store.h"
#include "core/store/repository_keys.h"

namespace cairn {

struct RepositoryConfig {
  RepositoryId id;
  Timestamp created;
  // The chunker's parameters, in bytes: equal ids need equal parameters.
  uint64_t chunk_min_bytes = 4 * kKiB;
  uint64_t chunk_average_bytes = 16 * kKiB;
  uint64_t chunk_max_bytes = 64 * kKiB;
  int compression_level = 3;  // zstd's, 1 to 19, or negative for its fast modes down to -7
  uint64_t pack_target_bytes = 32 * kMiB;
  friend bool operator==(const RepositoryConfig&, const RepositoryConfig&) = default;
};

inline constexpr char kConfigName[] = "config";
// Of the file, which nobody makes larger.
inline constexpr uint64_t kMaxConfigFileBytes = 1 * kMiB;

Bytes EncodeConfig(const RepositoryKeys& keys, const RepositoryConfig& config,
                   const std::array<uint8_t, 16>& nonce);
// `damage` as in DecodedTwin. DATA_LOSS, too, for an encrypted repository's that has another id
// than the keys; of one that is not encrypted the id is what the file says.
StatusOr<RepositoryConfig> DecodeConfig(const RepositoryKeys& keys, ByteSpan file,
                                        std::string* damage);

// Writes the configuration of a new repository; ALREADY_EXISTS if there is one.
Status WriteConfig(ObjectStore& store, const RepositoryKeys& keys, const RepositoryConfig& config);
// NOT_FOUND if there is no repository in `store`.
StatusOr<RepositoryConfig> ReadConfig(ObjectStore& store, const RepositoryKeys& keys);

}  // namespace cairn
