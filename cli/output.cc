// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_format.h"
#include "cli/text.h"
#include "core/base/unique_fd.h"

namespace cairn {
namespace {

constexpr size_t kBufferBytes = 64 * kKiB;
constexpr char kPlain[] = "\033[0m";
constexpr char kEraseLine[] = "\r\033[K";

const char* Code(Color color) {
  switch (color) {
    case Color::kRed:
      return "\033[31m";
    case Color::kGreen:
      return "\033[32m";
    case Color::kYellow:
      return "\033[33m";
    case Color::kBlue:
      return "\033[34m";
    case Color::kBold:
      return "\033[1m";
    case Color::kDim:
      return "\033[2m";
  }
  return "";
}

// 0, or the error number.
int WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote =
        RetryOnEintr([&] { return ::write(descriptor, bytes.data(), bytes.size()); });
    if (wrote >= 0) {
      bytes.remove_prefix(static_cast<size_t>(wrote));
    } else if (errno == EAGAIN) {  // whoever shares the pipe set O_NONBLOCK on it
      pollfd waiting{.fd = descriptor, .events = POLLOUT, .revents = 0};
      RetryOnEintr([&] { return ::poll(&waiting, 1, -1); });
    } else {
      return errno;
    }
  }
  return 0;
}

}  // namespace

Output::Output(Settings settings)
    : settings_(settings), results_on_terminal_(::isatty(STDOUT_FILENO) == 1) {}

Output::~Output() { (void)Finish(); }

void Output::Print(std::string_view text) {
  MutexLock lock(mutex_);
  if (results_on_terminal_) HideLive();
  buffer_.append(text);
  if (results_on_terminal_ || buffer_.size() >= kBufferBytes) Flush();
}

void Output::PrintLine(std::string_view text) {
  std::string line(text);
  line.push_back('\n');
  Print(line);
}

void Output::PrintJson(const Json& json) {
  const std::string line = DumpJson(json) + "\n";
  MutexLock lock(mutex_);
  if (results_on_terminal_) HideLive();
  buffer_.append(line);
  Flush();
}

std::string Output::Paint(Color color, std::string_view text) const {
  if (!settings_.color_results || text.empty()) return std::string(text);
  return absl::StrFormat("%s%s%s", Code(color), text, kPlain);
}

void Output::Note(int level, std::string_view message) {
  if (settings_.verbosity >= level) WriteMessage("", Color::kDim, message);
}

void Output::Warn(std::string_view message) {
  WriteMessage("cairn: warning: ", Color::kYellow, message);
}

void Output::Error(std::string_view message) { WriteMessage("cairn: ", Color::kRed, message); }

void Output::WriteMessage(std::string_view prefix, Color color, std::string_view message) {
  std::string line(prefix);
  if (settings_.color_messages && !prefix.empty()) {
    line = absl::StrFormat("%s%s%s", Code(color), prefix, kPlain);
  }
  line.append(EscapeMessage(message)).push_back('\n');
  MutexLock lock(mutex_);
  HideLive();
  // What was printed before stands before it where both go to one place.
  Flush();
  (void)WriteAll(STDERR_FILENO, line);
}

void Output::ShowLive(std::string_view line, bool permanent) {
  MutexLock lock(mutex_);
  if (permanent) {
    (void)WriteAll(STDERR_FILENO, absl::StrFormat("%s\n", line));
    return;
  }
  if (line == live_) return;
  if (line.empty()) {
    HideLive();
    return;
  }
  live_ = line;
  (void)WriteAll(STDERR_FILENO, absl::StrFormat("%s%s", kEraseLine, line));
}

void Output::HideLive() {
  if (live_.empty()) return;
  live_.clear();
  (void)WriteAll(STDERR_FILENO, kEraseLine);
}

void Output::Flush() {
  if (!reader_gone_ && failure_.ok() && !buffer_.empty()) {
    if (const int error = WriteAll(STDOUT_FILENO, buffer_); error == EPIPE) {
      reader_gone_ = true;
    } else if (error != 0) {
      failure_ = ErrnoError(error, "write to", "standard output");
    }
  }
  buffer_.clear();
}

bool Output::reader_gone() const {
  MutexLock lock(mutex_);
  return reader_gone_ || !failure_.ok();
}

Status Output::Finish() {
  MutexLock lock(mutex_);
  HideLive();
  Flush();
  return failure_;
}

}  // namespace cairn
