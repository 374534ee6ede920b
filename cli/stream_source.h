// SPDX-License-Identifier: Apache-2.0
// A stream to be snapshotted: standard input, or what a command writes.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/base/unique_fd.h"

namespace cairn {

// Passes the bytes on through a pipe of its own, so that a stop ends the stream although the other
// side is silent. Thread-compatible.
class StreamSource {
 public:
  // `stop` must outlive it.
  static StatusOr<std::unique_ptr<StreamSource>> FromStandardInput(const StopFlag& stop);
  // Starts the command, looked up in PATH; it shares standard input and standard error.
  static StatusOr<std::unique_ptr<StreamSource>> FromCommand(
      const std::vector<std::string>& command, const StopFlag& stop);
  // Ends the command if it still runs.
  ~StreamSource();
  StreamSource(const StreamSource&) = delete;
  StreamSource& operator=(const StreamSource&) = delete;

  // To be read to its end.
  int descriptor() const { return reader_.get(); }
  // To be called at the end of the stream. CANCELLED after a stop; FAILED_PRECONDITION if the
  // command failed; UNAVAILABLE if the stream could not be read.
  Status Finish();

 private:
  explicit StreamSource(const StopFlag& stop) : stop_(stop) {}
  Status StartPump(int input);
  void Pump(int input);
  Status PumpOnce(int input, std::vector<char>& buffer, bool* more);
  // Asks the command to end, if it has not.
  void EndCommand();

  const StopFlag& stop_;
  std::string command_;
  pid_t child_ = -1;
  UniqueFd input_;   // of a command
  UniqueFd reader_;  // of the pipe that Pump writes to
  UniqueFd writer_;
  std::thread thread_;
  Status pumped_;  // of Pump; to be looked at once it has been joined
};

}  // namespace cairn
