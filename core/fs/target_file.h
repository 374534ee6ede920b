// SPDX-License-Identifier: Apache-2.0
// The TargetFile that lies in a directory of the live file system.
#pragma once

#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/fs/target.h"
#include "core/fs/target_place.h"

namespace cairn {

// `directory` is the handle's, open; `gives_acls`: its files get access control lists from it.
// REQUIRES: `name` is a valid entry name.
StatusOr<std::unique_ptr<TargetFile>> CreateTargetFile(TargetHandle handle, int directory,
                                                       bool gives_acls, std::string name);

}  // namespace cairn
