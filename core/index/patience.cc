// SPDX-License-Identifier: Apache-2.0
#include "core/index/patience.h"

#include <algorithm>
#include <thread>

namespace cairn {

bool Patience::Sleep(uint64_t step) {
  constexpr std::chrono::microseconds kFirstMoment{100};
  constexpr std::chrono::microseconds kLongestMoment{5000};
  const Clock::time_point now = Clock::now();
  if (moment_.count() == 0 || step != step_) {
    step_ = step;
    gives_up_ = now + limit_;
  }
  if (now >= gives_up_) return false;
  moment_ = std::clamp(2 * moment_, kFirstMoment, kLongestMoment);
  std::this_thread::sleep_for(moment_);
  return true;
}

}  // namespace cairn
