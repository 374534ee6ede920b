// SPDX-License-Identifier: Apache-2.0
#include "core/index/blob_filter.h"

#include <gtest/gtest.h>

#include "core/base/blake3.h"

namespace cairn {
namespace {

BlobId IdOf(uint64_t number) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(&number);
  return BlobId::From(ByteSpan(Blake3Hash(ByteSpan(bytes, sizeof(number)))));
}

TEST(BlobFilterTest, HasNothingAtFirst) {
  const BlobFilter filter(0);
  EXPECT_FALSE(filter.MayHave(IdOf(1)));
}

TEST(BlobFilterTest, NeverDeniesWhatWasAdded) {
  BlobFilter filter(1000);
  for (uint64_t i = 0; i < 4000; ++i) filter.Add(IdOf(i));  // more than it is made for
  for (uint64_t i = 0; i < 4000; ++i) EXPECT_TRUE(filter.MayHave(IdOf(i)));
}

TEST(BlobFilterTest, DeniesNearlyAllElse) {
  constexpr uint64_t kBlobs = 100'000;
  BlobFilter filter(kBlobs);
  for (uint64_t i = 0; i < kBlobs; ++i) filter.Add(IdOf(i));
  uint64_t wrong = 0;
  for (uint64_t i = kBlobs; i < 2 * kBlobs; ++i) wrong += filter.MayHave(IdOf(i)) ? 1 : 0;
  EXPECT_LT(wrong, kBlobs * 15 / 1000);
}

}  // namespace
}  // namespace cairn
