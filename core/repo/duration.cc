// SPDX-License-Identifier: Apache-2.0
#include "core/repo/duration.h"

#include <algorithm>
#include <span>
#include <vector>

#include "core/repo/local_calendar.h"

namespace cairn {
namespace {

constexpr int64_t kMaxNumber = 1'000'000;

struct Unit {
  std::string_view name;
  int64_t CalendarDuration::*amount;
};

constexpr Unit kCalendarUnits[] = {
    {"y", &CalendarDuration::years},   {"m", &CalendarDuration::months},
    {"w", &CalendarDuration::weeks},   {"d", &CalendarDuration::days},
    {"h", &CalendarDuration::hours},   {"min", &CalendarDuration::minutes},
    {"s", &CalendarDuration::seconds},
};
// Nobody lets a program run for months.
constexpr Unit kRunTimeUnits[] = {
    {"h", &CalendarDuration::hours},
    {"m", &CalendarDuration::minutes},
    {"min", &CalendarDuration::minutes},
    {"s", &CalendarDuration::seconds},
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Cuts the leading run of characters of which `is_wanted` holds off `rest`.
template <typename Predicate>
std::string_view TakeWhile(std::string_view& rest, Predicate is_wanted) {
  const auto end = std::find_if_not(rest.begin(), rest.end(), is_wanted);
  const std::string_view taken = rest.substr(0, static_cast<size_t>(end - rest.begin()));
  rest.remove_prefix(taken.size());
  return taken;
}

// `how` says what would be right.
StatusOr<CalendarDuration> ParseUnits(std::string_view text, std::span<const Unit> units,
                                      std::string_view how) {
  const auto refuse = [&](std::string_view why) {
    std::string message = "'";
    message.append(text).append("' is not a duration (").append(why);
    return InvalidArgument(message.append("): write numbers with units, such as ").append(how));
  };
  CalendarDuration duration;
  std::vector<int64_t CalendarDuration::*> seen;
  std::string_view rest = text;
  if (rest.empty()) return refuse("it is empty");
  while (!rest.empty()) {
    const std::string_view digits = TakeWhile(rest, IsDigit);
    if (digits.empty()) return refuse("a number is missing");
    int64_t number = 0;
    for (char digit : digits) {
      number = number * 10 + (digit - '0');
      if (number > kMaxNumber) return refuse("a number is over a million");
    }
    const std::string_view name = TakeWhile(rest, [](char c) { return !IsDigit(c); });
    const auto unit = std::ranges::find(units, name, &Unit::name);
    if (unit == units.end()) {
      return refuse(name.empty() ? "a unit is missing" : "a unit is unknown");
    }
    if (std::ranges::find(seen, unit->amount) != seen.end()) return refuse("a unit stands twice");
    seen.push_back(unit->amount);
    duration.*unit->amount = number;
  }
  return duration;
}

}  // namespace

StatusOr<CalendarDuration> ParseDuration(std::string_view text) {
  return ParseUnits(
      text, kCalendarUnits,
      "30d, 2y5m7d3h or 90min; the units are y, m (months), w, d, h, min (minutes), s");
}

StatusOr<int64_t> ParseRunTime(std::string_view text) {
  ASSIGN_OR_RETURN(
      const CalendarDuration time,
      ParseUnits(text, kRunTimeUnits, "10m or 1h30m; the units are h, m or min (minutes), s"));
  return (time.hours * 60 + time.minutes) * 60 + time.seconds;
}

std::string FormatDuration(const CalendarDuration& duration) {
  std::string text;
  for (const Unit& unit : kCalendarUnits) {
    const int64_t amount = duration.*unit.amount;
    if (amount != 0) text.append(std::to_string(amount)).append(unit.name);
  }
  return text.empty() ? "0s" : text;
}

Timestamp SubtractDuration(const Timestamp& time, const CalendarDuration& duration) {
  static constexpr Timestamp kEarliest = {kMinSeconds, 0};
  int64_t seconds = std::clamp(time.seconds, kMinSeconds, kMaxSeconds);
  const int64_t months = duration.years * 12 + duration.months;
  const int64_t days = duration.weeks * 7 + duration.days;
  if (months != 0 || days != 0) {
    const std::tm local = LocalTime(seconds);
    const int64_t month_number = (local.tm_year + int64_t{1900}) * 12 + local.tm_mon - months;
    if (month_number < 12) return kEarliest;
    const int64_t year = month_number / 12;
    const int64_t month = month_number % 12 + 1;
    const int day = std::min(local.tm_mday, DaysInMonth(year, month));
    const int64_t second_of_day = (local.tm_hour * 60 + local.tm_min) * 60 + local.tm_sec;
    seconds = MomentsOfWall(WallSeconds(year, month, day - days) + second_of_day).first;
  }
  seconds -= (duration.hours * 60 + duration.minutes) * 60 + duration.seconds;
  return seconds < kMinSeconds ? kEarliest : Timestamp{seconds, time.nanoseconds};
}

}  // namespace cairn
