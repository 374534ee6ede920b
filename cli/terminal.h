// SPDX-License-Identifier: Apache-2.0
// Questions to the user.
#pragma once

#include "core/base/status.h"
#include "core/base/stop.h"

namespace cairn {

// Until `descriptor` has something to read, or its end. CANCELLED if the program is stopped first.
Status WaitForInput(int descriptor, const StopFlag& stop);

}  // namespace cairn
