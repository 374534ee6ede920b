// SPDX-License-Identifier: Apache-2.0
// A snapshot in brief: what lists, selectors and keep rules look at.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/status.h"

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

// Where snapshots are found without all of them being looked at.
class SnapshotFinder {
 public:
  virtual ~SnapshotFinder() = default;

  // Visitors return false to stop. Those of `latest` and before, the newest first; those from
  // `first` on, in the order of ids.
  using Visitor = absl::FunctionRef<bool(const SnapshotInfo&)>;
  virtual Status ForEachSnapshotBefore(const Timestamp& latest, Visitor visit) = 0;
  virtual Status ForEachSnapshotFrom(const SnapshotId& first, Visitor visit) = 0;
};
inline constexpr Timestamp kEndOfTime = {std::numeric_limits<int64_t>::max(), 999'999'999};

}  // namespace cairn
