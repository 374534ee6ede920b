// SPDX-License-Identifier: Apache-2.0
#include "core/repo/local_calendar.h"

#include <algorithm>

namespace cairn {
namespace {

// Seconds east of UTC.
int64_t OffsetAt(int64_t seconds) { return LocalTime(seconds).tm_gmtoff; }

bool IsLeapYear(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

// The first moment in (low, high] whose offset is not that at `low`. REQUIRES: there is one.
int64_t FindChange(int64_t low, int64_t high) {
  const int64_t before = OffsetAt(low);
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (OffsetAt(middle) == before ? low : high) = middle;
  }
  return high;
}

}  // namespace

std::tm LocalTime(int64_t seconds) {
  const time_t clamped = std::clamp(seconds, kMinSeconds, kMaxSeconds);
  std::tm local{};
  localtime_r(&clamped, &local);
  return local;
}

int DaysInMonth(int64_t year, int64_t month) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && IsLeapYear(year) ? 29 : kDays[month - 1];
}

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil: years begin in
// March, so that the leap day is the last one.
int64_t WallSeconds(int64_t year, int64_t month, int64_t day) {
  if (month <= 2) --year;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return (era * 146097 + day_of_era - 719468) * kDaySeconds;
}

// No zone is a day away from UTC, so the offsets a day before and after `wall` read as UTC are
// those on both sides of any change near it.
WallMoments MomentsOfWall(int64_t wall) {
  const int64_t offset_before = OffsetAt(wall - kDaySeconds);
  const int64_t offset_after = OffsetAt(wall + kDaySeconds);
  const int64_t before = wall - offset_before;
  const int64_t after = wall - offset_after;
  const bool shown_before = OffsetAt(before) == offset_before;
  const bool shown_after = OffsetAt(after) == offset_after;
  if (shown_before && shown_after) return {true, before, after};
  if (shown_before) return {true, before, before};
  if (shown_after) return {true, after, after};
  const int64_t change = FindChange(std::min(before, after), std::max(before, after));
  return {false, change, change};
}

}  // namespace cairn
