// SPDX-License-Identifier: Apache-2.0
#include "core/repo/duration.h"

#include <gtest/gtest.h>

#include <random>

#include "core/repo/local_calendar.h"
#include "tests/repo/scoped_time_zone.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::HasSubstr;
using testing::IsOkAndHolds;
using testing::kZones;
using testing::ScopedTimeZone;
using testing::StatusIs;
using testing::Utc;

Timestamp Before(int64_t seconds, const char* duration) {
  const StatusOr<CalendarDuration> parsed = ParseDuration(duration);
  EXPECT_OK(parsed) << duration;
  return parsed.ok() ? SubtractDuration({seconds, 5}, *parsed) : Timestamp{};
}

TEST(DurationTest, ReadsNumbersWithUnits) {
  EXPECT_THAT(ParseDuration("2y5m7d3h"),
              IsOkAndHolds(CalendarDuration{.years = 2, .months = 5, .days = 7, .hours = 3}));
  EXPECT_THAT(ParseDuration("90min"), IsOkAndHolds(CalendarDuration{.minutes = 90}));
  EXPECT_THAT(ParseDuration("30d"), IsOkAndHolds(CalendarDuration{.days = 30}));
  EXPECT_THAT(ParseDuration("1w"), IsOkAndHolds(CalendarDuration{.weeks = 1}));
  EXPECT_THAT(ParseDuration("1h30min15s"),
              IsOkAndHolds(CalendarDuration{.hours = 1, .minutes = 30, .seconds = 15}));
}

TEST(DurationTest, MIsMonthsAndMinIsMinutes) {
  EXPECT_THAT(ParseDuration("5m"), IsOkAndHolds(CalendarDuration{.months = 5}));
  EXPECT_THAT(ParseDuration("5min"), IsOkAndHolds(CalendarDuration{.minutes = 5}));
  EXPECT_THAT(ParseDuration("5m6min"), IsOkAndHolds(CalendarDuration{.months = 5, .minutes = 6}));
}

TEST(DurationTest, ARunTimeHasMinutesAndNoMonths) {
  EXPECT_THAT(ParseRunTime("10m"), IsOkAndHolds(600));
  EXPECT_THAT(ParseRunTime("10min"), IsOkAndHolds(600));
  EXPECT_THAT(ParseRunTime("1h30m5s"), IsOkAndHolds(5405));
  EXPECT_THAT(ParseRunTime("0s"), IsOkAndHolds(0));
  for (const char* text : {"", "10", "1d", "1m1min", "m"}) {
    EXPECT_THAT(ParseRunTime(text), StatusIs(StatusCode::kInvalidArgument)) << text;
  }
}

TEST(DurationTest, UnitsMayStandInAnyOrder) {
  EXPECT_THAT(ParseDuration("3h2y"), IsOkAndHolds(CalendarDuration{.years = 2, .hours = 3}));
}

TEST(DurationTest, RefusesWhatIsNoDurationAndSaysWhy) {
  const auto refused = [](const char* text, const char* why) {
    EXPECT_THAT(ParseDuration(text), StatusIs(StatusCode::kInvalidArgument, HasSubstr(why)))
        << text;
  };
  refused("", "empty");
  refused("d", "number is missing");
  refused("-3d", "number is missing");
  refused("1d h", "unit is unknown");
  refused("30", "unit is missing");
  refused("1d30", "unit is missing");
  refused("30x", "unit is unknown");
  refused("1D", "unit is unknown");
  refused("30d ", "unit is unknown");
  refused("1d2d", "stands twice");
  refused("1000001s", "over a million");
  refused("99999999999999999999999y", "over a million");
}

TEST(DurationTest, FormatsWhatParsesToTheSame) {
  EXPECT_EQ(FormatDuration({.years = 2, .months = 5, .weeks = 1, .days = 7, .hours = 3}),
            "2y5m1w7d3h");
  EXPECT_EQ(FormatDuration({.minutes = 90, .seconds = 1}), "90min1s");
  EXPECT_EQ(FormatDuration({}), "0s");
  EXPECT_THAT(ParseDuration("0s"), IsOkAndHolds(CalendarDuration{}));
  std::mt19937 random(7);
  for (int i = 0; i < 1000; ++i) {
    const auto some = [&] {
      return static_cast<int64_t>(random() % 4 == 0 ? random() % 1000001 : 0);
    };
    const CalendarDuration duration = {some(), some(), some(), some(), some(), some(), some()};
    ASSERT_THAT(ParseDuration(FormatDuration(duration)), IsOkAndHolds(duration));
  }
}

TEST(SubtractDurationTest, KeepsNanoseconds) {
  const ScopedTimeZone scoped("UTC");
  EXPECT_EQ(Before(Utc(2026, 11, 20), "1d"), (Timestamp{Utc(2026, 11, 19), 5}));
}

TEST(SubtractDurationTest, MonthsEndAtTheLastDayOfAShorterMonth) {
  const ScopedTimeZone scoped("UTC");
  EXPECT_EQ(Before(Utc(2026, 3, 31, 12), "1m").seconds, Utc(2026, 2, 28, 12));
  EXPECT_EQ(Before(Utc(2024, 3, 31, 12), "1m").seconds, Utc(2024, 2, 29, 12));
  EXPECT_EQ(Before(Utc(2024, 2, 29, 12), "1y").seconds, Utc(2023, 2, 28, 12));
  EXPECT_EQ(Before(Utc(2026, 7, 31), "1m1d").seconds, Utc(2026, 6, 29));
  EXPECT_EQ(Before(Utc(2026, 1, 15), "1m").seconds, Utc(2025, 12, 15));
  EXPECT_EQ(Before(Utc(2026, 12, 15), "12m").seconds, Utc(2025, 12, 15));
  EXPECT_EQ(Before(Utc(2026, 1, 15), "2y5m7d3h").seconds, Utc(2023, 8, 7, 21));
}

TEST(SubtractDurationTest, WeeksAreSevenDays) {
  const ScopedTimeZone scoped("America/New_York");
  EXPECT_EQ(Before(Utc(2026, 3, 20), "2w"), Before(Utc(2026, 3, 20), "14d"));
}

TEST(SubtractDurationTest, DaysKeepTheTimeOfDayAndHoursDoNot) {
  const ScopedTimeZone scoped("Europe/Berlin");
  const int64_t noon_in_summer = Utc(2026, 3, 29, 10);  // 12:00 CEST, on the day of the change
  EXPECT_EQ(Before(noon_in_summer, "1d").seconds, Utc(2026, 3, 28, 11));
  EXPECT_EQ(Before(noon_in_summer, "24h").seconds, Utc(2026, 3, 28, 10));
  EXPECT_EQ(Before(noon_in_summer, "1d24h").seconds, Utc(2026, 3, 27, 11));
}

TEST(SubtractDurationTest, ATimeShownTwiceMeansTheFirst) {
  const ScopedTimeZone scoped("Europe/Berlin");
  EXPECT_EQ(Before(Utc(2026, 10, 26, 1, 30), "1d").seconds, Utc(2026, 10, 25, 0, 30));
}

TEST(SubtractDurationTest, HoursAloneCountFromTheVeryMomentEvenIfItIsShownTwice) {
  const ScopedTimeZone scoped("Europe/Berlin");
  EXPECT_EQ(Before(Utc(2026, 10, 25, 1, 30), "1h").seconds, Utc(2026, 10, 25, 0, 30));
}

TEST(SubtractDurationTest, ASkippedTimeMeansTheChange) {
  const ScopedTimeZone scoped("Europe/Berlin");
  EXPECT_EQ(Before(Utc(2026, 3, 30, 0, 30), "1d").seconds, Utc(2026, 3, 29, 1));
}

TEST(SubtractDurationTest, StopsAtTheFirstYear) {
  const ScopedTimeZone scoped("Europe/Berlin");
  const Timestamp earliest = {kMinSeconds, 0};
  EXPECT_EQ(Before(Utc(2026, 1, 1), "1000000y"), earliest);
  EXPECT_EQ(Before(Utc(2026, 1, 1), "2025y1000000d"), earliest);
  EXPECT_EQ(Before(Utc(2026, 1, 1), "1000000d1000000w"), earliest);
  EXPECT_EQ(Before(INT64_MIN, "1s"), earliest);
  EXPECT_LT(Before(INT64_MAX, "1s").seconds, kMaxSeconds);
}

TEST(SubtractDurationTest, LongerDurationsNeverEndLater) {
  std::mt19937_64 random(11);
  for (const char* zone : kZones) {
    const ScopedTimeZone scoped(zone);
    for (int i = 0; i < 3000; ++i) {
      const Timestamp time = {
          Utc(2005, 1, 1) + static_cast<int64_t>(random() % (20 * 365 * 86400ull)), 0};
      CalendarDuration shorter;
      shorter.months = static_cast<int64_t>(random() % 14);
      shorter.days = static_cast<int64_t>(random() % 40);
      CalendarDuration longer = shorter;
      (random() % 2 == 0 ? longer.days : longer.months) += 1;
      ASSERT_LE(SubtractDuration(time, longer), SubtractDuration(time, shorter))
          << zone << " " << time.seconds << " " << FormatDuration(longer);
      ASSERT_LE(SubtractDuration(time, shorter), time);
    }
  }
}

}  // namespace
}  // namespace cairn
