// SPDX-License-Identifier: Apache-2.0
// Each disk that a power cut can leave.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "core/base/blake3.h"
#include "core/base/memory_file_system.h"

namespace cairn::testing {

// Goes through all sequences of choices, as an odometer does; what is to be chosen may depend on
// what was chosen before.
class Odometer {
 public:
  size_t Choose(size_t count) {
    if (position_ == digits_.size()) digits_.push_back({0, count});
    return digits_[position_++].value;
  }
  // False after the last one.
  bool Next() {
    position_ = 0;
    while (!digits_.empty() && ++digits_.back().value == digits_.back().count) digits_.pop_back();
    return !digits_.empty();
  }

 private:
  struct Digit {
    size_t value;
    size_t count;
  };
  std::vector<Digit> digits_;
  size_t position_ = 0;
};

inline Hash256 HashOfDisk(MemoryFileSystem& disk) {
  Blake3 hash;
  for (const std::string& path : disk.AllPaths()) {
    hash.Update(AsBytes(path + '\0'));
    const StatusOr<Bytes> bytes = ReadWholeFile(disk, path, kGiB);
    if (bytes.ok()) hash.Update(Blake3Hash(*bytes));
  }
  return hash.Finish();
}

// Of a cut after operation `n`. Where all states are gone through, what was done before operation
// `begin` has settled, as there would be too many.
inline CrashChoices CrashChoicesOf(CrashPolicy policy, size_t n, size_t begin) {
  return {.policy = policy, .seed = n, .settled = policy == CrashPolicy::kChosen ? begin : 0};
}

// Calls `verify` with the disk that a cut after `operations` leaves by `choices`: with kChosen
// (whose `choose` is set here) with each of all disks that it can leave, once, until a test fails.
// Returns how many that were.
template <typename Verify>
size_t ForEachCrash(const MemoryFileSystem& fs, size_t operations, CrashChoices choices,
                    const Verify& verify) {
  if (choices.policy != CrashPolicy::kChosen) {
    verify(*fs.CrashedAt(operations, choices));
    return 1;
  }
  Odometer odometer;
  choices.choose = [&](size_t count) { return odometer.Choose(count); };
  std::set<Hash256> seen;
  do {
    const auto disk = fs.CrashedAt(operations, choices);
    if (!seen.insert(HashOfDisk(*disk)).second) continue;
    SCOPED_TRACE("state " + std::to_string(seen.size()));
    verify(*disk);
  } while (odometer.Next() && !::testing::Test::HasFailure());
  return seen.size();
}

}  // namespace cairn::testing
