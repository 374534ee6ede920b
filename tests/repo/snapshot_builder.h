// SPDX-License-Identifier: Apache-2.0
// Snapshots in brief, for tests of what chooses among them.
#pragma once

#include <cstdint>

#include "core/repo/snapshot_info.h"

namespace cairn::testing {

// Of host "host" and source /home, with an id that depends on `record` alone.
inline SnapshotInfo MakeSnapshot(uint64_t record, int64_t seconds, uint32_t nanoseconds = 0) {
  SnapshotInfo snapshot;
  for (size_t i = 0; i < 8; ++i) snapshot.id.bytes[i] = static_cast<uint8_t>(record >> (8 * i));
  snapshot.record = record;
  snapshot.time = {seconds, nanoseconds};
  snapshot.host = "host";
  snapshot.paths = {"/home"};
  return snapshot;
}

}  // namespace cairn::testing
