// SPDX-License-Identifier: Apache-2.0
#include "core/repo/time_spec.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/repo/scoped_time_zone.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::IsOkAndHolds;
using testing::kZones;
using testing::ScopedTimeZone;
using testing::StatusIs;
using testing::Utc;

constexpr uint32_t kLastNanosecond = 999'999'999;
const Timestamp kNow = {Utc(2026, 11, 20, 13, 30, 5), 123};  // 14:30:05 in Berlin

StatusOr<Timestamp> ParseTime(std::string_view text) { return ParseTimeSpec(text, kNow); }

TEST(TimeSpecTest, TimesAreLocal) {
  const ScopedTimeZone scoped("Europe/Berlin");
  EXPECT_THAT(ParseTime("2026-11-20T14:30"), IsOkAndHolds(Timestamp{Utc(2026, 11, 20, 13, 30), 0}));
  EXPECT_THAT(ParseTime("2026-11-20 14:30"), IsOkAndHolds(Timestamp{Utc(2026, 11, 20, 13, 30), 0}));
  EXPECT_THAT(ParseTime("2026-07-20T14:30:05"),
              IsOkAndHolds(Timestamp{Utc(2026, 7, 20, 12, 30, 5), 0}));
}

TEST(TimeSpecTest, ReadsFractions) {
  const ScopedTimeZone scoped("UTC");
  const int64_t second = Utc(2026, 11, 20, 14, 30, 5);
  EXPECT_THAT(ParseTime("2026-11-20T14:30:05.25"), IsOkAndHolds(Timestamp{second, 250'000'000}));
  EXPECT_THAT(ParseTime("2026-11-20T14:30:05.000000001"), IsOkAndHolds(Timestamp{second, 1}));
}

TEST(TimeSpecTest, AZoneOverridesTheLocalOne) {
  const ScopedTimeZone scoped("Europe/Berlin");
  EXPECT_THAT(ParseTime("2026-11-20T14:30Z"),
              IsOkAndHolds(Timestamp{Utc(2026, 11, 20, 14, 30), 0}));
  for (const char* text : {"2026-11-20T14:30+05:30", "2026-11-20 14:30:00+0530"}) {
    EXPECT_THAT(ParseTime(text), IsOkAndHolds(Timestamp{Utc(2026, 11, 20, 9), 0})) << text;
  }
  EXPECT_THAT(ParseTime("2026-11-20T14:30-03"),
              IsOkAndHolds(Timestamp{Utc(2026, 11, 20, 17, 30), 0}));
}

TEST(TimeSpecTest, ReadsWhatTheProgramPrints) {
  std::mt19937_64 random(3);
  for (const char* zone : kZones) {
    const ScopedTimeZone scoped(zone);
    for (int i = 0; i < 2000; ++i) {
      const Timestamp time = {
          Utc(2000, 1, 1) + static_cast<int64_t>(random() % (60 * 365 * 86400ull)),
          static_cast<uint32_t>(random() % 1'000'000'000)};
      ASSERT_THAT(ParseTime(FormatRfc3339(time)), IsOkAndHolds(time)) << zone;
      const StatusOr<Timestamp> for_people = ParseAsOfTime(FormatForPeople(time), kNow);
      ASSERT_OK(for_people);
      ASSERT_GE(*for_people, time) << zone << " " << FormatForPeople(time);
      ASSERT_EQ(FormatForPeople(*for_people), FormatForPeople(time));
    }
  }
}

TEST(TimeSpecTest, ADayMeansItsLastNanosecond) {
  const ScopedTimeZone scoped("Europe/Berlin");
  EXPECT_THAT(ParseTime("2026-11-20"),
              IsOkAndHolds(Timestamp{Utc(2026, 11, 20, 22, 59, 59), kLastNanosecond}));
  EXPECT_THAT(ParseTime("2026-10-25"),  // 25 hours long
              IsOkAndHolds(Timestamp{Utc(2026, 10, 25, 22, 59, 59), kLastNanosecond}));
  EXPECT_THAT(ParseTime("2024-02-29"),
              IsOkAndHolds(Timestamp{Utc(2024, 2, 29, 22, 59, 59), kLastNanosecond}));
}

TEST(TimeSpecTest, ADayEndsWhereTheLocalDateLastShowsIt) {
  for (const char* zone : kZones) {
    const ScopedTimeZone scoped(zone);
    for (int64_t noon = Utc(2010, 9, 1, 12); noon < Utc(2012, 4, 1); noon += 86400) {
      const std::string date = FormatForPeople({noon, 0}).substr(0, 10);
      const StatusOr<Timestamp> end = ParseTime(date);
      ASSERT_OK(end);
      ASSERT_EQ(FormatForPeople(*end).substr(0, 10), date) << zone;
      // Whatever comes after shows a later date, though the clock be put back over midnight.
      for (int64_t later = end->seconds + 1; later < end->seconds + 7200; later += 60) {
        ASSERT_GT(FormatForPeople({later, 0}).substr(0, 10), date) << zone;
      }
    }
  }
}

TEST(TimeSpecTest, ADayThatNeverWasEndsWithTheDayBefore) {
  const ScopedTimeZone scoped("Pacific/Apia");
  EXPECT_THAT(ParseTime("2011-12-30"),
              IsOkAndHolds(Timestamp{Utc(2011, 12, 30, 9, 59, 59), kLastNanosecond}));
  EXPECT_THAT(ParseTime("2011-12-29"),
              IsOkAndHolds(Timestamp{Utc(2011, 12, 30, 9, 59, 59), kLastNanosecond}));
}

TEST(TimeSpecTest, ATimeShownTwiceMeansTheSecond) {
  const ScopedTimeZone scoped("Europe/Berlin");
  EXPECT_THAT(ParseTime("2026-10-25T02:30"), IsOkAndHolds(Timestamp{Utc(2026, 10, 25, 1, 30), 0}));
}

TEST(TimeSpecTest, ASkippedTimeMeansTheMomentBeforeTheChange) {
  const ScopedTimeZone scoped("Europe/Berlin");
  const Timestamp before = {Utc(2026, 3, 29, 0, 59, 59), kLastNanosecond};
  EXPECT_THAT(ParseTime("2026-03-29T02:00"), IsOkAndHolds(before));
  EXPECT_THAT(ParseTime("2026-03-29T02:30"), IsOkAndHolds(before));
  EXPECT_THAT(ParseTime("2026-03-29T03:00"), IsOkAndHolds(Timestamp{Utc(2026, 3, 29, 1), 0}));
}

TEST(TimeSpecTest, RelativeTimesCountFromNow) {
  const ScopedTimeZone scoped("Europe/Berlin");
  EXPECT_THAT(ParseTime("now"), IsOkAndHolds(kNow));
  EXPECT_THAT(ParseTime("-90min"), IsOkAndHolds(Timestamp{Utc(2026, 11, 20, 12, 0, 5), 123}));
  EXPECT_THAT(ParseTime("-1h30min"), IsOkAndHolds(Timestamp{Utc(2026, 11, 20, 12, 0, 5), 123}));
  EXPECT_THAT(ParseTime("-2d"), IsOkAndHolds(Timestamp{Utc(2026, 11, 18, 13, 30, 5), 123}));
  EXPECT_THAT(ParseTime("-1m"), IsOkAndHolds(Timestamp{Utc(2026, 10, 20, 12, 30, 5), 123}));
}

TEST(TimeSpecTest, TodayAndYesterdayAreLocalDays) {
  const ScopedTimeZone scoped("Europe/Berlin");
  EXPECT_THAT(ParseTime("today"),
              IsOkAndHolds(Timestamp{Utc(2026, 11, 20, 22, 59, 59), kLastNanosecond}));
  EXPECT_THAT(ParseTime("yesterday"),
              IsOkAndHolds(Timestamp{Utc(2026, 11, 19, 22, 59, 59), kLastNanosecond}));
  const Timestamp after_midnight = {Utc(2026, 12, 31, 23, 30), 0};  // 00:30 on 1 January in Berlin
  EXPECT_THAT(ParseTimeSpec("yesterday", after_midnight),
              IsOkAndHolds(Timestamp{Utc(2026, 12, 31, 22, 59, 59), kLastNanosecond}));
}

TEST(TimeSpecTest, AsOfReachesToTheEndOfASecondWithoutFraction) {
  const ScopedTimeZone scoped("UTC");
  const int64_t second = Utc(2026, 11, 20, 14, 30, 5);
  EXPECT_THAT(ParseAsOfTime("2026-11-20T14:30:05", kNow),
              IsOkAndHolds(Timestamp{second, kLastNanosecond}));
  EXPECT_THAT(ParseAsOfTime("2026-11-20T14:30:05Z", kNow),
              IsOkAndHolds(Timestamp{second, kLastNanosecond}));
  EXPECT_THAT(ParseAsOfTime("2026-11-20T14:30", kNow),
              IsOkAndHolds(Timestamp{second - 5, kLastNanosecond}));
  EXPECT_THAT(ParseAsOfTime("2026-11-20T14:30:05.0", kNow), IsOkAndHolds(Timestamp{second, 0}));
  EXPECT_THAT(ParseAsOfTime("-1s", kNow), IsOkAndHolds(Timestamp{kNow.seconds - 1, 123}));
  EXPECT_THAT(ParseAsOfTime("now", kNow), IsOkAndHolds(kNow));
}

TEST(TimeSpecTest, RefusesWhatIsNoTimeAndSaysWhatIs) {
  const ScopedTimeZone scoped("UTC");
  for (const char* text : {"",
                           "tomorrow",
                           "2026",
                           "2026-11",
                           "2026-13-01",
                           "2026-00-01",
                           "2026-02-29",
                           "2026-04-31",
                           "2026-11-00",
                           "26-11-20",
                           "0000-01-01",
                           "2026-11-20T",
                           "2026-11-20T24:00",
                           "2026-11-20T14",
                           "2026-11-20T14:60",
                           "2026-11-20T14:30:60",
                           "2026-11-20T14:30:05.",
                           "2026-11-20T14:30:05.1234567890",
                           "2026-11-20x14:30",
                           "2026-11-20Z",
                           "2026-11-20T14:30z",
                           "2026-11-20T14:30+",
                           "2026-11-20T14:30+1",
                           "2026-11-20T14:30+01:",
                           "2026-11-20T14:30+24:00",
                           "2026-11-20T14:30Z ",
                           " 2026-11-20",
                           "2026-11-20T14:30:",
                           "14:30",
                           "2026-1-2"}) {
    EXPECT_THAT(ParseTime(text),
                StatusIs(StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("is not a time"), HasSubstr("yesterday"))))
        << text;
  }
  EXPECT_THAT(ParseTime("-90"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("unit is missing")));
  EXPECT_THAT(ParseTime("--2d"), StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace cairn
