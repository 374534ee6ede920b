// SPDX-License-Identifier: Apache-2.0
// The paths that a snapshot is to hold, and what is left out of them without being asked.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace cairn {

// The path from the root on, without "//", "." and "..", and without a slash at its end. A symlink
// is not followed, except where ".." leads out of one. Relative paths begin at $PWD, if that is
// where the process is. INVALID_ARGUMENT for an empty path.
StatusOr<std::string> AbsolutePath(std::string_view path);

// The paths in `file` ("-" is standard input): one a line, or ended by NULs if there are any.
// Empty ones do not count.
StatusOr<std::vector<std::string>> ReadPathList(const std::string& file);

// An exclude pattern that matches this absolute path, whatever characters it has.
std::string PatternOfPath(std::string_view path);

// Whether the path leads, over whatever symlinks, to the root of the file system.
bool IsRootDirectory(const std::string& path);

// Where `directory`, which is cairn's own, is found within `sources`, as the walk will meet it;
// none if it is not below any. INVALID_ARGUMENT if a source is the directory itself, or lies in it.
StatusOr<std::vector<std::string>> PlacesWithin(const std::vector<std::string>& sources,
                                                const std::string& directory);

}  // namespace cairn
