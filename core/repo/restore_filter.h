// SPDX-License-Identifier: Apache-2.0
// Which of a snapshot's entries a restore takes.
#pragma once

#include <string>
#include <string_view>

#include "core/fs/exclude.h"

namespace cairn {

enum class Pick {
  kSkip,     // neither it nor what is below
  kPassage,  // a directory that is not asked for itself, but something below it may be
  kTake,     // it, and what is below unless that is excluded
};

// Immutable, thread-safe. Paths are absolute, as the snapshot has them.
class RestoreFilter {
 public:
  // Both outlive the filter.
  RestoreFilter(const PatternList& include, const PatternList& exclude)
      : include_(include), exclude_(exclude) {}

  bool takes_everything() const { return include_.empty() && exclude_.empty(); }
  // What holds in the directory above `top`, from where a walk begins.
  Pick Above(std::string_view top) const;
  // `above` is what was chosen for its directory, and not kSkip.
  Pick Choose(std::string_view path, bool is_directory, Pick above) const;
  // Whether what is no directory is taken; `path` is below `top`.
  bool Takes(std::string_view top, std::string_view path) const;

 private:
  const PatternList& include_;
  const PatternList& exclude_;
};

// "/a" and "b" to "/a/b", "/" and "b" to "/b".
std::string JoinPath(std::string_view directory, std::string_view name);

}  // namespace cairn
