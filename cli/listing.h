// SPDX-License-Identifier: Apache-2.0
// Entries of a tree as lists show them.
#pragma once

#include <string>
#include <string_view>

#include "core/tree/entry.h"

namespace cairn {

// "file", "dir", "symlink", "fifo", "socket", "chardev", "dev".
const char* ShortTypeName(EntryType type);

// "drwxr-xr-x", as `ls -l` has it. A directory on the way to a source shows question marks.
std::string PermissionsText(const Entry& entry);

// As `ls -l`: type and permissions, numeric owner and group, size or device, local time, name and
// a symlink's target. The name is escaped here.
std::string LongLine(const std::string& path, const Entry& entry);

}  // namespace cairn
