// SPDX-License-Identifier: Apache-2.0
// A power cut after every single write, sync, rename and unlink of a history.
#include <string>

#include "tests/crash/history.h"

namespace cairn::testing {
namespace {

// Snapshots that share content, a forget, a prune that rewrites, and a snapshot after it.
void MakeHistory(History& history) {
  Source& source = history.source();
  source.WriteNoise("shared/one", 90'000, 1);
  source.WriteNoise("changing", 50'000, 4);
  source.WriteNoise("shared/two", 40'000, 2);
  source.Write("text", "first");
  ASSERT_OK(history.Snapshot());
  source.WriteNoise("added", 120'000, 3);
  source.Write("text", "second");
  source.Remove("shared/two");
  ASSERT_OK(history.Snapshot());
  source.Change("changing");
  ASSERT_OK(history.Snapshot());
  EXPECT_GT(history.DeltaFrames(), 0U);
  history.Reopen();
  ASSERT_OK(history.Forget(0));
  ASSERT_OK(history.PruneAll());
  source.WriteNoise("shared/two", 40'000, 2);  // its chunks were pruned
  source.Write("text", "third");
  source.Change("changing");
  ASSERT_OK(history.Snapshot());
  ASSERT_OK(history.Forget(1));
  ASSERT_OK(history.Forget(2));
  ASSERT_OK(history.PruneAll());
  // What is left is a delta of a file that no snapshot has any more.
  EXPECT_GT(history.DeltaFrames(), 0U);
}

class PowerCutTest : public ::testing::TestWithParam<CrashPolicy> {};

TEST_P(PowerCutTest, AfterAnyOperationWhatWasAcknowledgedIsThere) {
  History history;
  MakeHistory(history);
  const size_t seeds = GetParam() == CrashPolicy::kRandom ? 4 : 1;
  for (size_t n = 0; n <= history.operations(); ++n) {
    for (size_t seed = 0; seed < seeds; ++seed) {
      SCOPED_TRACE("cut after operation " + std::to_string(n) + ", seed " + std::to_string(seed));
      history.VerifyCutAfter(n, {.policy = GetParam(), .seed = n * seeds + seed});
      if (HasFailure()) return;
    }
  }
  RecordProperty("states", static_cast<int>((history.operations() + 1) * seeds));
}

std::string PolicyName(const ::testing::TestParamInfo<CrashPolicy>& policy) {
  switch (policy.param) {
    case CrashPolicy::kKeepAll:
      return "KeepAll";
    case CrashPolicy::kDropUnsynced:
      return "DropUnsynced";
    case CrashPolicy::kKeepNamesDropData:
      return "KeepNamesDropData";
    case CrashPolicy::kRandom:
      return "Random";
  }
  return "Unknown";
}

INSTANTIATE_TEST_SUITE_P(Policies, PowerCutTest,
                         ::testing::Values(CrashPolicy::kKeepAll, CrashPolicy::kDropUnsynced,
                                           CrashPolicy::kKeepNamesDropData, CrashPolicy::kRandom),
                         PolicyName);

}  // namespace
}  // namespace cairn::testing
