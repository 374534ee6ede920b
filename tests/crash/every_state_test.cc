// SPDX-License-Identifier: Apache-2.0
// All that a power cut can leave of small histories: after every operation, every combination of
// what no sync covers, where a name is there or not, and a content is there, absent, or torn in one
// of four ways. What an earlier command left has settled.
#include <string>

#include "tests/crash/history.h"

namespace cairn::testing {
namespace {

class EveryStateTest : public ::testing::Test {
 protected:
  // Too little for a reserve, the blocks of which would multiply the states and hold nothing.
  void SetUp() override { history_.disk().SetCapacityBytes(kMinFreeForReserve); }
  // Of what was done since the last time.
  void VerifyAll() {
    for (size_t n = settled_; n <= history_.operations(); ++n) {
      SCOPED_TRACE("cut after operation " + std::to_string(n));
      states_ += history_.VerifyCutAfter(n, {.policy = CrashPolicy::kChosen, .settled = settled_});
      if (HasFailure()) return;
    }
    settled_ = history_.operations();
  }

  History history_;
  size_t settled_ = 0;
  size_t states_ = 0;
};

TEST_F(EveryStateTest, OfEachCommand) {
  history_.source().WriteNoise("file", 3'000, 1);
  history_.source().WriteNoise("changing", 9'000, 1);
  ASSERT_OK(history_.Snapshot());
  VerifyAll();
  history_.source().Remove("file");
  history_.source().Change("changing");
  ASSERT_OK(history_.Snapshot());
  VerifyAll();
  ASSERT_OK(history_.Forget(0));
  VerifyAll();
  ASSERT_OK(history_.PruneAll());
  VerifyAll();
  RecordProperty("states", static_cast<int>(states_));
}

}  // namespace
}  // namespace cairn::testing
