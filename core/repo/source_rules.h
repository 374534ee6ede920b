// SPDX-License-Identifier: Apache-2.0
// Which parts of its sources a snapshot leaves out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/fs/exclude.h"

namespace cairn {

// A directory is a cache if it holds a file of this name that begins with this text
// (https://bford.info/cachedir/).
inline constexpr char kCacheTagName[] = "CACHEDIR.TAG";
inline constexpr std::string_view kCacheTag = "Signature: 8a477f597d28d172789f06886806bc55";

struct SourceRules {
  PatternList excludes;
  bool exclude_caches = false;                  // folders with a valid CACHEDIR.TAG
  std::vector<std::string> exclude_if_present;  // folders that hold an entry of such a name
  std::optional<uint64_t> exclude_larger_than;  // files, bytes
  bool one_file_system = false;
};

// As a snapshot keeps them: a line each, patterns as they are, the others after "# "
// (docs/format.md). ParseRules gives INVALID_ARGUMENT for a rule that is not known.
std::string RulesText(const SourceRules& rules);
StatusOr<SourceRules> ParseRules(std::string_view text);

// INVALID_ARGUMENT for a rule that cannot be kept so: read back it would be others, and a restore
// would delete what the snapshot left out.
Status CheckRules(const SourceRules& rules);

// Why the open `directory` is kept without what is in it; nothing if it is kept whole.
// `crosses_mount`: it lies in another file system than its source. Thread-safe.
std::optional<std::string> ReasonToEmpty(const SourceRules& rules, int directory,
                                         bool crosses_mount);

}  // namespace cairn
