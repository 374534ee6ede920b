// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "cli/exit_code.h"
#include "core/index/stop_gate.h"

namespace cairn {
namespace {

StopFlag g_stop;

void OnStop(int signal_number) {
  if (g_stop.requested()) {
    // It is blocked while this handler runs, and kills when it returns.
    ::signal(signal_number, SIG_DFL);
    ::raise(signal_number);
    return;
  }
  g_stop.Request();
}

void OnBusError(int) {
  constexpr char kMessage[] =
      "cairn: the index is unreadable: its file was cut short, or its disk fails. The repository "
      "is not touched by that.\n"
      "  Make the index anew with `cairn index rebuild`, or choose another place for it with "
      "CAIRN_CACHE_DIR.\n";
  (void)!::write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
  ::_exit(static_cast<int>(ExitCode::kFailed));
}

void Handle(int signal_number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  // Whoever waits for input looks at the flag by itself.
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal_number, &action, nullptr);
}

void StopWhenTold(const sigset_t& stop) {
  for (;;) {
    int signal_number = 0;
    if (::sigwait(&stop, &signal_number) != 0) continue;
    const StopGate::Closed closed;
    // With the signal's own action, which spares processes that no shell could continue.
    ::pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);
    ::raise(signal_number);
    ::pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  }
}

void TakeStopSignals() {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTTOU);
  struct sigaction tstp {};
  ::sigaction(SIGTSTP, nullptr, &tstp);
  // Whoever started this may have wished it to be ignored.
  const bool is_taken = tstp.sa_handler != SIG_IGN;
  if (is_taken) ::sigaddset(&blocked, SIGTSTP);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  if (!is_taken) return;
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTSTP);
  std::thread([stop] { StopWhenTold(stop); }).detach();
}

}  // namespace

const StopFlag& InstallSignalHandlers() {
  Handle(SIGINT, OnStop);
  Handle(SIGTERM, OnStop);
  Handle(SIGPIPE, SIG_IGN);
  Handle(SIGBUS, OnBusError);
  TakeStopSignals();
  return g_stop;
}

}  // namespace cairn
