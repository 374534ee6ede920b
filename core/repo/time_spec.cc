// SPDX-License-Identifier: Apache-2.0
#include "core/repo/time_spec.h"

#include <optional>
#include <string>

#include "core/repo/duration.h"
#include "core/repo/local_calendar.h"

namespace cairn {
namespace {

constexpr uint32_t kLastNanosecond = 999'999'999;

struct ParsedTime {
  Timestamp time;
  bool has_whole_seconds = false;  // a time of day without a fraction
};

// Reads fixed forms from the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool Take(char wanted) {
    if (peek() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool TakeDigit(int* digit) {
    if (peek() < '0' || peek() > '9') return false;
    *digit = peek() - '0';
    rest_.remove_prefix(1);
    return true;
  }
  // Exactly `count` digits, with a value from `min` to `max`.
  bool TakeNumber(int count, int min, int max, int* number) {
    *number = 0;
    for (int i = 0; i < count; ++i) {
      int digit = 0;
      if (!TakeDigit(&digit)) return false;
      *number = *number * 10 + digit;
    }
    return *number >= min && *number <= max;
  }

 private:
  std::string_view rest_;
};

// The last nanosecond of the local day that begins at `midnight` by the wall clock.
Timestamp EndOfDay(int64_t midnight) {
  const WallMoments end = MomentsOfWall(midnight + kDaySeconds - 1);
  return {end.exists ? end.last : end.first - 1, kLastNanosecond};
}

int64_t LocalMidnight(const Timestamp& time) {
  const std::tm local = LocalTime(time.seconds);
  return WallSeconds(local.tm_year + int64_t{1900}, local.tm_mon + 1, local.tm_mday);
}

// "14:30[:05[.123]]", as seconds of the day.
bool ScanTimeOfDay(Scanner& scanner, int64_t* seconds, std::optional<uint32_t>* nanoseconds) {
  int hour = 0;
  int minute = 0;
  int second = 0;
  if (!scanner.TakeNumber(2, 0, 23, &hour) || !scanner.Take(':') ||
      !scanner.TakeNumber(2, 0, 59, &minute)) {
    return false;
  }
  if (scanner.Take(':')) {
    if (!scanner.TakeNumber(2, 0, 59, &second)) return false;
    if (scanner.Take('.')) {
      int digit = 0;
      uint32_t fraction = 0;
      uint32_t scale = 1'000'000'000;
      while (scale > 1 && scanner.TakeDigit(&digit)) {
        scale /= 10;
        fraction += static_cast<uint32_t>(digit) * scale;
      }
      if (scale == 1'000'000'000) return false;
      *nanoseconds = fraction;
    }
  }
  *seconds = (hour * 60 + minute) * 60 + second;
  return true;
}

// "", "Z", "+01:00", "+0100" or "+01", as seconds east of UTC; nothing for "".
bool ScanZone(Scanner& scanner, std::optional<int64_t>* offset) {
  if (scanner.at_end()) return true;
  if (scanner.Take('Z')) {
    *offset = 0;
    return true;
  }
  const bool is_west = scanner.Take('-');
  if (!is_west && !scanner.Take('+')) return false;
  int hours = 0;
  int minutes = 0;
  if (!scanner.TakeNumber(2, 0, 23, &hours)) return false;
  if (!scanner.at_end()) {
    scanner.Take(':');
    if (!scanner.TakeNumber(2, 0, 59, &minutes)) return false;
  }
  const int64_t magnitude = (hours * 60 + minutes) * 60;
  *offset = is_west ? -magnitude : magnitude;
  return true;
}

std::optional<ParsedTime> ParseDate(std::string_view text) {
  Scanner scanner(text);
  int year = 0;
  int month = 0;
  int day = 0;
  if (!scanner.TakeNumber(4, 1, 9999, &year) || !scanner.Take('-') ||
      !scanner.TakeNumber(2, 1, 12, &month) || !scanner.Take('-') ||
      !scanner.TakeNumber(2, 1, DaysInMonth(year, month), &day)) {
    return std::nullopt;
  }
  const int64_t midnight = WallSeconds(year, month, day);
  if (scanner.at_end()) return ParsedTime{EndOfDay(midnight)};

  int64_t second_of_day = 0;
  std::optional<uint32_t> nanoseconds;
  std::optional<int64_t> offset;
  if ((!scanner.Take('T') && !scanner.Take(' ')) ||
      !ScanTimeOfDay(scanner, &second_of_day, &nanoseconds) || !ScanZone(scanner, &offset) ||
      !scanner.at_end()) {
    return std::nullopt;
  }
  const bool has_whole_seconds = !nanoseconds;
  const int64_t wall = midnight + second_of_day;
  if (offset) {
    return ParsedTime{{wall - *offset, nanoseconds.value_or(0)}, has_whole_seconds};
  }
  const WallMoments moments = MomentsOfWall(wall);
  if (!moments.exists) return ParsedTime{{moments.first - 1, kLastNanosecond}};
  return ParsedTime{{moments.last, nanoseconds.value_or(0)}, has_whole_seconds};
}

StatusOr<ParsedTime> Parse(std::string_view text, const Timestamp& now) {
  if (text == "now") return ParsedTime{now};
  if (text == "today") return ParsedTime{EndOfDay(LocalMidnight(now))};
  if (text == "yesterday") return ParsedTime{EndOfDay(LocalMidnight(now) - kDaySeconds)};
  if (!text.empty() && text.front() == '-') {
    ASSIGN_OR_RETURN(const CalendarDuration duration, ParseDuration(text.substr(1)));
    return ParsedTime{SubtractDuration(now, duration)};
  }
  if (const std::optional<ParsedTime> parsed = ParseDate(text)) return *parsed;
  std::string message = "'";
  message.append(text).append(
      "' is not a time: write 2026-11-20, 2026-11-20T14:30 or 2026-11-20T14:30:05 (local, or "
      "followed by Z or +01:00), -90min, -2d, today, yesterday or now");
  return InvalidArgument(message);
}

}  // namespace

StatusOr<Timestamp> ParseTimeSpec(std::string_view text, const Timestamp& now) {
  ASSIGN_OR_RETURN(const ParsedTime parsed, Parse(text, now));
  return parsed.time;
}

StatusOr<Timestamp> ParseAsOfTime(std::string_view text, const Timestamp& now) {
  ASSIGN_OR_RETURN(const ParsedTime parsed, Parse(text, now));
  if (!parsed.has_whole_seconds) return parsed.time;
  return Timestamp{parsed.time.seconds, kLastNanosecond};
}

}  // namespace cairn
