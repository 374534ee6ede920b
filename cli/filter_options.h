// SPDX-License-Identifier: Apache-2.0
// --host, --tag and --path: which snapshots a command looks at.
#pragma once

#include <string>
#include <vector>

#include "cli/cli11_fwd.h"
#include "core/base/status.h"
#include "core/repo/snapshot_selector.h"

namespace cairn {

class FilterOptions {
 public:
  void Declare(CLI::App& command);
  // Paths are made absolute. The errors are UsageErrors.
  StatusOr<SnapshotFilter> Filter() const;

 private:
  std::vector<std::string> hosts_;
  std::vector<std::string> tags_;
  std::vector<std::string> paths_;
};

// Those that match, in their order.
std::vector<SnapshotInfo> Matching(std::vector<SnapshotInfo> snapshots,
                                   const SnapshotFilter& filter);

}  // namespace cairn
