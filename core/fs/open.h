// SPDX-License-Identifier: Apache-2.0
// Opening what is to be read without leaving a trace on it.
#pragma once

#include "core/base/unique_fd.h"

namespace cairn {

// openat with `flags`, O_CLOEXEC and, where the kernel permits it (the owner's own files, or
// CAP_FOWNER), O_NOATIME. On failure the result is not valid and errno says why. Thread-safe.
UniqueFd OpenNoAtime(int directory, const char* name, int flags);

}  // namespace cairn
