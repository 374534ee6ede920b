// SPDX-License-Identifier: Apache-2.0
#include "core/base/byte_budget.h"

#include "core/base/check.h"

namespace cairn {

bool ByteBudget::Fits(uint64_t bytes) const {
  return used_ == 0 || (used_ <= limit_ && bytes <= limit_ - used_);
}

bool ByteBudget::Acquire(uint64_t bytes) {
  MutexLock lock(mutex_);
  const uint64_t mine = next_turn_++;
  while (!cancelled_ && (turn_ != mine || !Fits(bytes))) changed_.Wait(mutex_);
  if (cancelled_) return false;
  ++turn_;
  used_ += bytes;
  changed_.NotifyAll();
  return true;
}

bool ByteBudget::TryAcquire(uint64_t bytes) {
  MutexLock lock(mutex_);
  if (cancelled_ || turn_ != next_turn_ || !Fits(bytes)) return false;
  used_ += bytes;
  return true;
}

void ByteBudget::Release(uint64_t bytes) {
  MutexLock lock(mutex_);
  CHECK(bytes <= used_);
  used_ -= bytes;
  changed_.NotifyAll();
}

void ByteBudget::Cancel() {
  MutexLock lock(mutex_);
  cancelled_ = true;
  changed_.NotifyAll();
}

uint64_t ByteBudget::used() const {
  MutexLock lock(mutex_);
  return used_;
}

}  // namespace cairn
