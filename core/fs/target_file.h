// SPDX-License-Identifier: Apache-2.0
// The TargetFile that lies in a directory of the live file system.
#pragma once

#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/fs/target.h"
#include "core/fs/target_place.h"

namespace cairn {

// What new files of a directory are like.
struct NewFileTraits {
  bool get_acls = true;         // by the directory's default access control list
  bool may_be_unnamed = false;  // can get their name when they are complete
};
NewFileTraits NewFileTraitsOf(int directory);

// `directory` is the handle's, open. REQUIRES: `name` is a valid entry name.
StatusOr<std::unique_ptr<TargetFile>> CreateTargetFile(TargetHandle handle, int directory,
                                                       const NewFileTraits& traits,
                                                       std::string name);

}  // namespace cairn
