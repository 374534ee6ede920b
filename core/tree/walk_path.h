// SPDX-License-Identifier: Apache-2.0
// What the walk of one tree and the comparison of two share. For the files of this layer only.
#pragma once

#include <string>
#include <string_view>

#include "absl/strings/str_format.h"

namespace cairn {

// Of the directories that lead to the current place, so many hold their nodes. Hostile trees are
// deep: a node a directory would be gigabytes.
inline constexpr size_t kHeldDirectories = 64;

inline void AppendPathPart(std::string& path, std::string_view name) {
  if (!path.empty()) path += '/';
  path += name;
}

inline std::string DirectoryForMessage(std::string_view path) {
  return path.empty() ? "top directory" : absl::StrFormat("directory '%s'", path);
}

}  // namespace cairn
