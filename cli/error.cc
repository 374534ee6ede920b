// SPDX-License-Identifier: Apache-2.0
#include "cli/error.h"

#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"

namespace cairn {
namespace {

constexpr char kPayload[] = "cairn/exit-code";

}  // namespace

Status UsageError(std::string_view message) {
  return WithExitCode(InvalidArgument(message), ExitCode::kUsage);
}

Status WithExitCode(Status status, ExitCode code) {
  if (!status.ok()) {
    status.SetPayload(kPayload, absl::Cord(std::to_string(static_cast<int>(code))));
  }
  return status;
}

Status AsUsage(const Status& status, std::string_view option) {
  if (status.code() != StatusCode::kInvalidArgument) return status;
  return WithExitCode(Annotate(status, option), ExitCode::kUsage);
}

ExitCode ExitCodeOf(const Status& status) {
  if (status.ok()) return ExitCode::kDone;
  int code = 0;
  if (const auto payload = status.GetPayload(kPayload);
      payload && absl::SimpleAtoi(std::string(*payload), &code)) {
    return static_cast<ExitCode>(code);
  }
  switch (status.code()) {
    case StatusCode::kCancelled:
      return ExitCode::kInterrupted;
    case StatusCode::kUnauthenticated:
      return ExitCode::kWrongPassword;
    default:
      return ExitCode::kFailed;
  }
}

}  // namespace cairn
