// SPDX-License-Identifier: Apache-2.0
// Removing whole trees from the target.
#pragma once

#include <string>

#include "core/base/status.h"

namespace cairn {

// Removes what has this name in `directory`; of a directory all that is in it. Never follows a
// symlink and never enters another mount or file system: FAILED_PRECONDITION, whose content is
// untouched. Memory and descriptors do not grow with the tree but for a few words a level.
// NOT_FOUND if there is nothing. REQUIRES: `name` is a valid entry name. Thread-safe.
Status RemoveTree(int directory, const std::string& name);

}  // namespace cairn
