// SPDX-License-Identifier: Apache-2.0
// The TIME of `@TIME` and `--time`.
//
//   2026-11-20T14:30[:05[.123]]   in the local zone; a blank may stand for the T
//   ... followed by Z, +01:00, +0100 or +01   in that zone
//   2026-11-20, today, yesterday  the last nanosecond of that local day
//   -90min, -2d, -1h30min         that much before now (duration.h)
//   now
//
// A local time that the clock shows twice, as it is put back, means the second showing; one that it
// skips means the last nanosecond before the change. So "at or before TIME" holds all that a wall
// clock would call so.
#pragma once

#include <string_view>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace cairn {

// INVALID_ARGUMENT, with the forms listed, for anything else. Years 1 to 9999.
StatusOr<Timestamp> ParseTimeSpec(std::string_view text, const Timestamp& now);

// For "at or before TIME": as ParseTimeSpec, but a time of day without a fraction reaches to the
// end of its second. Listings show whole seconds, and a time copied from one must find the snapshot
// that it stands beside.
StatusOr<Timestamp> ParseAsOfTime(std::string_view text, const Timestamp& now);

}  // namespace cairn
