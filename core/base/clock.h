// SPDX-License-Identifier: Apache-2.0
// Points in time, and the clock as something that tests replace. No rule of safety rests on it.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace cairn {

// Since 1970-01-01 00:00 UTC; times before it have negative seconds. nanoseconds < 1e9, always.
struct Timestamp {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp Now() const = 0;
};

// CLOCK_REALTIME. Lives as long as the program.
const Clock& SystemClock();
// CLOCK_MONOTONIC, for spans of time: it counts from some moment, and nobody sets it.
const Clock& SteadyClock();

// "2026-11-20T14:30:05.000000000+01:00" in the local time zone.
std::string FormatRfc3339(const Timestamp& time);
// "2026-11-20 14:30:05" in the local time zone.
std::string FormatForPeople(const Timestamp& time);

}  // namespace cairn
