// SPDX-License-Identifier: Apache-2.0
#include "core/base/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace cairn {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

auto Calls(Stage stage, uint64_t calls) {
  return ::testing::AllOf(Field(&StageTime::stage, stage), Field(&StageTime::calls, calls));
}

// One test: the profile is the process's.
TEST(ProfileTest, CountsScopesByStageOnceStarted) {
  { StageTimer timer(Stage::kHash); }
  EXPECT_THAT(Profile::Take(), IsEmpty());

  Profile::Start();
  {
    StageTimer outer(Stage::kRead);
    for (int i = 0; i < 3; ++i) StageTimer inner(Stage::kHash);
  }
  std::thread([] { StageTimer timer(Stage::kRead); }).join();
  EXPECT_THAT(Profile::Take(), ElementsAre(Calls(Stage::kRead, 2), Calls(Stage::kHash, 3)));
  EXPECT_THAT(Profile::Take(), IsEmpty());
}

TEST(ProfileTest, AnInnerScopeCountsForItsOwnStageAlone) {
  Profile::Start();
  const auto start = std::chrono::steady_clock::now();
  {
    StageTimer outer(Stage::kRead);
    StageTimer inner(Stage::kHash);
    for (volatile int i = 0; i < 1'000'000;) i = i + 1;
  }
  const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - start;
  const auto times = Profile::Take();
  ASSERT_EQ(times.size(), 2U);
  EXPECT_LE(times[0].nanoseconds + times[1].nanoseconds, static_cast<uint64_t>(passed.count()));
}

}  // namespace
}  // namespace cairn
