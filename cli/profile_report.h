// SPDX-License-Identifier: Apache-2.0
// What `--profile` prints.
#pragma once

#include <chrono>
#include <string>

namespace cairn {

// A table of the stages that Profile has counted, of which `wall` has passed, and of what the
// process has used altogether.
std::string ProfileReport(std::chrono::nanoseconds wall);

}  // namespace cairn
