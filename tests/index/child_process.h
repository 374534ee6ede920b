// SPDX-License-Identifier: Apache-2.0
// Other processes, for tests of what processes share.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace cairn::testing {

// A forked process that runs `body` and ends, with whether it was OK. Killed if it still runs when
// this goes. A body that calls `ready` lets WaitUntilReady return.
class ChildProcess {
 public:
  using Body = std::function<Status(const std::function<void()>& ready)>;

  explicit ChildProcess(const Body& body) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    ready_ = UniqueFd(ends[0]);
    UniqueFd report(ends[1]);
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // outlives no test that is killed
    ready_.Reset();
    const Status status = body([&] { EXPECT_EQ(write(report.get(), "r", 1), 1); });
    if (!status.ok()) std::fprintf(stderr, "child: %s\n", status.ToString().c_str());
    _exit(status.ok() && !::testing::Test::HasFailure() ? 0 : 1);
  }
  ~ChildProcess() { Kill(); }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // False if the child ended without having been ready.
  bool WaitUntilReady() {
    char byte;
    return RetryOnEintr([&] { return read(ready_.get(), &byte, 1); }) == 1;
  }
  // Waits for the end; whether the body was OK.
  bool Join() {
    int status = 0;
    EXPECT_EQ(RetryOnEintr([&] { return waitpid(pid_, &status, 0); }), pid_);
    pid_ = -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    int status = 0;
    RetryOnEintr([&] { return waitpid(pid_, &status, 0); });
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  UniqueFd ready_;
};

// For the body of a child that is going to be killed.
[[noreturn]] inline void SleepForEver() {
  for (;;) pause();
}

inline bool RunInChild(const std::function<Status()>& body) {
  return ChildProcess([&](const std::function<void()>&) { return body(); }).Join();
}

}  // namespace cairn::testing
