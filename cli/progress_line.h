// SPDX-License-Identifier: Apache-2.0
// Progress that shows itself: a live line on a terminal, `status` lines with --json.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "cli/output.h"
#include "core/base/unique_fd.h"

namespace cairn {

enum class ProgressMode { kAuto, kAlways, kNever };

// What there is to say at a moment. Totals of 0 are not known.
struct ProgressState {
  std::string phase;  // "reading"; may be empty
  uint64_t items_done = 0;
  uint64_t items_total = 0;
  std::string item = "file";  // empty: nothing is counted
  uint64_t bytes_done = 0;    // counts towards bytes_total
  uint64_t bytes_total = 0;
  uint64_t rate_bytes = 0;  // what the rate is measured by
  uint64_t errors = 0;
};

// Asks `poll` from a thread of its own, about five times a second (once with --json), until it is
// destroyed. The line is removed then.
class ProgressLine {
 public:
  // `output` must outlive it. `poll` must be thread-safe.
  ProgressLine(Output& output, ProgressMode mode, std::function<ProgressState()> poll);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

 private:
  class Meter;

  void Run();
  void Show(Meter& meter);

  Output& output_;
  const std::function<ProgressState()> poll_;
  const bool to_terminal_;
  const bool always_;
  UniqueFd stop_;  // an eventfd
  std::thread thread_;
};

// "reading  12 files, 3.4 MiB of 10.0 MiB (34%)  5.0 MiB/s  ETA 0:12  1 error"
std::string FormatProgress(const ProgressState& state, double seconds, double bytes_per_second);
// The `status` message.
Json JsonOfProgress(const ProgressState& state, double seconds, double bytes_per_second);

}  // namespace cairn
