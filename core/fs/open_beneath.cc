// SPDX-License-Identifier: Apache-2.0
#include "core/fs/open_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "core/base/unique_fd.h"

namespace cairn {

int OpenBeneath(int directory, const char* part, int flags, mode_t mode) {
  // What RESOLVE_BENEATH refuses, so that the fallback below refuses it too.
  if (std::strchr(part, '/') != nullptr || std::strcmp(part, "..") == 0) {
    errno = EXDEV;
    return -1;
  }
  static std::atomic<bool> missing = false;
  flags |= O_NOFOLLOW | O_CLOEXEC;
  if (!missing.load(std::memory_order_relaxed)) {
    open_how how{};
    how.flags = static_cast<unsigned>(flags);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const int fd = static_cast<int>(
        RetryOnEintr([&] { return ::syscall(SYS_openat2, directory, part, &how, sizeof(how)); }));
    // EPERM may come from a container's filter, or be what openat says as well.
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
    if (errno == ENOSYS) missing.store(true, std::memory_order_relaxed);
  }
  return RetryOnEintr([&] { return ::openat(directory, part, flags, mode); });
}

}  // namespace cairn
