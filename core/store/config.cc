// SPDX-License-Identifier: Apache-2.0
#include "core/store/config.h"

#include <utility>

#include "core/base/coding.h"
#include "core/base/random.h"
#include "core/store/pack.h"
#include "core/store/twin.h"
#include "core/store/twin_file.h"

namespace cairn {
namespace {

constexpr uint32_t kNanosecondsPerSecond = 1'000'000'000;

// Of what the chunker demands of its parameters, only what bounds memory is repeated here.
bool IsSound(const RepositoryConfig& config) {
  return config.created.nanoseconds < kNanosecondsPerSecond && config.chunk_min_bytes >= 1 &&
         config.chunk_min_bytes <= config.chunk_average_bytes &&
         config.chunk_average_bytes <= config.chunk_max_bytes &&
         config.chunk_max_bytes <= kMaxBlobBytes && config.compression_level >= -7 &&
         config.compression_level <= 19 && config.compression_level != 0 &&
         config.pack_target_bytes >= 1 && config.pack_target_bytes <= kMaxPackTargetBytes;
}

}  // namespace

Bytes EncodeConfig(const RepositoryKeys& keys, const RepositoryConfig& config,
                   const std::array<uint8_t, 16>& nonce) {
  Twin twin;
  twin.magic = kConfigMagic;
  twin.repository = config.id;
  twin.nonce = nonce;
  Encoder encoder(twin.payload);
  encoder.SignedVarint(config.created.seconds);
  encoder.Varint(config.created.nanoseconds);
  encoder.Varint(config.chunk_min_bytes);
  encoder.Varint(config.chunk_average_bytes);
  encoder.Varint(config.chunk_max_bytes);
  encoder.SignedVarint(config.compression_level);
  encoder.Varint(config.pack_target_bytes);
  return EncodeTwin(keys, twin);
}

StatusOr<RepositoryConfig> DecodeConfig(const RepositoryKeys& keys, ByteSpan file,
                                        std::string* damage) {
  ASSIGN_OR_RETURN(DecodedTwin decoded, DecodeTwin(keys, kConfigMagic, file, kConfigName));
  if (keys.sealed() && decoded.twin.repository != keys.id()) {
    return DataLoss("config: it is another repository's");
  }
  if (decoded.twin.number != 0 || !decoded.twin.predecessor.IsZero()) {
    return DataLoss("config: its number or predecessor is not zero");
  }
  if (decoded.twin.features != 0) return DataLoss("config: it has a feature flag of other objects");
  RepositoryConfig config;
  config.id = decoded.twin.repository;
  Decoder decoder(decoded.twin.payload);
  config.created.seconds = decoder.SignedVarint();
  config.created.nanoseconds = static_cast<uint32_t>(decoder.VarintUpTo(kNanosecondsPerSecond - 1));
  config.chunk_min_bytes = decoder.Varint();
  config.chunk_average_bytes = decoder.Varint();
  config.chunk_max_bytes = decoder.Varint();
  const int64_t level = decoder.SignedVarint();
  if (level < -7 || level > 19) decoder.Fail("compression level is out of its range");
  config.compression_level = static_cast<int>(level);
  config.pack_target_bytes = decoder.Varint();
  RETURN_IF_ERROR(decoder.Finish("config"));
  if (!IsSound(config)) return DataLoss("config: a parameter is out of its range");
  if (damage != nullptr) *damage = std::move(decoded.damage);
  return config;
}

Status WriteConfig(ObjectStore& store, const RepositoryKeys& keys, const RepositoryConfig& config) {
  if (!IsSound(config)) return InvalidArgument("write config: a parameter is out of its range");
  Nonce nonce;
  FillRandom(nonce);
  return store.PutIfAbsent(kConfigName, EncodeConfig(keys, config, nonce), nullptr);
}

StatusOr<RepositoryConfig> ReadConfig(ObjectStore& store, const RepositoryKeys& keys) {
  ASSIGN_OR_RETURN(const Bytes file, ReadTwinFile(store, kConfigName, kMaxConfigFileBytes));
  return DecodeConfig(keys, file, nullptr);
}

}  // namespace cairn
