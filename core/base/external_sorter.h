// SPDX-License-Identifier: Apache-2.0
// Sorts more byte strings than fit in memory: sorted runs in temporary files, merged by a heap
// (Knuth, The Art of Computer Programming, vol. 3, section 5.4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace cairn {

// Add all records, then Finish, then Next until it says false. Ascending as bytes, a prefix before
// what it begins; duplicates are kept. No file is made while the records fit in memory. The files
// have no names, so nothing is left behind however the process ends. After an error the sorter is
// of no use. Thread-compatible.
class ExternalSorter {
 public:
  struct Options {
    // About what it uses at most, plus the longest record a few times.
    size_t memory_bytes = 32 * kMiB;
    // Empty: $TMPDIR, or /var/tmp, since /tmp often lies in memory.
    std::string temp_directory = "";
    // So many runs are merged at once; each costs a file descriptor and a part of the memory.
    size_t max_fan_in = 64;
  };

  explicit ExternalSorter(const Options& options);
  ~ExternalSorter();

  // REQUIRES: record.size() < 2^32, and Finish was not called.
  Status Add(ByteSpan record);
  Status Finish();
  // Fills `record` and returns true, or returns false after the last one.
  StatusOr<bool> Next(Bytes* record);

 private:
  class RunReader;
  class RunWriter;
  class Merger;

  StatusOr<UniqueFd> CreateTempFile() const;
  // Sorts what is in memory.
  void SortBuffered();
  // Makes a run of what is in memory.
  Status Spill();
  StatusOr<UniqueFd> Merge(std::vector<UniqueFd> runs) const;
  size_t BufferBytes(size_t buffers) const;

  const Options options_;
  const std::string temp_directory_;

  // Records in memory: views into blocks, which never move.
  std::vector<ByteSpan> records_;
  std::vector<std::unique_ptr<uint8_t[]>> blocks_;
  size_t block_size_ = 0;  // of the last block, and how much of it is used
  size_t block_used_ = 0;
  size_t block_bytes_ = 0;  // of all blocks

  // levels_[k] are runs that were merged k times. At most max_fan_in - 1 each.
  std::vector<std::vector<UniqueFd>> levels_;

  bool finished_ = false;
  size_t next_record_ = 0;          // if nothing was spilled
  std::unique_ptr<Merger> merger_;  // if something was
};

}  // namespace cairn
