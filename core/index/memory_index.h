// SPDX-License-Identifier: Apache-2.0
// The index in memory: for tests, and for a run that can use no other.
#pragma once

#include <memory>

#include "core/index/index.h"

namespace cairn {

// Empty at first. Readers keep the state of when they were made; a commit copies the state if
// any of them lives, else it costs what changed. Calls never fail but for invalid arguments.
std::unique_ptr<Index> NewMemoryIndex();

}  // namespace cairn
