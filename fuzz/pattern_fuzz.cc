// SPDX-License-Identifier: Apache-2.0
// Lines: the last is a path, those before it are patterns. What matches a path is announced for
// every directory on the way to it, and one pattern alone agrees with a matcher that tries all.
#include <fnmatch.h>

#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/fs/exclude.h"

namespace cairn {
namespace {

// Longer ones only make the matcher that tries all slow.
constexpr size_t kMaxParts = 12;

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::vector<std::string> PartsOf(std::string_view path) {
  std::vector<std::string> parts = Split(path, '/');
  std::erase(parts, "");
  return parts;
}

bool TryAll(const std::vector<std::string>& pattern, size_t i, const std::vector<std::string>& path,
            size_t j) {
  if (i == pattern.size()) return j == path.size();
  if (pattern[i] == "**") {
    if (i + 1 == pattern.size()) return j < path.size();
    return TryAll(pattern, i + 1, path, j) || (j < path.size() && TryAll(pattern, i, path, j + 1));
  }
  return j < path.size() && ::fnmatch(pattern[i].c_str(), path[j].c_str(), 0) == 0 &&
         TryAll(pattern, i + 1, path, j + 1);
}

bool TryAll(const std::string& pattern, const std::vector<std::string>& path) {
  std::vector<std::string> parts = PartsOf(pattern);
  if (!pattern.starts_with('/')) parts.insert(parts.begin(), "**");
  if (parts.size() > kMaxParts) parts.clear();
  return TryAll(parts, 0, path, 0);
}

void MatchLines(std::vector<std::string> lines) {
  const std::vector<std::string> path = PartsOf(lines.back());
  lines.pop_back();
  std::string clean;
  std::vector<std::string> ancestors;
  for (const std::string& part : path) {
    ancestors.push_back(clean.empty() ? "/" : clean);
    clean += "/" + part;
  }
  if (path.empty() || clean.find('\0') != std::string::npos) return;

  PatternList list;
  for (const std::string& line : lines) list.Add(line).IgnoreError();
  for (const bool is_directory : {false, true}) {
    if (!list.Matches(clean, is_directory)) continue;
    for (const std::string& ancestor : ancestors) CHECK(list.MayMatchBelow(ancestor));
  }
  if (list.patterns().size() != 1 || path.size() > kMaxParts) return;
  const std::string& pattern = list.patterns().front();
  if (pattern.starts_with('!') || PartsOf(pattern).size() + 1 > kMaxParts) return;
  CHECK(list.Matches(clean, /*is_directory=*/true) == TryAll(pattern, path));
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A source's path and a line of rules; longer ones take time and show nothing new.
  if (size > 2048) return 0;
  cairn::MatchLines(cairn::Split(cairn::AsText({data, size}), '\n'));
  return 0;
}
