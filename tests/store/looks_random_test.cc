// SPDX-License-Identifier: Apache-2.0
#include "core/store/looks_random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/store/store_data.h"

namespace cairn {
namespace {

using ::cairn::testing::TestNoise;
using ::cairn::testing::TestText;

constexpr size_t kFrame = 2 * kMiB;

Bytes NoiseWith(const Bytes& inside, size_t at) {
  Bytes bytes = TestNoise(kFrame, 1);
  std::copy(inside.begin(), inside.end(), bytes.begin() + static_cast<ptrdiff_t>(at));
  return bytes;
}

TEST(LooksRandomTest, IsTrueOfNoiseOfAnySize) {
  for (const size_t size : {size_t{32 * kKiB}, size_t{32 * kKiB + 1}, size_t{100'000}, kFrame}) {
    EXPECT_TRUE(LooksRandom(TestNoise(size, size))) << size;
  }
}

TEST(LooksRandomTest, IsFalseOfLessThanItCanJudge) {
  EXPECT_FALSE(LooksRandom({}));
  EXPECT_FALSE(LooksRandom(TestNoise(32 * kKiB - 1, 1)));
}

TEST(LooksRandomTest, IsFalseOfTextAndOfZeros) {
  EXPECT_FALSE(LooksRandom(TestText(kFrame, 1)));
  EXPECT_FALSE(LooksRandom(Bytes(kFrame)));
}

TEST(LooksRandomTest, SeesALittleTextAnywhere) {
  for (const size_t at : {size_t{0}, size_t{1'000'003}, kFrame - 2 * kKiB}) {
    EXPECT_FALSE(LooksRandom(NoiseWith(TestText(2 * kKiB, 3), at))) << at;
  }
}

// As in the pictures of a camera, or in a column of numbers.
TEST(LooksRandomTest, SeesValuesThatAreSomewhatMoreFrequent) {
  Bytes bytes = TestNoise(kFrame, 1);
  for (size_t at = 0; at < bytes.size(); at += 25) bytes[at] = 0xFF;
  EXPECT_FALSE(LooksRandom(bytes));
}

TEST(LooksRandomTest, SeesBytesThatNeverOccur) {
  Bytes bytes = TestNoise(kFrame, 1);
  for (uint8_t& byte : bytes) byte = byte % 240 + 16;
  EXPECT_FALSE(LooksRandom(bytes));
}

}  // namespace
}  // namespace cairn
