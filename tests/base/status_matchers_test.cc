// SPDX-License-Identifier: Apache-2.0
#include "tests/support/status_matchers.h"

#include <memory>
#include <vector>

namespace cairn {
namespace {

using ::cairn::testing::IsOk;
using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(StatusMatchersTest, IsOkTellsErrorsFromSuccess) {
  EXPECT_THAT(OkStatus(), IsOk());
  EXPECT_THAT(StatusOr<int>(7), IsOk());
  EXPECT_THAT(NotFound("x"), Not(IsOk()));
  EXPECT_THAT(StatusOr<int>(NotFound("x")), Not(IsOk()));
}

TEST(StatusMatchersTest, StatusIsComparesCodeAndMessage) {
  EXPECT_THAT(NotFound("pack 12"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(NotFound("pack 12"), Not(StatusIs(StatusCode::kDataLoss)));
  EXPECT_THAT(NotFound("pack 12"), StatusIs(StatusCode::kNotFound, HasSubstr("12")));
  EXPECT_THAT(NotFound("pack 12"), StatusIs(StatusCode::kNotFound, "pack 12"));
  EXPECT_THAT(NotFound("pack 12"), Not(StatusIs(StatusCode::kNotFound, "pack 13")));
  EXPECT_THAT(StatusOr<std::unique_ptr<int>>(Aborted("a")), StatusIs(StatusCode::kAborted));
}

TEST(StatusMatchersTest, IsOkAndHoldsComparesTheValue) {
  EXPECT_THAT(StatusOr<int>(7), IsOkAndHolds(7));
  EXPECT_THAT(StatusOr<int>(7), IsOkAndHolds(Gt(6)));
  EXPECT_THAT(StatusOr<int>(7), Not(IsOkAndHolds(8)));
  EXPECT_THAT(StatusOr<int>(Internal("x")), Not(IsOkAndHolds(7)));
  EXPECT_THAT(StatusOr<std::vector<int>>({1, 2}), IsOkAndHolds(ElementsAre(1, 2)));
  const StatusOr<std::string> named = std::string("a");
  EXPECT_THAT(named, IsOkAndHolds("a"));
}

TEST(StatusMatchersTest, AssignMovesTheValueOut) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<int> value,
                       StatusOr<std::unique_ptr<int>>(std::make_unique<int>(3)));
  EXPECT_EQ(*value, 3);
}

}  // namespace
}  // namespace cairn
