// SPDX-License-Identifier: Apache-2.0
// One step down a directory that somebody else may be changing.
#pragma once

#include <sys/types.h>

namespace cairn {

// openat of a single part ("." included), never through a symlink and never out of `directory`:
// with openat2 where the kernel and its filters allow that, else with O_NOFOLLOW, which says the
// same of a single part. O_CLOEXEC is added. `mode` counts with O_CREAT and O_TMPFILE only.
// Returns a descriptor, or -1 with errno set. Thread-safe.
int OpenBeneath(int directory, const char* part, int flags, mode_t mode = 0);

}  // namespace cairn
