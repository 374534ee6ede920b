// SPDX-License-Identifier: Apache-2.0
// A limit on the bytes that are in flight in a pipeline: its back-pressure.
#pragma once

#include <cstdint>
#include <utility>

#include "core/base/mutex.h"

namespace cairn {

// Requests are granted in the order in which they came, so a large one is not starved by small
// ones. One that exceeds the whole limit is granted when nothing else is in use.
//
// Deadlock: a thread in Acquire waits for others to release. So whatever leads to a Release must
// never wait for a thread that may be in Acquire. In particular
//   - take the whole of what an item needs at once, and nothing more while holding some;
//   - where items are put in order again before they are released, acquire in that order, else the
//     later items hold all bytes while the first one waits for them.
//
// Thread-safe.
class ByteBudget {
 public:
  explicit ByteBudget(uint64_t limit) : limit_(limit) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  // Blocks until the bytes fit. False, and nothing is taken, once the budget is cancelled.
  [[nodiscard]] bool Acquire(uint64_t bytes);
  // False if it would have to wait.
  [[nodiscard]] bool TryAcquire(uint64_t bytes);
  // REQUIRES: so many bytes were acquired.
  void Release(uint64_t bytes);
  // Ends all waits, now and later; what is held is released as usual.
  void Cancel();

  uint64_t used() const;

 private:
  bool Fits(uint64_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint64_t limit_;
  mutable Mutex mutex_;
  CondVar changed_;
  uint64_t used_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_turn_ ABSL_GUARDED_BY(mutex_) = 0;  // of the request that comes next
  uint64_t turn_ ABSL_GUARDED_BY(mutex_) = 0;       // whose request is granted next
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

// Bytes of a budget, released on destruction. Movable; thread-compatible; the budget outlives it.
class BudgetTicket {
 public:
  BudgetTicket() = default;
  // As ByteBudget::Acquire; ok() is false if that failed.
  BudgetTicket(ByteBudget& budget, uint64_t bytes)
      : budget_(budget.Acquire(bytes) ? &budget : nullptr), bytes_(bytes) {}
  BudgetTicket(BudgetTicket&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
  BudgetTicket& operator=(BudgetTicket&& other) noexcept {
    Release();
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = other.bytes_;
    return *this;
  }
  ~BudgetTicket() { Release(); }

  bool ok() const { return budget_ != nullptr; }
  void Release() {
    ByteBudget* const budget = std::exchange(budget_, nullptr);
    if (budget != nullptr) budget->Release(bytes_);
  }

 private:
  ByteBudget* budget_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace cairn
