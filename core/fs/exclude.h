// SPDX-License-Identifier: Apache-2.0
// Which paths a snapshot leaves out, and which a restore picks. Patterns are restic's and git's
// kin: shell wildcards, `**` for any number of directories, a leading '/' anchors at the root, a
// pattern without one matches at any depth, a leading '!' takes back.
//
//   *.o            every name that ends in .o, at any depth
//   build/out      "out" in a directory "build", at any depth
//   /home/*/.cache from the root on; `*`, `?` and `[a-z]` match within one part of a path, and
//                  names that begin with a dot too
//   /srv/**/tmp    "tmp" anywhere below /srv, also directly in it
//   /srv/**        all that is in /srv, at any depth, but not /srv itself
//   cache/         directories only
//   !keep.o        takes back what an earlier pattern matched
//   \!x  \*        '\' takes a character's meaning from it
//
// A match stands for all that is in a directory: who leaves out (or picks) a directory does so with
// everything below it, without asking for that. So what lies in an excluded directory cannot be
// taken back: exclude what is in it instead, "/a/*", then "!/a/keep".
//
// Patterns and paths are bytes, compared without regard to Unicode or case.
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
  // INVALID_ARGUMENT for a pattern that cannot match anything (empty, "/", with a part "." or "..",
  // or a '\' at the end of a part) or has an unclosed bracket.
  Status Add(std::string_view pattern);
  // One pattern a line; '#' comments and empty lines are skipped; blanks at a line's end do not
  // count unless the first has a '\' before it. Errors name the line.
  Status AddFile(const std::string& path);

  bool empty() const { return rules_.empty(); }
  // `path` is absolute and lexically clean ("/a/b"). The last rule that matches wins; "/" matches
  // none.
  bool Matches(std::string_view path, bool is_directory) const;
  // Whether something below the directory may match (for --include: where to descend).
  bool MayMatchBelow(std::string_view directory) const;
  // For the snapshot object and the key of the change cache.
  const std::vector<std::string>& patterns() const { return patterns_; }

 private:
  struct Part {
    enum class Kind : uint8_t {
      kLiteral,
      kAnyName,  // "*"
      kWildcard,
      kAnyDepth,  // "**": no part of the path, or any number of them
    };
    Kind kind = Kind::kLiteral;
    std::string text;

    bool Matches(const char* name) const;
  };
  struct Rule {
    // From the root on: a pattern that is not anchored begins with kAnyDepth.
    std::vector<Part> parts;
    bool negated = false;
    bool directories_only = false;

    bool Matches(const std::vector<const char*>& path) const;
    bool MayMatchBelow(const std::vector<const char*>& directory) const;
  };
  static StatusOr<Rule> Parse(std::string_view pattern);
  static StatusOr<Part> ParsePart(std::string_view text);

  std::vector<Rule> rules_;
  std::vector<std::string> patterns_;
};

}  // namespace cairn
