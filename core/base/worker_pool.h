// SPDX-License-Identifier: Apache-2.0
// A fixed number of threads for tasks that make more tasks.
#pragma once

#include <cstddef>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/base/mutex.h"

namespace cairn {

// As many workers as were asked for, within reason; for 0, as many as there are processors, up
// to 8.
int WorkerCount(int asked);

// The task that was submitted last is run first. So tasks that submit tasks walk a tree depth
// first, and what waits in the queue stays as small as a stack does.
//
// Thread-safe. Tasks may submit tasks; they must not call Wait, nor destroy the pool.
class WorkerPool {
 public:
  // Gets the number of the worker that runs it, 0 <= worker < workers(): tasks of equal number
  // never run at the same time, so each number may own a context without locks.
  using Task = absl::AnyInvocable<void(int worker)>;

  // REQUIRES: workers > 0.
  explicit WorkerPool(int workers);
  // Waits for the tasks that run; those still queued are destroyed without having run.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  int workers() const { return static_cast<int>(threads_.size()); }

  // Never blocks: who submits without end needs a ByteBudget or the like.
  void Submit(Task task);
  // Returns when no task is queued or running. What tasks did before is visible after it.
  void Wait();

 private:
  void Work(int worker);

  Mutex mutex_;
  CondVar work_;  // there is a task, or the end has come
  CondVar idle_;
  std::vector<Task> stack_ ABSL_GUARDED_BY(mutex_);
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;  // constant after construction
};

}  // namespace cairn
