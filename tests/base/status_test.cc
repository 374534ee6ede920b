// SPDX-License-Identifier: Apache-2.0
#include "core/base/status.h"

#include <cerrno>

#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::cairn::testing::StatusIs;
using ::testing::HasSubstr;

TEST(StatusTest, AnErrnoErrorSaysWhatWasDoneToWhat) {
  EXPECT_THAT(ErrnoError(ENOENT, "open", "repo/config"),
              StatusIs(StatusCode::kNotFound, "open repo/config: No such file or directory"));
  EXPECT_THAT(ErrnoError(EEXIST, "create", "x"), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(ErrnoError(ENOSPC, "write", "x"), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(ErrnoError(EACCES, "open", "x"), StatusIs(StatusCode::kPermissionDenied));
  EXPECT_THAT(ErrnoError(EIO, "read", "x"), StatusIs(StatusCode::kUnavailable));
}

TEST(StatusTest, AnnotateKeepsTheCode) {
  EXPECT_OK(Annotate(OkStatus(), "reading pack 7"));
  EXPECT_THAT(Annotate(DataLoss("bad footer"), "pack 7"),
              StatusIs(StatusCode::kDataLoss, "pack 7: bad footer"));
}

StatusOr<int> Half(int value) {
  if (value % 2 != 0) return InvalidArgument("odd");
  return value / 2;
}

Status Quarter(int value, int* result) {
  ASSIGN_OR_RETURN(const int half, Half(value));
  ASSIGN_OR_RETURN(*result, Half(half));
  return OkStatus();
}

TEST(StatusTest, TheMacrosStopAtTheFirstError) {
  int result = 0;
  EXPECT_OK(Quarter(12, &result));
  EXPECT_EQ(result, 3);
  EXPECT_THAT(Quarter(6, &result), StatusIs(StatusCode::kInvalidArgument, HasSubstr("odd")));
  EXPECT_EQ(result, 3);
}

}  // namespace
}  // namespace cairn
