// SPDX-License-Identifier: Apache-2.0
// The process's local time zone, for the length of a scope. Tests that use it run alone.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>

namespace cairn::testing {

class ScopedTimeZone {
 public:
  explicit ScopedTimeZone(const std::string& name) {
    if (const char* former = std::getenv("TZ")) former_ = former;
    setenv("TZ", name.c_str(), 1);
    tzset();
  }
  ScopedTimeZone(const ScopedTimeZone&) = delete;
  ScopedTimeZone& operator=(const ScopedTimeZone&) = delete;
  ~ScopedTimeZone() {
    if (former_) {
      setenv("TZ", former_->c_str(), 1);
    } else {
      unsetenv("TZ");
    }
    tzset();
  }

 private:
  std::optional<std::string> former_;
};

// Zones whose clocks do all that clocks do: none, an hour on either side of the year, half an hour,
// a minute after midnight into the day before, and a whole day left out (2011-12-30).
inline constexpr const char* kZones[] = {"UTC",
                                         "Europe/Berlin",
                                         "America/New_York",
                                         "Australia/Lord_Howe",
                                         "America/St_Johns",
                                         "America/Sao_Paulo",
                                         "Pacific/Apia"};

// Seconds since 1970 of a date and time in UTC.
inline int64_t Utc(int year, int month, int day, int hour = 0, int minute = 0, int second = 0) {
  std::tm fields{};
  fields.tm_year = year - 1900;
  fields.tm_mon = month - 1;
  fields.tm_mday = day;
  fields.tm_hour = hour;
  fields.tm_min = minute;
  fields.tm_sec = second;
  return timegm(&fields);
}

}  // namespace cairn::testing
