// SPDX-License-Identifier: Apache-2.0
#include "core/base/ids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>

#include "absl/hash/hash.h"
#include "core/base/random.h"

namespace cairn {
namespace {

TEST(StrongIdTest, ComesBackFromItsHex) {
  const auto id = RandomId<BlobId>();
  EXPECT_EQ(BlobId::FromHex(id.Hex()), id);
  EXPECT_EQ(id.Hex().size(), 64);
  EXPECT_EQ(id.ShortHex(), id.Hex().substr(0, 8));
}

TEST(StrongIdTest, RefusesHexOfAnotherLength) {
  EXPECT_EQ(PackName::FromHex(std::string(30, 'a')), std::nullopt);
  EXPECT_EQ(PackName::FromHex(std::string(34, 'a')), std::nullopt);
  EXPECT_EQ(PackName::FromHex(std::string(32, 'x')), std::nullopt);
  EXPECT_TRUE(PackName::FromHex(std::string(32, 'a')).has_value());
}

TEST(StrongIdTest, OrdersAsItsHexAndHashesByValue) {
  PackName low;
  PackName high;
  low.bytes[15] = 0xff;
  high.bytes[0] = 0x01;
  EXPECT_LT(low, high);
  EXPECT_LT(low.Hex(), high.Hex());
  EXPECT_TRUE(PackName().IsZero());
  EXPECT_FALSE(low.IsZero());
  PackName same = low;
  EXPECT_EQ(absl::HashOf(same), absl::HashOf(low));
}

TEST(RandomTest, FillsAllBytes) {
  // A byte that stays zero 64 times over is not filled.
  Bytes seen(33);
  for (int i = 0; i < 64; ++i) {
    Bytes bytes(33);
    FillRandom(bytes);
    for (size_t j = 0; j < bytes.size(); ++j) seen[j] |= bytes[j];
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 0), 0);
  EXPECT_NE(RandomId<PackName>(), RandomId<PackName>());
}

TEST(StrongIdTest, TheOrderIsThatOfTheBytes) {
  for (size_t at = 0; at < BlobId::kBytes; ++at) {
    BlobId small;
    BlobId large;
    small.bytes.fill(7);
    large.bytes.fill(7);
    small.bytes[at] = 0x7f;
    large.bytes[at] = 0x80;
    if (at + 1 < BlobId::kBytes) small.bytes[at + 1] = 0xff;
    EXPECT_LT(small, large);
    EXPECT_GT(large, small);
    EXPECT_EQ(small <=> small, std::strong_ordering::equal);
  }
}

}  // namespace
}  // namespace cairn
