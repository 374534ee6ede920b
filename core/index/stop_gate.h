// SPDX-License-Identifier: Apache-2.0
// Keeps Ctrl-Z away from a process at the moments when it must not be stopped: a write transaction
// of the index holds a mutex that all processes share. A process of several threads blocks SIGTSTP
// in all of them before it starts any, and lets one take it, which closes the gate and only then
// stops the process.
#pragma once

#include <mutex>
#include <shared_mutex>

namespace cairn {

class StopGate {
 public:
  // While one lives, nobody stops this process. Belongs to its thread, which makes no other.
  class Hold {
   public:
    Hold() : lock_(TheMutex()) {}

   private:
    std::shared_lock<std::shared_mutex> lock_;
  };

  // Waits until there is no Hold; who asks for one waits while this lives.
  class Closed {
   public:
    Closed() : lock_(TheMutex()) {}

   private:
    std::unique_lock<std::shared_mutex> lock_;
  };

 private:
  static std::shared_mutex& TheMutex() {
    static std::shared_mutex mutex;
    return mutex;
  }
};

}  // namespace cairn
