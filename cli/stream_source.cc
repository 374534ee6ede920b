// SPDX-License-Identifier: Apache-2.0
#include "cli/stream_source.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_format.h"
#include "cli/spawn.h"

namespace cairn {
namespace {

constexpr int kStopMillis = 100;  // how soon a stop is noticed
constexpr size_t kPieceBytes = 256 * 1024;

StatusOr<std::pair<UniqueFd, UniqueFd>> MakePipe() {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return ErrnoError(errno, "making", "a pipe");
  // A larger one saves switches; a limit of the system is no error.
  (void)::fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

}  // namespace

StatusOr<std::unique_ptr<StreamSource>> StreamSource::FromStandardInput(const StopFlag& stop) {
  std::unique_ptr<StreamSource> source(new StreamSource(stop));
  RETURN_IF_ERROR(source->StartPump(STDIN_FILENO));
  return source;
}

StatusOr<std::unique_ptr<StreamSource>> StreamSource::FromCommand(
    const std::vector<std::string>& command, const StopFlag& stop) {
  std::unique_ptr<StreamSource> source(new StreamSource(stop));
  source->command_ = command.front();
  ASSIGN_OR_RETURN(auto ends, MakePipe());
  ASSIGN_OR_RETURN(source->child_, Spawn(command, ChildInput::kShared, ends.second.get()));
  ends.second.Reset();
  source->input_ = std::move(ends.first);
  RETURN_IF_ERROR(source->StartPump(source->input_.get()));
  return source;
}

StreamSource::~StreamSource() {
  EndCommand();
  // Nobody reads any more: the pump's next write fails, and ends it.
  reader_.Reset();
  if (thread_.joinable()) thread_.join();
  if (child_ > 0) RetryOnEintr([&] { return ::waitpid(child_, nullptr, 0); });
}

void StreamSource::EndCommand() {
  if (child_ > 0) ::kill(child_, SIGTERM);
}

Status StreamSource::StartPump(int input) {
  ASSIGN_OR_RETURN(auto ends, MakePipe());
  reader_ = std::move(ends.first);
  writer_ = std::move(ends.second);
  thread_ = std::thread([this, input] { Pump(input); });
  return OkStatus();
}

void StreamSource::Pump(int input) {
  std::vector<char> buffer(kPieceBytes);
  for (bool more = true; more;) {
    pumped_ = PumpOnce(input, buffer, &more);
    if (!pumped_.ok()) break;
  }
  if (!pumped_.ok()) EndCommand();
  writer_.Reset();
}

Status StreamSource::PumpOnce(int input, std::vector<char>& buffer, bool* more) {
  RETURN_IF_ERROR(CheckStop(&stop_));
  pollfd waiting{.fd = input, .events = POLLIN, .revents = 0};
  if (RetryOnEintr([&] { return ::poll(&waiting, 1, kStopMillis); }) == 0) return OkStatus();
  const ssize_t got = RetryOnEintr([&] { return ::read(input, buffer.data(), buffer.size()); });
  if (got < 0 && errno == EAGAIN) return OkStatus();
  if (got < 0) return ErrnoError(errno, "reading", "the stream");
  *more = got > 0;
  for (ssize_t done = 0; done < got;) {
    const ssize_t wrote = RetryOnEintr([&] {
      return ::write(writer_.get(), buffer.data() + done, static_cast<size_t>(got - done));
    });
    if (wrote < 0) return ErrnoError(errno, "passing on", "the stream");
    done += wrote;
  }
  return OkStatus();
}

Status StreamSource::Finish() {
  if (thread_.joinable()) thread_.join();
  RETURN_IF_ERROR(CheckStop(&stop_));
  if (!pumped_.ok()) return std::move(pumped_);
  if (child_ <= 0) return OkStatus();
  int result = 0;
  if (RetryOnEintr([&] { return ::waitpid(child_, &result, 0); }) < 0) {
    return ErrnoError(errno, "waiting for the command", command_);
  }
  child_ = -1;
  if (WIFEXITED(result) && WEXITSTATUS(result) == 0) return OkStatus();
  const std::string how = WIFSIGNALED(result)
                              ? absl::StrFormat("was killed by signal %d (%s)", WTERMSIG(result),
                                                ::strsignal(WTERMSIG(result)))
                              : absl::StrFormat("failed with exit code %d", WEXITSTATUS(result));
  return FailedPrecondition(absl::StrFormat(
      "the command %s %s, so no snapshot was made; run it alone to see why", command_, how));
}

}  // namespace cairn
