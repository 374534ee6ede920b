// SPDX-License-Identifier: Apache-2.0
// What parity takes beside the packs, for figures.
#pragma once

#include <cstdint>

#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/store/object_store.h"

namespace cairn {

// Size of the pack's parity file; 0 if it has none, be it that it was never placed or is lost.
StatusOr<uint64_t> ParityBytesOf(ObjectStore& store, const PackInfo& pack);

}  // namespace cairn
