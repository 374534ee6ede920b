// SPDX-License-Identifier: Apache-2.0
// Waiting for a lock whose holder may have been stopped for hours.
#pragma once

#include <chrono>
#include <cstdint>

namespace cairn {

// For the holder of a lock of the index. What is done under it takes well below a second, but for
// copies of a large index, and who gives up too early only works for nothing.
constexpr std::chrono::milliseconds kPatience = std::chrono::seconds(30);

// Counts how long a lock has been tried in vain while nothing moved. For one wait of one thread.
class Patience {
 public:
  explicit Patience(std::chrono::milliseconds limit) : limit_(limit) {}

  // Sleeps a moment, after which the lock should be tried again; false, at once, if `step` has been
  // the same for as long as the limit. `step` is what changes while the holder gets on.
  bool Sleep(uint64_t step);

 private:
  using Clock = std::chrono::steady_clock;

  const std::chrono::milliseconds limit_;
  uint64_t step_ = 0;
  Clock::time_point gives_up_;  // unless another step comes
  std::chrono::microseconds moment_{0};
};

}  // namespace cairn
