// SPDX-License-Identifier: Apache-2.0
#include "core/fs/target_place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "core/base/hex.h"
#include "core/base/random.h"
#include "core/base/unique_fd.h"
#include "core/fs/file_status.h"
#include "core/fs/open_beneath.h"

namespace cairn {
namespace {

// 64 random bits do not meet twice, unless somebody makes them meet.
constexpr int kAttempts = 8;

std::string TemporaryName() {
  std::array<uint8_t, 8> random;
  FillRandom(random);
  return ".cairn-" + HexEncode(random);
}

}  // namespace

bool GrantToOwner(int directory, const char* name) {
  const UniqueFd fd(OpenBeneath(directory, name, O_PATH | O_DIRECTORY));
  if (!fd.valid()) return false;
  const StatusOr<FileStatus> status = StatAt(fd.get(), "");
  if (!status.ok() || status->uid != ::geteuid() || (status->mode & S_IRWXU) == S_IRWXU) {
    return false;
  }
  return ::chmod(absl::StrFormat("/proc/self/fd/%d", fd.get()).c_str(), status->mode | S_IRWXU) ==
         0;
}

StatusOr<std::string> MakeTemporary(const std::string& name,
                                    absl::FunctionRef<int(const char* temporary)> make) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string temporary = TemporaryName();
    if (make(temporary.c_str()) >= 0) return temporary;
    if (errno != EEXIST) break;
  }
  return ErrnoError(errno, "create", name);
}

Status MoveIntoPlace(int directory, const std::string& temporary, const std::string& name) {
  Status result;
  if (::renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) {
    const int error = errno;
    if (error == EISDIR || error == EEXIST || error == ENOTEMPTY) {
      result = FailedPrecondition("replace " + name + ": a directory has that name");
    } else if (error == EBUSY) {
      result = FailedPrecondition("replace " + name + ": it is a mount point");
    } else {
      result = ErrnoError(error, "replace", name);
    }
  }
  // A rename over another name of the same file does nothing and leaves both.
  ::unlinkat(directory, temporary.c_str(), 0);
  return result;
}

Status LinkIntoPlace(int directory, const std::string& name,
                     absl::FunctionRef<int(const char* name)> link,
                     absl::FunctionRef<Status(int error)> failure) {
  if (link(name.c_str()) == 0) return OkStatus();
  if (errno != EEXIST) return failure(errno);
  int error = EEXIST;
  StatusOr<std::string> temporary = MakeTemporary(name, [&](const char* candidate) {
    const int result = link(candidate);
    error = errno;
    return result;
  });
  if (!temporary.ok()) return failure(error);
  return MoveIntoPlace(directory, *temporary, name);
}

}  // namespace cairn
