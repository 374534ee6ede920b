// SPDX-License-Identifier: Apache-2.0
#include "cli/progress_line.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "cli/text.h"

namespace cairn {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kTerminalMillis = 200;
constexpr int kLineMillis = 1000;
constexpr double kRateWindowSeconds = 10;

size_t TerminalColumns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

// Seconds until all is done; nothing while a guess would be a wild one.
std::optional<double> Remaining(const ProgressState& state, double seconds) {
  if (state.bytes_total == 0 || state.bytes_done == 0 || state.bytes_done >= state.bytes_total ||
      seconds < 2) {
    return std::nullopt;
  }
  const double share =
      static_cast<double>(state.bytes_done) / static_cast<double>(state.bytes_total);
  return share < 0.01 ? std::nullopt : std::optional(seconds * (1 - share) / share);
}

std::optional<double> ShareDone(const ProgressState& state) {
  const bool by_bytes = state.bytes_total > 0;
  const uint64_t total = by_bytes ? state.bytes_total : state.items_total;
  if (total == 0) return std::nullopt;
  const uint64_t done = by_bytes ? state.bytes_done : state.items_done;
  return std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
}

}  // namespace

std::string FormatProgress(const ProgressState& state, double seconds, double bytes_per_second) {
  if (state.item.empty()) return absl::StrFormat("%s  %s", state.phase, FormatElapsed(seconds));
  std::string line = state.phase.empty() ? "" : state.phase + "  ";
  if (state.items_total > 0) {
    line += absl::StrFormat("%d of ", state.items_done);
    line += Count(state.items_total, state.item);
  } else {
    line += Count(state.items_done, state.item);
  }
  if (state.bytes_done > 0 || state.bytes_total > 0) line += ", " + FormatBytes(state.bytes_done);
  if (state.bytes_total > 0) line += " of " + FormatBytes(state.bytes_total);
  if (const std::optional<double> share = ShareDone(state)) {
    line += absl::StrFormat(" (%d%%)", static_cast<int>(*share * 100));
  }
  if (bytes_per_second >= 1) {
    line += absl::StrFormat("  %s/s", FormatBytes(static_cast<uint64_t>(bytes_per_second)));
  }
  if (const std::optional<double> left = Remaining(state, seconds)) {
    line += "  ETA " + FormatElapsed(std::max(*left, 1.0));
  }
  if (state.errors > 0) line += "  " + Count(state.errors, "error");
  return line;
}

Json JsonOfProgress(const ProgressState& state, double seconds, double bytes_per_second) {
  Json json = JsonMessage("status");
  json["seconds_elapsed"] = std::floor(seconds * 10) / 10;
  if (const std::optional<double> left = Remaining(state, seconds)) {
    json["seconds_remaining"] = std::ceil(*left);
  }
  if (!state.phase.empty()) json["phase"] = state.phase;
  if (state.item.empty()) return json;
  if (const std::optional<double> share = ShareDone(state)) json["percent_done"] = *share;
  if (state.items_total > 0) json["total_" + state.item + "s"] = state.items_total;
  json[state.item + "s_done"] = state.items_done;
  if (state.bytes_total > 0) json["total_bytes"] = state.bytes_total;
  json["bytes_done"] = state.bytes_done;
  json["bytes_per_second"] = static_cast<uint64_t>(bytes_per_second);
  json["error_count"] = state.errors;
  return json;
}

// The rate over the last seconds, so that it follows what happens now.
class ProgressLine::Meter {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(SteadyClock::now() - start_).count();
  }
  double Rate(uint64_t bytes) {
    const double now = Seconds();
    samples_.emplace_back(now, bytes);
    while (samples_.size() > 2 && now - samples_.front().first > kRateWindowSeconds) {
      samples_.pop_front();
    }
    const auto& [then, before] = samples_.front();
    if (now - then < 0.1 || bytes < before) return 0;
    return static_cast<double>(bytes - before) / (now - then);
  }

 private:
  SteadyClock::time_point start_ = SteadyClock::now();
  std::deque<std::pair<double, uint64_t>> samples_;
};

ProgressLine::ProgressLine(Output& output, ProgressMode mode, std::function<ProgressState()> poll)
    : output_(output),
      poll_(std::move(poll)),
      to_terminal_(::isatty(STDERR_FILENO) == 1),
      always_(mode == ProgressMode::kAlways) {
  const bool wanted = always_ || (!output.quiet() && (output.json() || to_terminal_));
  if (mode == ProgressMode::kNever || !wanted) return;
  stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (stop_.get() >= 0) thread_ = std::thread([this] { Run(); });
}

ProgressLine::~ProgressLine() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

void ProgressLine::Run() {
  Meter meter;
  const int interval = to_terminal_ && !output_.json() ? kTerminalMillis : kLineMillis;
  while (true) {
    pollfd waiting{.fd = stop_.get(), .events = POLLIN, .revents = 0};
    if (RetryOnEintr([&] { return ::poll(&waiting, 1, interval); }) != 0) break;
    Show(meter);
  }
  if (always_) Show(meter);
  if (to_terminal_ && !output_.json()) output_.ShowLive("", /*permanent=*/false);
}

void ProgressLine::Show(Meter& meter) {
  const ProgressState state = poll_();
  const double rate = meter.Rate(state.rate_bytes);
  if (output_.json()) {
    output_.PrintJson(JsonOfProgress(state, meter.Seconds(), rate));
    return;
  }
  const std::string line = FormatProgress(state, meter.Seconds(), rate);
  if (to_terminal_) {
    output_.ShowLive(Truncate(line, TerminalColumns() - 1), /*permanent=*/false);
  } else {
    output_.ShowLive(line, /*permanent=*/true);
  }
}

}  // namespace cairn
