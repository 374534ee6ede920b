// SPDX-License-Identifier: Apache-2.0
#include "core/store/twin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "core/base/blake3.h"
#include "core/base/coding.h"
#include "core/store/features.h"
#include "tests/store/store_data.h"

namespace cairn {
namespace {

using ::cairn::testing::Filled;
using ::cairn::testing::StatusIs;
using ::cairn::testing::TestNoise;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Twin MakeTwin(size_t payload_bytes) {
  Twin twin;
  twin.magic = kRecordMagic;
  twin.repository = Filled<RepositoryId>(1);
  twin.number = 7;
  twin.predecessor = Filled<RecordHash>(2);
  twin.nonce.fill(3);
  twin.payload = TestNoise(payload_bytes, payload_bytes);
  return twin;
}

Bytes Encode(size_t payload_bytes) {
  Twin twin = MakeTwin(payload_bytes);
  return EncodeTwin(RepositoryKeys(), twin);
}

StatusOr<DecodedTwin> Decode(ByteSpan file) {
  return DecodeTwin(RepositoryKeys(), kRecordMagic, file, "record 7");
}

constexpr size_t SecondCopy(size_t payload_bytes) {
  return (kTwinHeaderBytes + payload_bytes + kTwinHashBytes + 4095) / 4096 * 4096;
}

// The same file with a field of both copies changed, and their hashes made to hold.
Bytes Rewritten(Bytes file, size_t payload_bytes, const std::function<void(uint8_t*)>& edit,
                bool first = true, bool second = true) {
  const size_t hashed = kTwinHeaderBytes + payload_bytes;
  const auto rewrite = [&](size_t offset) {
    edit(file.data() + offset);
    const Hash256 hash = Blake3Keyed(Blake3DeriveKey("cairn v1 twin", HashKey{}),
                                     ByteSpan(file).subspan(offset, hashed));
    std::ranges::copy(hash, file.begin() + static_cast<ptrdiff_t>(offset + hashed));
  };
  if (first) rewrite(0);
  if (second) rewrite(SecondCopy(payload_bytes));
  return file;
}

TEST(TwinTest, DecodesToWhatWasEncodedAtEverySize) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{3967}, size_t{3968}, size_t{3969},
                            size_t{8063}, size_t{8064}, size_t{8065}, size_t{100'000}}) {
    Twin twin = MakeTwin(size);
    const Bytes file = EncodeTwin(RepositoryKeys(), twin);
    EXPECT_EQ(file.size(), SecondCopy(size) + kTwinHeaderBytes + size + kTwinHashBytes);
    ASSERT_OK_AND_ASSIGN(const DecodedTwin decoded, Decode(file));
    EXPECT_EQ(decoded.damage, "");
    EXPECT_EQ(decoded.twin.repository, twin.repository);
    EXPECT_EQ(decoded.twin.number, twin.number);
    EXPECT_EQ(decoded.twin.predecessor, twin.predecessor);
    EXPECT_EQ(decoded.twin.nonce, twin.nonce);
    EXPECT_EQ(decoded.twin.payload, twin.payload);
    EXPECT_EQ(decoded.twin.hash, twin.hash);
  }
}

TEST(TwinTest, OneFlippedByteAnywhereIsReportedAndLosesNothing) {
  const Bytes good = Encode(50);
  ASSERT_OK_AND_ASSIGN(const DecodedTwin expected, Decode(good));
  for (size_t i = 0; i < good.size(); ++i) {
    Bytes file = good;
    file[i] ^= 0x20;
    ASSERT_OK_AND_ASSIGN(const DecodedTwin decoded, Decode(file));
    EXPECT_NE(decoded.damage, "") << i;
    EXPECT_EQ(decoded.twin.payload, expected.twin.payload) << i;
    EXPECT_EQ(decoded.twin.hash, expected.twin.hash) << i;
  }
}

TEST(TwinTest, EitherCopyIsEnough) {
  for (const size_t size : {size_t{50}, size_t{3968}, size_t{3969}, size_t{20'000}}) {
    const Bytes good = Encode(size);
    Bytes first_gone = good;
    std::fill_n(first_gone.begin(), SecondCopy(size), 0);
    ASSERT_OK_AND_ASSIGN(const DecodedTwin from_second, Decode(first_gone));
    EXPECT_THAT(from_second.damage, HasSubstr("first copy"));
    EXPECT_EQ(from_second.twin.payload, TestNoise(size, size));

    Bytes second_gone = good;
    std::fill(second_gone.begin() + static_cast<ptrdiff_t>(SecondCopy(size)), second_gone.end(), 0);
    ASSERT_OK_AND_ASSIGN(const DecodedTwin from_first, Decode(second_gone));
    EXPECT_THAT(from_first.damage, HasSubstr("second copy"));
    EXPECT_EQ(from_first.twin.payload, TestNoise(size, size));
  }
}

TEST(TwinTest, BothCopiesDamagedIsDataLoss) {
  const Bytes good = Encode(50);
  for (size_t i = 0; i < 178; ++i) {
    Bytes file = good;
    file[i] ^= 1;
    file[SecondCopy(50) + (i * 7) % 178] ^= 2;
    EXPECT_THAT(Decode(file), StatusIs(StatusCode::kDataLoss,
                                       AllOf(HasSubstr("record 7"), HasSubstr("neither copy"))))
        << i;
  }
}

TEST(TwinTest, EveryTruncationIsReported) {
  const Bytes good = Encode(50);
  for (size_t size = 0; size < good.size(); ++size) {
    const StatusOr<DecodedTwin> decoded = Decode(ByteSpan(good).first(size));
    if (size < 178) {
      EXPECT_THAT(decoded, StatusIs(StatusCode::kDataLoss)) << size;
    } else {
      ASSERT_OK(decoded.status());
      EXPECT_NE(decoded->damage, "") << size;
    }
  }
  Bytes longer = good;
  longer.push_back(0);
  ASSERT_OK_AND_ASSIGN(const DecodedTwin decoded, Decode(longer));
  EXPECT_NE(decoded.damage, "");
}

TEST(TwinTest, TwoWholeCopiesThatDifferAreDataLoss) {
  const Bytes file = Rewritten(
      Encode(50), 50, [](uint8_t* copy) { copy[kTwinHeaderBytes] ^= 1; }, false, true);
  EXPECT_THAT(Decode(file), StatusIs(StatusCode::kDataLoss, HasSubstr("differ")));
}

TEST(TwinTest, RefusesAnUnknownVersionByName) {
  const Bytes file = Rewritten(Encode(50), 50, [](uint8_t* copy) { copy[8] = 2; });
  EXPECT_THAT(Decode(file),
              StatusIs(StatusCode::kUnimplemented,
                       AllOf(HasSubstr("version 2"), HasSubstr("newer version of cairn"))));
}

TEST(TwinTest, VersionZeroIsDamageAndNoNewerVersion) {
  const Bytes file = Rewritten(Encode(50), 50, [](uint8_t* copy) { copy[8] = 0; });
  EXPECT_THAT(Decode(file), StatusIs(StatusCode::kDataLoss, HasSubstr("version 0")));
}

TEST(TwinTest, RefusesAnUnknownVersionThatHashesOtherwise) {
  Bytes file = Encode(50);
  file[8] = 3;
  file[SecondCopy(50) + 8] = 3;
  EXPECT_THAT(Decode(file), StatusIs(StatusCode::kUnimplemented, HasSubstr("version 3")));
}

TEST(TwinTest, ADamagedVersionFieldIsDamageAndNoVersion) {
  Bytes file = Encode(50);
  file[8] = 3;
  ASSERT_OK_AND_ASSIGN(const DecodedTwin one, Decode(file));
  EXPECT_THAT(one.damage, HasSubstr("hash"));
  file[SecondCopy(50) + 8] = 4;
  EXPECT_THAT(Decode(file), StatusIs(StatusCode::kDataLoss));
}

TEST(TwinTest, RefusesUnknownFlagsByName) {
  const Bytes wrapped = Rewritten(Encode(50), 50, [](uint8_t* copy) { copy[12] = 4; });
  EXPECT_THAT(Decode(wrapped), StatusIs(StatusCode::kUnimplemented, HasSubstr("pack key")));
  const Bytes unknown = Rewritten(Encode(50), 50, [](uint8_t* copy) { copy[15] = 0x80; });
  EXPECT_THAT(Decode(unknown), StatusIs(StatusCode::kUnimplemented, HasSubstr("0x80000000")));
}

TEST(TwinTest, KnownFlagsAreForTheReaderOfThePayload) {
  const Bytes delta = Rewritten(Encode(50), 50, [](uint8_t* copy) { copy[12] = 2; });
  ASSERT_OK_AND_ASSIGN(DecodedTwin decoded, Decode(delta));
  EXPECT_EQ(decoded.twin.features, kFeatureDelta);
  EXPECT_EQ(EncodeTwin(RepositoryKeys(), decoded.twin), delta);
  const Bytes both = Rewritten(Encode(50), 50, [](uint8_t* copy) { copy[12] = 3; });
  EXPECT_THAT(Decode(both), StatusIs(StatusCode::kDataLoss, HasSubstr("is encrypted")));
}

TEST(TwinTest, RefusesAnotherKindOfObject) {
  EXPECT_THAT(DecodeTwin(RepositoryKeys(), kFoldMagic, Encode(50), "fold"),
              StatusIs(StatusCode::kDataLoss, HasSubstr("magic")));
}

TEST(TwinTest, LengthsBeyondTheFileAreDamage) {
  for (const uint64_t length : {uint64_t{51}, uint64_t{5000}, uint64_t{1} << 40, UINT64_MAX - 50}) {
    Bytes file = Encode(50);
    for (const size_t copy : {size_t{0}, SecondCopy(50)}) {
      Bytes field;
      Encoder(field).Fixed64(length);
      std::ranges::copy(field, file.begin() + static_cast<ptrdiff_t>(copy + 88));
    }
    EXPECT_THAT(Decode(file), StatusIs(StatusCode::kDataLoss)) << length;
  }
}

}  // namespace
}  // namespace cairn
