// SPDX-License-Identifier: Apache-2.0
// A restore of whatever a snapshot says, which is stopped before it takes long.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include "core/repo/repository.h"
#include "core/repo/restore.h"

namespace cairn {

// Shared nodes make trees of any size, and holes make files of any size.
inline constexpr size_t kMaxVisits = 500;

inline void RestoreBounded(Repository& repository, const SnapshotId& snapshot,
                           const std::string& target, bool dry_run) {
  StopFlag stop;
  std::atomic<size_t> seen{0};
  RestoreOptions options;
  options.dry_run = dry_run;
  options.threads = 1;
  options.stop = &stop;
  const auto count = [&] {
    if (++seen > kMaxVisits) stop.Request();
  };
  options.on_entry = [&](const std::string&, RestoreAction) { count(); };
  options.on_problem = [&](const std::string&, const std::string&) { count(); };
  Restore(repository, {.snapshot = snapshot, .path = "", .target = target, .in_place = false},
          options)
      .IgnoreError();
}

}  // namespace cairn
