// SPDX-License-Identifier: Apache-2.0
#include "core/base/coding.h"

#include <cstdint>
#include <limits>
#include <random>
#include <string>

#include "core/base/hex.h"
#include "core/base/ids.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::cairn::testing::StatusIs;
using ::testing::HasSubstr;

constexpr uint64_t kMax64 = std::numeric_limits<uint64_t>::max();

Bytes FromHex(std::string_view hex) { return *HexDecode(hex); }

std::string VarintHex(uint64_t value) {
  Bytes out;
  Encoder(out).Varint(value);
  return HexEncode(out);
}

TEST(CodingTest, FixedIntegersAreLittleEndian) {
  Bytes out;
  Encoder encoder(out);
  encoder.Fixed8(0x01);
  encoder.Fixed16(0x0203);
  encoder.Fixed32(0x04050607);
  encoder.Fixed64(0x08090a0b0c0d0e0f);
  EXPECT_EQ(HexEncode(out),
            "01"
            "0302"
            "07060504"
            "0f0e0d0c0b0a0908");
  Decoder decoder(out);
  EXPECT_EQ(decoder.Fixed8(), 0x01);
  EXPECT_EQ(decoder.Fixed16(), 0x0203);
  EXPECT_EQ(decoder.Fixed32(), 0x04050607);
  EXPECT_EQ(decoder.Fixed64(), 0x08090a0b0c0d0e0f);
  EXPECT_OK(decoder.Finish("structure"));
}

TEST(CodingTest, VarintsAreLeb128) {
  EXPECT_EQ(VarintHex(0), "00");
  EXPECT_EQ(VarintHex(127), "7f");
  EXPECT_EQ(VarintHex(128), "8001");
  EXPECT_EQ(VarintHex(300), "ac02");
  EXPECT_EQ(VarintHex(kMax64), "ffffffffffffffffff01");
}

TEST(CodingTest, EveryVarintComesBack) {
  std::mt19937_64 random(1);
  std::vector<uint64_t> values = {0, 1, kMax64, kMax64 - 1};
  for (int bit = 1; bit < 64; ++bit) {
    for (const uint64_t delta : {-1, 0, 1}) values.push_back((uint64_t{1} << bit) + delta);
    values.push_back(random() >> bit);
  }
  for (const uint64_t value : values) {
    Bytes out;
    Encoder encoder(out);
    encoder.Varint(value);
    encoder.SignedVarint(static_cast<int64_t>(value));
    Decoder decoder(out);
    EXPECT_EQ(decoder.Varint(), value);
    EXPECT_EQ(decoder.SignedVarint(), static_cast<int64_t>(value));
    EXPECT_OK(decoder.Finish("varints"));
  }
}

TEST(CodingTest, SignedVarintsZigzag) {
  Bytes out;
  Encoder encoder(out);
  for (const int64_t value : {0, -1, 1, -2, 2}) encoder.SignedVarint(value);
  EXPECT_EQ(HexEncode(out), "0001020304");
}

TEST(CodingTest, RefusesVarintsThatAreNotShortest) {
  for (const char* hex : {"8000", "ff00", "808000", "80808080808080808000"}) {
    const Bytes bytes = FromHex(hex);
    Decoder decoder(bytes);
    EXPECT_EQ(decoder.Varint(), 0);
    EXPECT_FALSE(decoder.ok()) << hex;
    EXPECT_THAT(decoder.status("pack"),
                StatusIs(StatusCode::kDataLoss, "pack: varint is not in its shortest form"))
        << hex;
  }
}

TEST(CodingTest, RefusesVarintsThatAreCutShortOrTooLong) {
  for (const char* hex : {"", "80", "ffff", "ffffffffffffffffff", "ffffffffffffffffff02",
                          "ffffffffffffffffff81", "8080808080808080808001"}) {
    const Bytes bytes = FromHex(hex);
    Decoder decoder(bytes);
    EXPECT_EQ(decoder.Varint(), 0);
    EXPECT_FALSE(decoder.ok()) << hex;
  }
}

// One value, one encoding: whatever decodes encodes to the bytes that it was read from.
TEST(CodingTest, EveryAcceptedVarintIsCanonical) {
  std::mt19937_64 random(2);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes(1 + random() % 11);
    for (uint8_t& byte : bytes) {
      byte = static_cast<uint8_t>(random() % 4 == 0 ? random() % 3 : 0x80 | random());
    }
    Decoder decoder(bytes);
    const uint64_t value = decoder.Varint();
    if (!decoder.ok()) continue;
    ++accepted;
    const size_t used = bytes.size() - decoder.remaining();
    ASSERT_EQ(VarintHex(value), HexEncode(ByteSpan(bytes).first(used)));
  }
  EXPECT_GT(accepted, 1000);
}

TEST(CodingTest, VarintUpToIsInclusive) {
  const Bytes bytes = FromHex("0a0a");
  Decoder decoder(bytes);
  EXPECT_EQ(decoder.VarintUpTo(10), 10);
  EXPECT_TRUE(decoder.ok());
  EXPECT_EQ(decoder.VarintUpTo(9), 0);
  EXPECT_FALSE(decoder.ok());
}

TEST(CodingTest, CountIsBoundedByTheBytesThatFollow) {
  const Bytes fits = FromHex("03aabbccddeeff");
  Decoder decoder(fits);
  EXPECT_EQ(decoder.Count(2), 3);
  EXPECT_TRUE(decoder.ok());
  Decoder too_many(fits);
  EXPECT_EQ(too_many.Count(3), 0);
  EXPECT_FALSE(too_many.ok());
  const Bytes huge = FromHex("ffffffffffffffffff01");
  Decoder overflow(huge);
  EXPECT_EQ(overflow.Count(0), 0);
  EXPECT_FALSE(overflow.ok());
}

TEST(CodingTest, StringsHaveTheirLengthBeforeThem) {
  Bytes out;
  Encoder encoder(out);
  encoder.String(std::string_view("abc"));
  encoder.String(ByteSpan());
  EXPECT_EQ(HexEncode(out), "0361626300");
  Decoder decoder(out);
  EXPECT_EQ(decoder.Text(3), "abc");
  EXPECT_EQ(decoder.String(3).size(), 0);
  EXPECT_OK(decoder.Finish("strings"));
}

TEST(CodingTest, RefusesStringsThatAreTooLongOrCutShort) {
  const Bytes bytes = FromHex("03616263");
  Decoder too_long(bytes);
  EXPECT_EQ(too_long.Text(2), "");
  EXPECT_THAT(too_long.status("entry"), StatusIs(StatusCode::kDataLoss, HasSubstr("longer")));
  const Bytes cut = FromHex("046162");
  Decoder cut_short(cut);
  EXPECT_EQ(cut_short.Text(100), "");
  EXPECT_THAT(cut_short.status("entry"), StatusIs(StatusCode::kDataLoss, "entry: cut short"));
  const Bytes huge = FromHex("ffffffffffffffffff01");
  Decoder overflow(huge);
  EXPECT_EQ(overflow.String(kMax64).size(), 0);
  EXPECT_FALSE(overflow.ok());
}

TEST(CodingTest, AfterAFailureReadsGiveNothingAndTheFirstErrorStays) {
  const Bytes bytes = FromHex("0102030405060708");
  Decoder decoder(bytes);
  decoder.Raw(100);
  decoder.Fail("second");
  EXPECT_EQ(decoder.Fixed8(), 0);
  EXPECT_EQ(decoder.Fixed64(), 0);
  EXPECT_EQ(decoder.Varint(), 0);
  EXPECT_EQ(decoder.Count(1), 0);
  EXPECT_EQ(decoder.String(10).size(), 0);
  EXPECT_TRUE(decoder.ReadId<PackName>().IsZero());
  EXPECT_EQ(decoder.remaining(), 0);
  EXPECT_THAT(decoder.Finish("x"), StatusIs(StatusCode::kDataLoss, "x: cut short"));
}

TEST(CodingTest, FinishRefusesTrailingBytes) {
  const Bytes bytes = FromHex("0102");
  Decoder decoder(bytes);
  decoder.Fixed8();
  EXPECT_OK(decoder.status("record"));
  EXPECT_THAT(decoder.Finish("record"), StatusIs(StatusCode::kDataLoss, "record: trailing bytes"));
}

TEST(CodingTest, ReadsIds) {
  const Bytes bytes = FromHex("000102030405060708090a0b0c0d0e0f10");
  Decoder decoder(bytes);
  EXPECT_EQ(decoder.ReadId<SessionId>().Hex(), "000102030405060708090a0b0c0d0e0f");
  EXPECT_EQ(decoder.remaining(), 1);
  EXPECT_TRUE(decoder.ReadId<SessionId>().IsZero());
  EXPECT_FALSE(decoder.ok());
}

}  // namespace
}  // namespace cairn
