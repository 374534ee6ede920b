// SPDX-License-Identifier: Apache-2.0
#include "core/base/clock.h"

#include <ctime>

#include "absl/strings/str_format.h"

namespace cairn {
namespace {

class KernelClock : public Clock {
 public:
  explicit KernelClock(clockid_t clock) : clock_(clock) {}
  Timestamp Now() const override {
    timespec now{};
    clock_gettime(clock_, &now);
    return {now.tv_sec, static_cast<uint32_t>(now.tv_nsec)};
  }

 private:
  const clockid_t clock_;
};

std::tm LocalTime(const Timestamp& time) {
  const time_t seconds = time.seconds;
  std::tm local{};
  localtime_r(&seconds, &local);
  return local;
}

}  // namespace

const Clock& SystemClock() {
  static const KernelClock clock(CLOCK_REALTIME);
  return clock;
}

const Clock& SteadyClock() {
  static const KernelClock clock(CLOCK_MONOTONIC);
  return clock;
}

std::string FormatRfc3339(const Timestamp& time) {
  const std::tm local = LocalTime(time);
  const long minutes = local.tm_gmtoff / 60;
  const long magnitude = minutes < 0 ? -minutes : minutes;
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%09u%c%02d:%02d", local.tm_year + 1900,
                         local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec,
                         time.nanoseconds, minutes < 0 ? '-' : '+', magnitude / 60, magnitude % 60);
}

std::string FormatForPeople(const Timestamp& time) {
  const std::tm local = LocalTime(time);
  return absl::StrFormat("%04d-%02d-%02d %02d:%02d:%02d", local.tm_year + 1900, local.tm_mon + 1,
                         local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
}

}  // namespace cairn
