// SPDX-License-Identifier: Apache-2.0
#include "core/base/byte_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

namespace cairn {
namespace {

TEST(ByteBudgetTest, TakesWhatFits) {
  ByteBudget budget(10);
  EXPECT_TRUE(budget.Acquire(6));
  EXPECT_FALSE(budget.TryAcquire(5));
  EXPECT_TRUE(budget.TryAcquire(4));
  EXPECT_EQ(budget.used(), 10);
  budget.Release(6);
  EXPECT_EQ(budget.used(), 4);
  EXPECT_TRUE(budget.TryAcquire(6));
}

TEST(ByteBudgetTest, AnOversizedRequestIsGrantedAlone) {
  ByteBudget budget(10);
  EXPECT_TRUE(budget.Acquire(1000));
  EXPECT_FALSE(budget.TryAcquire(1));
  budget.Release(1000);
  EXPECT_TRUE(budget.TryAcquire(1));
  EXPECT_FALSE(budget.TryAcquire(1000));
}

TEST(ByteBudgetTest, SumsDoNotOverflow) {
  ByteBudget budget(10);
  EXPECT_TRUE(budget.Acquire(5));
  EXPECT_FALSE(budget.TryAcquire(UINT64_MAX));
}

TEST(ByteBudgetTest, ThreadsNeverExceedTheLimit) {
  constexpr uint64_t kLimit = 100;
  ByteBudget budget(kLimit);
  std::atomic<uint64_t> in_use = 0;
  std::atomic<bool> exceeded = false;
  {
    std::vector<std::jthread> threads;
    for (uint64_t t = 1; t <= 4; ++t) {
      threads.emplace_back([&, t] {
        for (uint64_t i = 0; i < 500; ++i) {
          const uint64_t bytes = 1 + (t * 31 + i * 17) % kLimit;
          const BudgetTicket ticket(budget, bytes);
          if ((in_use += bytes) > kLimit) exceeded = true;
          in_use -= bytes;
        }
      });
    }
  }
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(budget.used(), 0);
}

TEST(ByteBudgetTest, AWaiterGoesOnWhenBytesAreReleased) {
  ByteBudget budget(10);
  ASSERT_TRUE(budget.Acquire(10));
  std::jthread waiter([&] {
    EXPECT_TRUE(budget.Acquire(7));
    budget.Release(7);
  });
  budget.Release(10);
  waiter.join();
  EXPECT_EQ(budget.used(), 0);
}

TEST(ByteBudgetTest, CancelEndsWaitsNowAndLater) {
  ByteBudget budget(10);
  ASSERT_TRUE(budget.Acquire(10));
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> waiters;
    for (int i = 0; i < 3; ++i) {
      waiters.emplace_back([&] {
        if (!budget.Acquire(1)) ++refused;
      });
    }
    budget.Cancel();
  }
  EXPECT_EQ(refused, 3);
  EXPECT_FALSE(budget.Acquire(1));
  EXPECT_FALSE(budget.TryAcquire(1));
  budget.Release(10);
  EXPECT_EQ(budget.used(), 0);
}

TEST(BudgetTicketTest, ReleasesOnce) {
  ByteBudget budget(10);
  {
    BudgetTicket first(budget, 4);
    EXPECT_TRUE(first.ok());
    BudgetTicket second = std::move(first);
    EXPECT_TRUE(second.ok());
    EXPECT_EQ(budget.used(), 4);
    BudgetTicket third(budget, 3);
    third = std::move(second);
    EXPECT_EQ(budget.used(), 4);
    third.Release();
    third.Release();
    EXPECT_EQ(budget.used(), 0);
  }
  EXPECT_EQ(budget.used(), 0);
}

TEST(BudgetTicketTest, OfACancelledBudgetHoldsNothing) {
  ByteBudget budget(10);
  budget.Cancel();
  const BudgetTicket ticket(budget, 4);
  EXPECT_FALSE(ticket.ok());
  EXPECT_EQ(budget.used(), 0);
}

}  // namespace
}  // namespace cairn
