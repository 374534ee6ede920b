// SPDX-License-Identifier: Apache-2.0
#include "core/fs/open.h"

#include <fcntl.h>

namespace cairn {

UniqueFd OpenNoAtime(int directory, const char* name, int flags) {
  const auto open = [&](int more) {
    return UniqueFd(
        RetryOnEintr([&] { return ::openat(directory, name, flags | more | O_CLOEXEC); }));
  };
  UniqueFd fd = open(O_NOATIME);
  if (!fd.valid() && errno == EPERM) fd = open(0);
  return fd;
}

}  // namespace cairn
