// SPDX-License-Identifier: Apache-2.0
#include "core/base/worker_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <vector>

namespace cairn {
namespace {

using ::testing::ElementsAre;

TEST(WorkerPoolTest, WaitReturnsAfterTasksAndTheTasksThatTheySubmitted) {
  WorkerPool pool(3);
  std::atomic<int> nodes = 0;
  std::function<void(int)> visit = [&](int depth) {
    ++nodes;
    if (depth == 0) return;
    for (int child = 0; child < 3; ++child) {
      pool.Submit([&visit, depth](int) { visit(depth - 1); });
    }
  };
  pool.Submit([&](int) { visit(6); });
  pool.Wait();
  EXPECT_EQ(nodes, 1 + 3 + 9 + 27 + 81 + 243 + 729);
}

TEST(WorkerPoolTest, WaitWithoutTasksReturns) {
  WorkerPool pool(2);
  pool.Wait();
  pool.Wait();
}

TEST(WorkerPoolTest, RunsTheNewestTaskFirst) {
  WorkerPool pool(1);
  std::vector<int> order;
  std::latch running(1);
  std::latch submitted(1);
  pool.Submit([&](int) {
    running.count_down();
    submitted.wait();
  });
  running.wait();
  for (int i = 1; i <= 4; ++i) pool.Submit([&order, i](int) { order.push_back(i); });
  submitted.count_down();
  pool.Wait();
  EXPECT_THAT(order, ElementsAre(4, 3, 2, 1));
}

TEST(WorkerPoolTest, ATaskThatSubmitsIsWalkedDepthFirst) {
  WorkerPool pool(1);
  std::vector<int> order;
  pool.Submit([&](int) {
    pool.Submit([&](int) { order.push_back(2); });
    pool.Submit([&](int) {
      order.push_back(1);
      pool.Submit([&](int) { order.push_back(11); });
    });
  });
  pool.Wait();
  EXPECT_THAT(order, ElementsAre(1, 11, 2));
}

TEST(WorkerPoolTest, AWorkerNumberIsUsedByOneTaskAtATime) {
  constexpr int kWorkers = 4;
  WorkerPool pool(kWorkers);
  EXPECT_EQ(pool.workers(), kWorkers);
  std::vector<int> runs(kWorkers);  // unguarded: ThreadSanitizer watches
  for (int i = 0; i < 1000; ++i) pool.Submit([&](int worker) { ++runs[worker]; });
  pool.Wait();
  int sum = 0;
  for (const int count : runs) sum += count;
  EXPECT_EQ(sum, 1000);
}

TEST(WorkerPoolTest, AllWorkersRunAtOnce) {
  WorkerPool pool(3);
  std::latch together(3);
  for (int i = 0; i < 3; ++i) pool.Submit([&](int) { together.arrive_and_wait(); });
  pool.Wait();
  EXPECT_TRUE(together.try_wait());
}

TEST(WorkerPoolTest, TasksMayOwnWhatCannotBeCopied) {
  WorkerPool pool(1);
  auto value = std::make_unique<int>(5);
  int seen = 0;
  pool.Submit([&seen, owned = std::move(value)](int) { seen = *owned; });
  pool.Wait();
  EXPECT_EQ(seen, 5);
}

TEST(WorkerPoolTest, TheEndWaitsForWhatRunsAndDestroysWhatIsQueued) {
  bool finished = false;
  const auto captured = std::make_shared<int>(0);
  {
    std::latch running(1);
    WorkerPool pool(1);
    pool.Submit([&](int) {
      running.count_down();
      for (int i = 0; i < 100; ++i) pool.Submit([captured](int) {});
      finished = true;
    });
    running.wait();
  }
  EXPECT_TRUE(finished);
  EXPECT_EQ(captured.use_count(), 1);
}

}  // namespace
}  // namespace cairn
