// SPDX-License-Identifier: Apache-2.0
#include "core/store/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/coding.h"
#include "core/store/features.h"
#include "core/store/twin.h"
#include "tests/store/store_data.h"
#include "tests/support/memory_object_store.h"

namespace cairn {
namespace {

using ::cairn::testing::Filled;
using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::MemoryObjectStore;
using ::cairn::testing::StatusIs;
using ::testing::HasSubstr;

RepositoryConfig MakeConfig() {
  return {.id = Filled<RepositoryId>(5),
          .created = {.seconds = -5, .nanoseconds = 999'999'999},
          .chunk_min_bytes = 1000,
          .chunk_average_bytes = 8192,
          .chunk_max_bytes = 100'000,
          .compression_level = -7,
          .pack_target_bytes = 123'456'789};
}

// A configuration whose hashes hold, whatever its payload.
Bytes WithPayload(const Bytes& payload, uint64_t number = 0, uint32_t features = 0) {
  Twin twin;
  twin.magic = kConfigMagic;
  twin.features = features;
  twin.number = number;
  twin.payload = payload;
  return EncodeTwin(RepositoryKeys(), twin);
}

Bytes PayloadOf(const RepositoryConfig& config) {
  const Bytes file = EncodeConfig(RepositoryKeys(), config, {});
  auto decoded = DecodeTwin(RepositoryKeys(), kConfigMagic, file, "config");
  EXPECT_OK(decoded.status());
  return decoded->twin.payload;
}

TEST(ConfigTest, ReadsWhatWasWritten) {
  MemoryObjectStore store;
  ASSERT_OK(WriteConfig(store, RepositoryKeys(), MakeConfig()));
  EXPECT_THAT(ReadConfig(store, RepositoryKeys()), IsOkAndHolds(MakeConfig()));
}

TEST(ConfigTest, IsWrittenOnce) {
  MemoryObjectStore store;
  ASSERT_OK(WriteConfig(store, RepositoryKeys(), MakeConfig()));
  RepositoryConfig other = MakeConfig();
  other.id = Filled<RepositoryId>(6);
  EXPECT_THAT(WriteConfig(store, RepositoryKeys(), other), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(ReadConfig(store, RepositoryKeys()), IsOkAndHolds(MakeConfig()));
}

TEST(ConfigTest, IsAbsentWhereThereIsNoRepository) {
  MemoryObjectStore store;
  EXPECT_THAT(ReadConfig(store, RepositoryKeys()), StatusIs(StatusCode::kNotFound));
}

TEST(ConfigTest, OneDamagedByteIsReportedAndLosesNothing) {
  const Bytes good = EncodeConfig(RepositoryKeys(), MakeConfig(), {});
  std::string damage;
  EXPECT_THAT(DecodeConfig(RepositoryKeys(), good, &damage), IsOkAndHolds(MakeConfig()));
  EXPECT_EQ(damage, "");
  for (size_t i = 0; i < good.size(); i += 3) {
    Bytes file = good;
    file[i] ^= 4;
    EXPECT_THAT(DecodeConfig(RepositoryKeys(), file, &damage), IsOkAndHolds(MakeConfig())) << i;
    EXPECT_NE(damage, "") << i;
  }
}

TEST(ConfigTest, RefusesToWriteWhatIsOutOfRange) {
  MemoryObjectStore store;
  const auto write = [&store](auto change) {
    RepositoryConfig config;
    change(config);
    return WriteConfig(store, RepositoryKeys(), config);
  };
  const auto invalid = StatusIs(StatusCode::kInvalidArgument);
  EXPECT_THAT(write([](auto& c) { c.chunk_min_bytes = 0; }), invalid);
  EXPECT_THAT(write([](auto& c) { c.chunk_min_bytes = c.chunk_average_bytes + 1; }), invalid);
  EXPECT_THAT(write([](auto& c) { c.chunk_max_bytes = c.chunk_average_bytes - 1; }), invalid);
  EXPECT_THAT(write([](auto& c) { c.chunk_max_bytes = kMaxBlobBytes + 1; }), invalid);
  EXPECT_THAT(write([](auto& c) { c.compression_level = 0; }), invalid);
  EXPECT_THAT(write([](auto& c) { c.compression_level = 20; }), invalid);
  EXPECT_THAT(write([](auto& c) { c.compression_level = -8; }), invalid);
  EXPECT_THAT(write([](auto& c) { c.pack_target_bytes = 0; }), invalid);
  EXPECT_THAT(write([](auto& c) { c.pack_target_bytes = 2 * kGiB; }), invalid);
  EXPECT_THAT(write([](auto& c) { c.created.nanoseconds = 1'000'000'000; }), invalid);
}

TEST(ConfigTest, RefusesToReadWhatIsOutOfRange) {
  RepositoryConfig config;
  config.chunk_max_bytes = kMaxBlobBytes + 1;
  EXPECT_THAT(DecodeConfig(RepositoryKeys(), EncodeConfig(RepositoryKeys(), config, {}), nullptr),
              StatusIs(StatusCode::kDataLoss));
  config = RepositoryConfig();
  config.compression_level = 100;
  EXPECT_THAT(DecodeConfig(RepositoryKeys(), EncodeConfig(RepositoryKeys(), config, {}), nullptr),
              StatusIs(StatusCode::kDataLoss));
}

TEST(ConfigTest, RefusesPayloadsOfAnotherShape) {
  Bytes payload = PayloadOf(MakeConfig());
  ASSERT_OK(DecodeConfig(RepositoryKeys(), WithPayload(payload), nullptr).status());
  EXPECT_THAT(DecodeConfig(RepositoryKeys(), WithPayload(payload, 1), nullptr),
              StatusIs(StatusCode::kDataLoss));
  payload.push_back(0);
  EXPECT_THAT(DecodeConfig(RepositoryKeys(), WithPayload(payload), nullptr),
              StatusIs(StatusCode::kDataLoss, HasSubstr("trailing")));
  payload.pop_back();
  payload.pop_back();
  EXPECT_THAT(DecodeConfig(RepositoryKeys(), WithPayload(payload), nullptr),
              StatusIs(StatusCode::kDataLoss));
}

TEST(ConfigTest, RefusesAFlagOfOtherObjects) {
  EXPECT_THAT(DecodeConfig(RepositoryKeys(), WithPayload(PayloadOf(MakeConfig()), 0, kFeatureDelta),
                           nullptr),
              StatusIs(StatusCode::kDataLoss, HasSubstr("flag")));
}

TEST(ConfigTest, ALevelIsNotCutToTheBitsThatItMayHave) {
  for (const int64_t level : {(int64_t{1} << 32) + 3, -(int64_t{1} << 32) + 3}) {
    Bytes payload;
    Encoder encoder(payload);
    encoder.SignedVarint(0);
    for (const uint64_t value : {0, 1000, 8192, 100'000}) encoder.Varint(value);
    encoder.SignedVarint(level);
    encoder.Varint(kMiB);
    EXPECT_THAT(DecodeConfig(RepositoryKeys(), WithPayload(payload), nullptr),
                StatusIs(StatusCode::kDataLoss, HasSubstr("level")));
  }
}

TEST(ConfigTest, AFileFarTooLargeIsDamage) {
  MemoryObjectStore store;
  store.Set("config", Bytes(2 * kMiB));
  EXPECT_THAT(ReadConfig(store, RepositoryKeys()), StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace cairn
