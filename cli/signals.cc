// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "cli/exit_code.h"

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

}  // namespace

const StopFlag& InstallSignalHandlers() {
  Handle(SIGINT, OnStop);
  Handle(SIGTERM, OnStop);
  Handle(SIGPIPE, SIG_IGN);
  Handle(SIGBUS, OnBusError);
  return g_stop;
}

}  // namespace cairn
