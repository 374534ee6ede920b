// SPDX-License-Identifier: Apache-2.0
#include "core/base/worker_pool.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace cairn {

int WorkerCount(int asked) {
  constexpr int kMost = 64;
  constexpr int kMostByDefault = 8;
  if (asked > 0) return std::min(asked, kMost);
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostByDefault);
}

WorkerPool::WorkerPool(int workers) {
  CHECK(workers > 0);
  threads_.reserve(static_cast<size_t>(workers));
  for (int worker = 0; worker < workers; ++worker) {
    threads_.emplace_back([this, worker] { Work(worker); });
  }
}

WorkerPool::~WorkerPool() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
    work_.NotifyAll();
  }
  threads_.clear();  // joins, before the members that the threads use go
}

void WorkerPool::Submit(Task task) {
  MutexLock lock(mutex_);
  stack_.push_back(std::move(task));
  work_.NotifyOne();
}

void WorkerPool::Wait() {
  MutexLock lock(mutex_);
  while (running_ > 0 || !stack_.empty()) idle_.Wait(mutex_);
}

void WorkerPool::Work(int worker) {
  for (;;) {
    Task task;
    {
      MutexLock lock(mutex_);
      while (!ending_ && stack_.empty()) work_.Wait(mutex_);
      if (ending_) return;
      task = std::move(stack_.back());
      stack_.pop_back();
      ++running_;
    }
    task(worker);
    task = nullptr;  // what it captured is gone before Wait returns
    MutexLock lock(mutex_);
    if (--running_ == 0 && stack_.empty()) idle_.NotifyAll();
  }
}

}  // namespace cairn
