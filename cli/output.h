// SPDX-License-Identifier: Apache-2.0
// What the program says: results on standard output, everything else on standard error, and the
// live line of progress that gives way to both.
#pragma once

#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "cli/json.h"
#include "core/base/mutex.h"
#include "core/base/status.h"

namespace cairn {

enum class Color { kRed, kGreen, kYellow, kBlue, kBold, kDim };

// Thread-safe.
class Output {
 public:
  struct Settings {
    bool json = false;
    int verbosity = 0;  // -1: quiet
    bool color_results = false;
    bool color_messages = false;
  };

  explicit Output(Settings settings);
  // Finish should have been called; what is left is written, errors are ignored.
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  const Settings& settings() const { return settings_; }
  bool json() const { return settings_.json; }
  bool quiet() const { return settings_.verbosity < 0; }

  // A result, as it is; buffered, except on a terminal.
  void Print(std::string_view text);
  void PrintLine(std::string_view text);
  // A line of JSON, written at once: whoever reads it is waiting for it.
  void PrintJson(const Json& json);
  // `text` in a colour, if results have colours.
  std::string Paint(Color color, std::string_view text) const;

  // To standard error, escaped. A note is shown at -v (level 1) or -vv (level 2).
  void Note(int level, std::string_view message);
  void Warn(std::string_view message);
  void Error(std::string_view message);

  // Shows `line` as the last line on standard error until the next call; empty removes it.
  // `permanent` writes it as a line of its own, for standard error that is no terminal.
  void ShowLive(std::string_view line, bool permanent);

  // Nobody reads standard output any more: a list may end early. That is no error.
  bool reader_gone() const;

  // Writes what is buffered. UNAVAILABLE or RESOURCE_EXHAUSTED if a result could not be written.
  Status Finish();

 private:
  void WriteMessage(std::string_view prefix, Color color, std::string_view message);
  void HideLive() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Flush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Settings settings_;
  const bool results_on_terminal_;
  mutable Mutex mutex_;
  std::string buffer_ ABSL_GUARDED_BY(mutex_);
  std::string live_ ABSL_GUARDED_BY(mutex_);
  Status failure_ ABSL_GUARDED_BY(mutex_);
  bool reader_gone_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace cairn
