// SPDX-License-Identifier: Apache-2.0
// The file that is given up when a disk is full: forget and prune need room for a record before
// they can make any.
#pragma once

#include <functional>

#include "core/base/bytes.h"
#include "core/base/file_system.h"
#include "core/base/status.h"

namespace cairn {

inline constexpr uint64_t kReserveBytes = 4 * kMiB;

// Makes the reserve if it is not there and leaves room for as much again; where there is no room,
// that is no error.
Status EnsureReserve(FileSystem& fs);
// True if there was one.
StatusOr<bool> GiveUpReserve(FileSystem& fs);

// Calls `work`; if the disk is full and there is a reserve, gives it up and calls it once more.
Status WithReserve(FileSystem& fs, const std::function<Status()>& work);

}  // namespace cairn
