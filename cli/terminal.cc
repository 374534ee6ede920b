// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <poll.h>

#include <cerrno>

namespace cairn {
namespace {

constexpr int kLookMillis = 100;  // how soon a stop is noticed

}  // namespace

Status WaitForInput(int descriptor, const StopFlag& stop) {
  while (true) {
    pollfd input{.fd = descriptor, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&input, 1, kLookMillis);
    if (ready < 0 && errno != EINTR) return ErrnoError(errno, "waiting for", "input");
    RETURN_IF_ERROR(CheckStop(&stop));
    if (ready > 0) return OkStatus();
  }
}

}  // namespace cairn
