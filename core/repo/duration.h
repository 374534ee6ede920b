// SPDX-License-Identifier: Apache-2.0
// Spans of time as people write them: 2y5m7d3h, 90min, 30d, 1w.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace cairn {

// Years, months, weeks and days go by the local calendar; hours, minutes and seconds have a fixed
// length. None is negative.
struct CalendarDuration {
  int64_t years = 0;
  int64_t months = 0;
  int64_t weeks = 0;
  int64_t days = 0;
  int64_t hours = 0;
  int64_t minutes = 0;
  int64_t seconds = 0;

  bool IsZero() const { return *this == CalendarDuration{}; }
  friend bool operator==(const CalendarDuration&, const CalendarDuration&) = default;
};

// One or more numbers with their units, each unit once, in any order: y, m (months), w, d, h, min
// (minutes), s. INVALID_ARGUMENT for anything else, and for numbers over a million.
StatusOr<CalendarDuration> ParseDuration(std::string_view text);

// The length of a run, in seconds: h, m or min (minutes), s, as in 10m and 1h30m. INVALID_ARGUMENT
// as above.
StatusOr<int64_t> ParseRunTime(std::string_view text);

// Such that ParseDuration gives the same; "0s" for nothing.
std::string FormatDuration(const CalendarDuration& duration);

// The moment `duration` before `time`. Whole months first, ending at the month's last day where it
// is shorter (a month before 31 March is 28 or 29 February); then days, at the same time of the
// local day; then the rest as elapsed time. A time of day that the local clock shows twice means
// its first showing, one that it skips means the moment of the change. Stops at kMinSeconds.
Timestamp SubtractDuration(const Timestamp& time, const CalendarDuration& duration);

}  // namespace cairn
