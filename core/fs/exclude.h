// SPDX-License-Identifier: Apache-2.0
// Which paths a snapshot leaves out, and which a restore picks. Patterns are restic's and git's
// kin: shell wildcards, `**` for any number of directories, a leading '/' anchors at the root, a
// pattern without one matches at any depth, a leading '!' takes back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace cairn {

// Immutable after the last Add; thread-safe then.
class PatternList {
 public:
  // INVALID_ARGUMENT for a pattern that cannot match anything or has an unclosed bracket.
  Status Add(std::string_view pattern);
  // One pattern a line; '#' comments and empty lines are skipped.
  Status AddFile(const std::string& path);

  bool empty() const { return rules_.empty(); }
  // `path` is absolute ("/a/b"). The last rule that matches wins.
  bool Matches(std::string_view path, bool is_directory) const;
  // Whether something below the directory may match (for --include: where to descend).
  bool MayMatchBelow(std::string_view directory) const;
  // For the snapshot object and the key of the change cache.
  const std::vector<std::string>& patterns() const { return patterns_; }

 private:
  struct Rule {
    std::vector<std::string> parts;
    bool negated = false;
    bool anchored = false;
    bool directories_only = false;
  };
  std::vector<Rule> rules_;
  std::vector<std::string> patterns_;
};

}  // namespace cairn
