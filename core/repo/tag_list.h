// SPDX-License-Identifier: Apache-2.0
// Lists of tags as options take them: `--tag a,b`, `--keep-tag a,b`. One list means all of its
// tags; the option given again adds another list, of which any may match.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace cairn {

// Never empty as ParseTagList makes it. {""} stands for "no tags at all".
using TagList = std::vector<std::string>;

// "a,b", with blanks around tags dropped. "" is the list of the untagged. INVALID_ARGUMENT for an
// empty tag among others ("a,,b"), which is a slip more often than a wish.
StatusOr<TagList> ParseTagList(std::string_view text);

// Whether `tags` has all of `list`; for {""} whether it is empty.
bool HasAllTags(const std::vector<std::string>& tags, const TagList& list);

// Whether `tags` has all of any one of `lists`.
bool MatchesAnyTagList(const std::vector<std::string>& tags, const std::vector<TagList>& lists);

// The inverse of ParseTagList.
std::string FormatTagList(const TagList& list);

}  // namespace cairn
