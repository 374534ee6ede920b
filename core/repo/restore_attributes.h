// SPDX-License-Identifier: Apache-2.0
// Whether what is in the target is what the snapshot has, by metadata.
#pragma once

#include <cstddef>
#include <string>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/fs/file_status.h"
#include "core/fs/target.h"
#include "core/tree/entry.h"

namespace cairn {

// Type, size, device and mtime: what a restore of changed files alone goes by.
bool LooksTheSame(const FileStatus& status, const Entry& entry);
// The same, for a file system that may have cut the mtime to whole seconds.
bool IsAsRestored(const FileStatus& status, const Entry& entry);
// Owner, mode, mtime or extended attributes; those whose values stand in blobs count as different.
StatusOr<bool> AttributesDiffer(TargetDirectory& directory, const std::string& name,
                                const FileStatus& status, const Entry& entry);

// What a directory has that only leads to what is restored: mode 0755 by the umask, all else as it
// is.
StatusOr<Attributes> AttributesOfNewDirectory(TargetDirectory& directory);

// About what an entry's attributes take in memory.
size_t AttributeBytes(const Entry& entry);

}  // namespace cairn
