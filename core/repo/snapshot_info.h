// SPDX-License-Identifier: Apache-2.0
// A snapshot in brief: what lists, selectors and keep rules look at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/ids.h"

namespace cairn {

struct SnapshotInfo {
  SnapshotId id;
  uint64_t record = 0;  // number of the journal record that made it: the order no client can choose
  Timestamp time;       // as the client said (`--time`), so perhaps in the future
  std::string host;
  std::string user;
  std::vector<std::string> paths;  // sources: absolute, raw bytes
  std::vector<std::string> tags;   // as the journal has them now
  bool held = false;
  std::string message;
  BlobId root;
};

// The order of `latest`, `@TIME` and all lists: by time, then by number in the journal.
inline bool IsOlder(const SnapshotInfo& a, const SnapshotInfo& b) {
  return a.time != b.time ? a.time < b.time : a.record < b.record;
}

}  // namespace cairn
