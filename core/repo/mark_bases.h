// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/base/stop.h"
#include "core/repo/mark_table.h"

namespace cairn {

// ReachableBlobs::MarkBases, for its table.
Status MarkBasesIn(MarkTable& table, const std::vector<PackName>& packs, const StopFlag* stop);

}  // namespace cairn
