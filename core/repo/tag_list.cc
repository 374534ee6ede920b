// SPDX-License-Identifier: Apache-2.0
#include "core/repo/tag_list.h"

#include <algorithm>

namespace cairn {
namespace {

constexpr std::string_view kBlanks = " \t";

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool StandsForUntagged(const TagList& list) { return list.size() == 1 && list[0].empty(); }

}  // namespace

StatusOr<TagList> ParseTagList(std::string_view text) {
  TagList list;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(',', start), text.size());
    list.emplace_back(Trim(text.substr(start, end - start)));
    start = end + 1;
  }
  if (list.size() > 1 && std::find(list.begin(), list.end(), "") != list.end()) {
    return InvalidArgument("empty tag in the list '" + std::string(text) +
                           "': write tags with one comma between them");
  }
  return list;
}

bool HasAllTags(const std::vector<std::string>& tags, const TagList& list) {
  if (StandsForUntagged(list)) return tags.empty();
  return std::all_of(list.begin(), list.end(), [&](const std::string& tag) {
    return std::find(tags.begin(), tags.end(), tag) != tags.end();
  });
}

bool MatchesAnyTagList(const std::vector<std::string>& tags, const std::vector<TagList>& lists) {
  return std::any_of(lists.begin(), lists.end(),
                     [&](const TagList& list) { return HasAllTags(tags, list); });
}

std::string FormatTagList(const TagList& list) {
  std::string text;
  for (const std::string& tag : list) {
    if (!text.empty()) text += ',';
    text += tag;
  }
  return text;
}

}  // namespace cairn
