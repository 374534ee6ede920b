// SPDX-License-Identifier: Apache-2.0
// Taking a place in a directory by one step, whatever has the name.
#pragma once

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "core/base/status.h"
#include "core/fs/source_directory.h"

namespace cairn {

// A directory of the target, and the pool that it is opened by.
struct TargetHandle {
  std::shared_ptr<DirectoryPool> pool;  // outlives `directory`
  std::shared_ptr<SourceDirectory> directory;
};

// Gives an ordinary user u+rwx on his own directory `name`, which lacks it. False if that cannot
// be.
bool GrantToOwner(int directory, const char* name);

// Calls `make` with temporary names until it does not fail with EEXIST. `make` returns 0 or more,
// or -1 with errno. Returns the name that was taken.
StatusOr<std::string> MakeTemporary(const std::string& name,
                                    absl::FunctionRef<int(const char* temporary)> make);

// Renames `temporary` over `name`, and removes it if that fails. FAILED_PRECONDITION if a directory
// or a mount point has the name.
Status MoveIntoPlace(int directory, const std::string& temporary, const std::string& name);

// Links to `name` by `link`, or, if the name is taken, to a temporary name that is then renamed.
// `link` returns 0, or -1 with errno; `failure` makes the error of an errno other than EEXIST.
Status LinkIntoPlace(int directory, const std::string& name,
                     absl::FunctionRef<int(const char* name)> link,
                     absl::FunctionRef<Status(int error)> failure);

}  // namespace cairn
