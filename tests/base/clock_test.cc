// SPDX-License-Identifier: Apache-2.0
#include "core/base/clock.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

namespace cairn {
namespace {

class ClockFormatTest : public ::testing::Test {
 protected:
  ~ClockFormatTest() override { SetZone("UTC"); }

  static void SetZone(const char* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
};

TEST_F(ClockFormatTest, WritesLocalTimeWithItsOffset) {
  const Timestamp time{1795527005, 12345};
  SetZone("UTC");
  EXPECT_EQ(FormatRfc3339(time), "2026-11-24T13:30:05.000012345+00:00");
  EXPECT_EQ(FormatForPeople(time), "2026-11-24 13:30:05");
  SetZone("XXX-5:30");  // POSIX counts west of Greenwich
  EXPECT_EQ(FormatRfc3339(time), "2026-11-24T19:00:05.000012345+05:30");
  SetZone("XXX+9:30");
  EXPECT_EQ(FormatRfc3339(time), "2026-11-24T04:00:05.000012345-09:30");
}

TEST_F(ClockFormatTest, WritesTimesBefore1970) {
  SetZone("UTC");
  EXPECT_EQ(FormatRfc3339({-1, 999999999}), "1969-12-31T23:59:59.999999999+00:00");
}

TEST(ClockTest, TimesCompareBySecondsFirst) {
  EXPECT_LT((Timestamp{1, 5}), (Timestamp{2, 0}));
  EXPECT_LT((Timestamp{1, 5}), (Timestamp{1, 6}));
  EXPECT_LT((Timestamp{-1, 0}), (Timestamp{0, 0}));
  EXPECT_LT(SystemClock().Now().nanoseconds, 1000000000u);
}

}  // namespace
}  // namespace cairn
