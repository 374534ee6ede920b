// SPDX-License-Identifier: Apache-2.0
#include "core/repo/tag_list.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOkAndHolds;
using testing::StatusIs;

TEST(TagListTest, CommasSeparateAndBlanksAroundTagsAreDropped) {
  EXPECT_THAT(ParseTagList("a"), IsOkAndHolds(ElementsAre("a")));
  EXPECT_THAT(ParseTagList("a, b c ,d"), IsOkAndHolds(ElementsAre("a", "b c", "d")));
  EXPECT_THAT(ParseTagList(" "), IsOkAndHolds(ElementsAre("")));
}

TEST(TagListTest, RefusesAnEmptyTagAmongOthers) {
  for (const char* text : {",", "a,", ",a", "a,,b"}) {
    EXPECT_THAT(ParseTagList(text), StatusIs(StatusCode::kInvalidArgument, HasSubstr(text)));
  }
}

TEST(TagListTest, AListMeansAllOfItsTags) {
  EXPECT_TRUE(HasAllTags({"b", "c", "a"}, {"a", "b"}));
  EXPECT_FALSE(HasAllTags({"a"}, {"a", "b"}));
  EXPECT_FALSE(HasAllTags({}, {"a"}));
}

TEST(TagListTest, TheEmptyTagMeansUntagged) {
  EXPECT_TRUE(HasAllTags({}, {""}));
  EXPECT_FALSE(HasAllTags({"a"}, {""}));
}

TEST(TagListTest, OfSeveralListsAnyMayMatch) {
  EXPECT_TRUE(MatchesAnyTagList({"c"}, {{"a", "b"}, {"c"}}));
  EXPECT_FALSE(MatchesAnyTagList({"a"}, {{"a", "b"}, {"c"}}));
  EXPECT_FALSE(MatchesAnyTagList({"a"}, {}));
}

TEST(TagListTest, FormatsAsItIsWritten) {
  EXPECT_EQ(FormatTagList({"a", "b"}), "a,b");
  EXPECT_EQ(FormatTagList({""}), "");
}

}  // namespace
}  // namespace cairn
