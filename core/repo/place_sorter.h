// SPDX-License-Identifier: Apache-2.0
// Sorts places of blobs by the blobs' ids, however many there are.
#pragma once

#include <cstddef>

#include "core/base/bytes.h"
#include "core/base/external_sorter.h"
#include "core/base/status.h"
#include "core/index/index.h"

namespace cairn {

// Add all, then Finish, then Next until it says false: ascending by (id, kind, place), duplicates
// kept. More than `memory_bytes` of them go to temporary files. Thread-compatible.
class PlaceSorter {
 public:
  explicit PlaceSorter(size_t memory_bytes) : sorter_({.memory_bytes = memory_bytes}) {}

  Status Add(const PlacedBlob& placed);
  Status Finish();
  // Fills `placed` and returns true, or returns false after the last one.
  StatusOr<bool> Next(PlacedBlob* placed);

  // Whether a call failed: the sorter is of no use then.
  bool failed() const { return failed_; }

 private:
  ExternalSorter sorter_;
  Bytes record_;
  bool failed_ = false;
};

}  // namespace cairn
