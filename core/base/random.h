// SPDX-License-Identifier: Apache-2.0
// Unpredictable bytes, for names and nonces.
#pragma once

#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace cairn {

// From the kernel (getrandom). Thread-safe. Cannot fail on a system that has booted.
void FillRandom(MutableByteSpan out);

template <typename Id>
Id RandomId() {
  Id id;
  FillRandom(id.bytes);
  return id;
}

}  // namespace cairn
