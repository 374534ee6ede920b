// SPDX-License-Identifier: Apache-2.0
// A request to stop, as a signal handler makes it and long work looks at it.
#pragma once

#include <atomic>

#include "core/base/status.h"

namespace cairn {

// Thread-safe; Request may be called from a signal handler. Once requested it stays so.
class StopFlag {
 public:
  void Request() { requested_.store(true, std::memory_order_relaxed); }
  bool requested() const { return requested_.load(std::memory_order_relaxed); }

 private:
  static_assert(std::atomic<bool>::is_always_lock_free);
  std::atomic<bool> requested_ = false;
};

// CANCELLED once a stop is requested. Where nothing can request one, `stop` is null.
inline Status CheckStop(const StopFlag* stop) {
  return stop != nullptr && stop->requested() ? Cancelled("interrupted") : OkStatus();
}

}  // namespace cairn
