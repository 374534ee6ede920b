// SPDX-License-Identifier: Apache-2.0
// A power cut after every single write, sync, rename and unlink of a history.
#include <string>

#include "tests/crash/history.h"

namespace cairn::testing {
namespace {

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
    case CrashPolicy::kChosen:
      return "Chosen";
  }
  return "Unknown";
}

INSTANTIATE_TEST_SUITE_P(Policies, PowerCutTest,
                         ::testing::Values(CrashPolicy::kKeepAll, CrashPolicy::kDropUnsynced,
                                           CrashPolicy::kKeepNamesDropData, CrashPolicy::kRandom),
                         PolicyName);

}  // namespace
}  // namespace cairn::testing
