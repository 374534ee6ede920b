// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_filter.h"

namespace cairn {

Pick RestoreFilter::Above(std::string_view top) const {
  if (include_.empty()) return Pick::kTake;
  for (size_t slash = top.find('/', 1); slash != std::string_view::npos;
       slash = top.find('/', slash + 1)) {
    if (include_.Matches(top.substr(0, slash), /*is_directory=*/true)) return Pick::kTake;
  }
  return Pick::kPassage;
}

Pick RestoreFilter::Choose(std::string_view path, bool is_directory, Pick above) const {
  if (exclude_.Matches(path, is_directory)) return Pick::kSkip;
  if (above == Pick::kTake || include_.Matches(path, is_directory)) return Pick::kTake;
  return is_directory && include_.MayMatchBelow(path) ? Pick::kPassage : Pick::kSkip;
}

bool RestoreFilter::Takes(std::string_view top, std::string_view path) const {
  if (takes_everything()) return true;
  Pick pick = Choose(top, /*is_directory=*/true, Above(top));
  for (size_t slash = path.find('/', top == "/" ? 1 : top.size() + 1);
       slash != std::string_view::npos && pick != Pick::kSkip; slash = path.find('/', slash + 1)) {
    pick = Choose(path.substr(0, slash), /*is_directory=*/true, pick);
  }
  return pick != Pick::kSkip && Choose(path, /*is_directory=*/false, pick) == Pick::kTake;
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.ends_with('/')) path += '/';
  path += name;
  return path;
}

}  // namespace cairn
