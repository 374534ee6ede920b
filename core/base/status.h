// SPDX-License-Identifier: Apache-2.0
// Errors are values: absl::Status and absl::StatusOr, everywhere in core/.
//
// What the codes mean here (docs/design.md, "Errors"):
//   DATA_LOSS            bytes that were read are wrong: checksum, structure, a missing blob
//   NOT_FOUND            absent, and that may be fine
//   ALREADY_EXISTS       the name is taken
//   FAILED_PRECONDITION  the repository or target is not in a state that allows this
//   ABORTED              another process was first; look again and retry
//   RESOURCE_EXHAUSTED   disk full, or a limit reached
//   PERMISSION_DENIED    the operating system refused
//   UNAVAILABLE          other I/O errors
//   INVALID_ARGUMENT     the caller's input
//   UNIMPLEMENTED        a format or feature that this version does not know
//   UNAUTHENTICATED      the password or key is wrong, missing, or not asked for
//   CANCELLED            interrupted
//   INTERNAL             a bug of cairn
//
// An error's Status crosses threads by move only (copies of one Status in several threads are
// reported by ThreadSanitizer with Debian's uninstrumented Abseil).
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cairn {

using absl::Status;
using absl::StatusCode;
using absl::StatusOr;

inline Status OkStatus() { return Status(); }

Status MakeError(StatusCode code, std::string_view message);

Status DataLoss(std::string_view message);
Status NotFound(std::string_view message);
Status AlreadyExists(std::string_view message);
Status FailedPrecondition(std::string_view message);
Status Aborted(std::string_view message);
Status ResourceExhausted(std::string_view message);
Status Unavailable(std::string_view message);
Status InvalidArgument(std::string_view message);
Status Unimplemented(std::string_view message);
Status Unauthenticated(std::string_view message);
Status Cancelled(std::string_view message);
Status Internal(std::string_view message);

// "OPERATION OBJECT: strerror", with the code that fits `error_number`.
Status ErrnoError(int error_number, std::string_view operation, std::string_view object);

// The same code with "CONTEXT: " before the message; OK stays OK.
Status Annotate(const Status& status, std::string_view context);

// Whether what was read is wrong or missing (DATA_LOSS, NOT_FOUND), rather than the means of
// reading.
inline bool IsDamage(const Status& status) {
  return status.code() == StatusCode::kDataLoss || status.code() == StatusCode::kNotFound;
}

// The message as the standard's string_view (Debian's Abseil has a type of its own).
std::string_view Message(const Status& status);

}  // namespace cairn

#define CAIRN_CONCAT_INNER(a, b) a##b
#define CAIRN_CONCAT(a, b) CAIRN_CONCAT_INNER(a, b)

// Returns from the enclosing function if `expr` is an error.
#define RETURN_IF_ERROR(expr)                                              \
  do {                                                                     \
    if (::cairn::Status status_of_macro = (expr); !status_of_macro.ok()) { \
      return status_of_macro;                                              \
    }                                                                      \
  } while (false)

// ASSIGN_OR_RETURN(auto x, F()): declares or assigns `x`, or returns F()'s error.
#define ASSIGN_OR_RETURN(lhs, expr) \
  CAIRN_ASSIGN_OR_RETURN_INNER(CAIRN_CONCAT(status_or_, __LINE__), lhs, expr)
#define CAIRN_ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                                 \
  if (!tmp.ok()) return std::move(tmp).status();     \
  lhs = *std::move(tmp)
