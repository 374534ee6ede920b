// SPDX-License-Identifier: Apache-2.0
#include "core/base/hex.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace cairn {
namespace {

TEST(HexTest, EncodesInLowerCaseAndDecodesBoth) {
  const Bytes bytes = {0x00, 0x9a, 0xBC, 0xff};
  EXPECT_EQ(HexEncode(bytes), "009abcff");
  EXPECT_EQ(HexDecode("009abcff"), bytes);
  EXPECT_EQ(HexDecode("009ABCfF"), bytes);
  EXPECT_EQ(HexEncode({}), "");
  EXPECT_EQ(HexDecode(""), Bytes());
}

TEST(HexTest, RefusesWhatIsNotHex) {
  for (const char* text : {"0", "000", "0g", "g0", " 0", "0x", "/0", ":0", "@0", "`0",
                           "\xff"
                           "0"}) {
    EXPECT_EQ(HexDecode(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace cairn
