// SPDX-License-Identifier: Apache-2.0
// Signals: SIGINT and SIGTERM ask for a clean stop, and the second one kills. Ctrl-Z waits for the
// moments at which a stopped process would hold up others.
#pragma once

#include "core/base/stop.h"

namespace cairn {

// To be called once, before other threads are started: SIGTSTP is blocked in all of them, and a
// thread of its own takes it. So is SIGTTOU, and nobody's progress line stops him. Ignores SIGPIPE
// (a write then fails with EPIPE). SIGBUS, which the index's mapped file raises where its disk
// fails or it was cut short, is explained before the program ends with 1. The flag lives as long as
// the program.
const StopFlag& InstallSignalHandlers();

}  // namespace cairn
