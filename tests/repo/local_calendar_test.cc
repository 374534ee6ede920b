// SPDX-License-Identifier: Apache-2.0
#include "core/repo/local_calendar.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/repo/scoped_time_zone.h"

namespace cairn {
namespace {

using testing::kZones;
using testing::ScopedTimeZone;
using testing::Utc;

int64_t WallAt(int64_t seconds) { return seconds + LocalTime(seconds).tm_gmtoff; }

TEST(LocalCalendarTest, WallSecondsCountsDaysAsTimegmDoes) {
  for (int year : {1, 4, 100, 400, 1600, 1899, 1900, 1969, 1970, 2000, 2023, 2024, 2100, 9999}) {
    for (int month = 1; month <= 12; ++month) {
      EXPECT_EQ(WallSeconds(year, month, 1), Utc(year, month, 1)) << year << "-" << month;
      EXPECT_EQ(WallSeconds(year, month, 31), Utc(year, month, 31)) << year << "-" << month;
      EXPECT_EQ(WallSeconds(year, month, -400), Utc(year, month, -400)) << year << "-" << month;
    }
  }
}

TEST(LocalCalendarTest, MonthsHaveTheirDays) {
  for (int year : {1900, 2000, 2023, 2024}) {
    for (int month = 1; month <= 12; ++month) {
      const int64_t next = month == 12 ? Utc(year + 1, 1, 1) : Utc(year, month + 1, 1);
      EXPECT_EQ(DaysInMonth(year, month), (next - Utc(year, month, 1)) / 86400);
    }
  }
}

TEST(LocalCalendarTest, EveryMomentIsAmongThoseOfItsOwnWallTime) {
  std::mt19937_64 random(20261120);
  for (const char* zone : kZones) {
    const ScopedTimeZone scoped(zone);
    for (int i = 0; i < 20000; ++i) {
      const int64_t moment =
          Utc(1990, 1, 1) + static_cast<int64_t>(random() % (40 * 365 * 86400ull));
      const WallMoments moments = MomentsOfWall(WallAt(moment));
      ASSERT_TRUE(moments.exists) << zone << " " << moment;
      ASSERT_LE(moments.first, moments.last);
      ASSERT_TRUE(moments.first == moment || moments.last == moment) << zone << " " << moment;
      ASSERT_EQ(WallAt(moments.first), WallAt(moments.last));
    }
  }
}

TEST(LocalCalendarTest, ATimeShownTwiceHasTwoMoments) {
  const ScopedTimeZone scoped("Europe/Berlin");
  const WallMoments moments = MomentsOfWall(WallSeconds(2026, 10, 25) + 2 * 3600 + 30 * 60);
  EXPECT_TRUE(moments.exists);
  EXPECT_EQ(moments.first, Utc(2026, 10, 25, 0, 30));
  EXPECT_EQ(moments.last, Utc(2026, 10, 25, 1, 30));
}

TEST(LocalCalendarTest, ASkippedTimeGivesTheMomentOfTheChange) {
  const ScopedTimeZone scoped("Europe/Berlin");
  for (int minute : {0, 1, 30, 59}) {
    const WallMoments moments = MomentsOfWall(WallSeconds(2026, 3, 29) + 2 * 3600 + minute * 60);
    EXPECT_FALSE(moments.exists) << minute;
    EXPECT_EQ(moments.first, Utc(2026, 3, 29, 1)) << minute;
    EXPECT_EQ(moments.last, Utc(2026, 3, 29, 1)) << minute;
  }
}

TEST(LocalCalendarTest, ASkippedDayGivesTheMomentOfTheChange) {
  const ScopedTimeZone scoped("Pacific/Apia");
  for (int hour : {0, 12, 23}) {
    const WallMoments moments = MomentsOfWall(WallSeconds(2011, 12, 30) + hour * 3600);
    EXPECT_FALSE(moments.exists) << hour;
    EXPECT_EQ(moments.first, Utc(2011, 12, 30, 10)) << hour;
  }
}

TEST(LocalCalendarTest, AbsurdMomentsAreTakenForTheNearestSaneOne) {
  const ScopedTimeZone scoped("UTC");
  EXPECT_EQ(LocalTime(INT64_MAX).tm_year, 9999 - 1900);
  EXPECT_EQ(LocalTime(INT64_MIN).tm_year, 1 - 1900);
}

}  // namespace
}  // namespace cairn
