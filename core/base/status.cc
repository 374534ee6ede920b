// SPDX-License-Identifier: Apache-2.0
#include "core/base/status.h"

#include <cerrno>
#include <system_error>

namespace cairn {
namespace {

StatusCode CodeOfErrno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return StatusCode::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return StatusCode::kResourceExhausted;
    case EINVAL:
    case ENAMETOOLONG:
      return StatusCode::kInvalidArgument;
    default:
      return StatusCode::kUnavailable;
  }
}

}  // namespace

Status MakeError(StatusCode code, std::string_view message) {
  return Status(code, absl::string_view(message.data(), message.size()));
}

Status DataLoss(std::string_view m) { return MakeError(StatusCode::kDataLoss, m); }
Status NotFound(std::string_view m) { return MakeError(StatusCode::kNotFound, m); }
Status AlreadyExists(std::string_view m) { return MakeError(StatusCode::kAlreadyExists, m); }
Status FailedPrecondition(std::string_view m) {
  return MakeError(StatusCode::kFailedPrecondition, m);
}
Status Aborted(std::string_view m) { return MakeError(StatusCode::kAborted, m); }
Status ResourceExhausted(std::string_view m) {
  return MakeError(StatusCode::kResourceExhausted, m);
}
Status Unavailable(std::string_view m) { return MakeError(StatusCode::kUnavailable, m); }
Status InvalidArgument(std::string_view m) { return MakeError(StatusCode::kInvalidArgument, m); }
Status Unimplemented(std::string_view m) { return MakeError(StatusCode::kUnimplemented, m); }
Status Unauthenticated(std::string_view m) { return MakeError(StatusCode::kUnauthenticated, m); }
Status Cancelled(std::string_view m) { return MakeError(StatusCode::kCancelled, m); }
Status Internal(std::string_view m) { return MakeError(StatusCode::kInternal, m); }

Status ErrnoError(int error_number, std::string_view operation, std::string_view object) {
  std::string message(operation);
  if (!object.empty()) message.append(" ").append(object);
  message.append(": ").append(std::generic_category().message(error_number));
  return MakeError(CodeOfErrno(error_number), message);
}

Status Annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  std::string message(context);
  message.append(": ").append(Message(status));
  return MakeError(status.code(), message);
}

std::string_view Message(const Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace cairn
