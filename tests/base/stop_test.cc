// SPDX-License-Identifier: Apache-2.0
#include "core/base/stop.h"

#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::cairn::testing::StatusIs;

TEST(StopFlagTest, CheckStopFailsOnceAStopIsRequested) {
  StopFlag stop;
  EXPECT_OK(CheckStop(nullptr));
  EXPECT_OK(CheckStop(&stop));
  stop.Request();
  EXPECT_TRUE(stop.requested());
  EXPECT_THAT(CheckStop(&stop), StatusIs(StatusCode::kCancelled, "interrupted"));
}

}  // namespace
}  // namespace cairn
