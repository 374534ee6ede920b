// SPDX-License-Identifier: Apache-2.0
#include "core/repo/source_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::Optional;

TEST(SourceRulesTest, AreReadAsTheyWereWritten) {
  SourceRules rules;
  ASSERT_OK(rules.excludes.Add("*.o"));
  rules.exclude_caches = true;
  rules.exclude_if_present = {".nobackup"};
  rules.exclude_larger_than = 123'456;
  rules.one_file_system = true;
  ASSERT_OK_AND_ASSIGN(const SourceRules read, ParseRules(RulesText(rules)));
  EXPECT_EQ(RulesText(read), RulesText(rules));
  EXPECT_THAT(read.exclude_larger_than, Optional(123'456U));
}

TEST(SourceRulesTest, APatternThatLooksLikeAnotherRuleStaysAPattern) {
  SourceRules rules;
  for (const char* pattern : {"# caches", "# a rule of the future", "#x"}) {
    ASSERT_OK(rules.excludes.Add(pattern));
  }
  ASSERT_OK_AND_ASSIGN(const SourceRules read, ParseRules(RulesText(rules)));
  EXPECT_FALSE(read.exclude_caches);
  for (const char* path : {"/a/# caches", "/# a rule of the future", "/#x"}) {
    EXPECT_TRUE(rules.excludes.Matches(path, false)) << path;
    EXPECT_TRUE(read.excludes.Matches(path, false)) << path;
  }
  EXPECT_EQ(RulesText(read), RulesText(rules));
}

TEST(SourceRulesTest, WhatIsNoLineIsRefused) {
  SourceRules rules;
  EXPECT_OK(CheckRules(rules));
  rules.exclude_if_present = {"a\nb"};
  EXPECT_THAT(CheckRules(rules), StatusIs(StatusCode::kInvalidArgument));
  rules.exclude_if_present.clear();
  ASSERT_OK(rules.excludes.Add("a\nb"));
  EXPECT_THAT(CheckRules(rules), StatusIs(StatusCode::kInvalidArgument));
}

// By rules that are taken for others a restore would delete what the snapshot left out.
TEST(SourceRulesTest, OnesThatAreNotUnderstoodAreRefused) {
  for (const char* text :
       {"# larger-than ", "# larger-than x", "# larger-than 12x", "# larger-than -1",
        "# larger-than 99999999999999999999", "*.o\n# newer-than 5\n"}) {
    EXPECT_THAT(ParseRules(text).status(), StatusIs(StatusCode::kInvalidArgument)) << text;
  }
}

}  // namespace
}  // namespace cairn::testing
