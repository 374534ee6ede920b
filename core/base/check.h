// SPDX-License-Identifier: Apache-2.0
// CHECK ends the program with a message: for bugs of cairn only, never for input.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace cairn {

[[noreturn]] inline void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "cairn: %s:%d: bug: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace cairn

#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::cairn::CheckFailed(__FILE__, __LINE__, #condition))

#ifdef NDEBUG
#define DCHECK(condition) static_cast<void>(sizeof(!(condition)))
#else
#define DCHECK(condition) CHECK(condition)
#endif
