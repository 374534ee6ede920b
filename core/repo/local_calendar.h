// SPDX-License-Identifier: Apache-2.0
// Between moments and what a wall clock of the local time zone (TZ) shows. mktime is not used:
// where the clock was put back or forward its answer depends on former calls, and here it must not.
//
// All functions are thread-safe as long as nobody changes TZ.
#pragma once

#include <cstdint>
#include <ctime>

#include "core/base/clock.h"

namespace cairn {

// Moments outside years 1 to 9999 are taken for the nearest one inside.
inline constexpr int64_t kMinSeconds = -62135510400;  // 0001-01-02 00:00 UTC
inline constexpr int64_t kMaxSeconds = 253402214400;  // 9999-12-31 00:00 UTC

inline constexpr int64_t kDaySeconds = 86400;

// What the local wall clock shows at `seconds` since 1970 UTC.
std::tm LocalTime(int64_t seconds);

// Month 1 to 12.
int DaysInMonth(int64_t year, int64_t month);

// Seconds from 1970-01-01 00:00 to midnight of the date, both on the same wall clock (proleptic
// Gregorian). REQUIRES: month 1 to 12; `day` may lie outside the month.
int64_t WallSeconds(int64_t year, int64_t month, int64_t day);

// The moments at which the local wall clock shows one time.
struct WallMoments {
  bool exists = true;  // false: skipped when the clock was put forward
  int64_t first = 0;  // several where the clock was put back; the first moment after a skipped time
  int64_t last = 0;
};

// `wall` as WallSeconds counts. Finds what lies around one change of the zone's offset; of two
// changes within two days one may be missed.
WallMoments MomentsOfWall(int64_t wall);

}  // namespace cairn
