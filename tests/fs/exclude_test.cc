// SPDX-License-Identifier: Apache-2.0
#include "core/fs/exclude.h"

#include "tests/fs/temp_tree.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;
using testing::TempTree;

struct PatternCase {
  const char* pattern;
  const char* path;
  bool matches;
};

void ExpectAll(const std::vector<PatternCase>& cases, bool is_directory = false) {
  for (const PatternCase& c : cases) {
    PatternList list;
    ASSERT_OK(list.Add(c.pattern));
    EXPECT_EQ(list.Matches(c.path, is_directory), c.matches) << c.pattern << " on " << c.path;
  }
}

PatternList ListOf(const std::vector<std::string>& patterns) {
  PatternList list;
  for (const std::string& pattern : patterns) EXPECT_OK(list.Add(pattern));
  return list;
}

TEST(PatternListTest, AnUnanchoredPatternMatchesAtAnyDepth) {
  ExpectAll({
      {"foo", "/foo", true},
      {"foo", "/a/b/foo", true},
      {"foo", "/a/foo/b", false},  // the directory foo stands for it
      {"foo", "/a/foobar", false},
      {"foo", "/a/xfoo", false},
      {"a/b", "/a/b", true},
      {"a/b", "/x/y/a/b", true},
      {"a/b", "/x/a/c/b", false},
      {"a/b", "/b", false},
  });
}

TEST(PatternListTest, ASlashInFrontAnchorsAtTheRoot) {
  ExpectAll({
      {"/foo", "/foo", true},
      {"/foo", "/a/foo", false},
      {"/a/b", "/a/b", true},
      {"/a/b", "/a/b/c", false},
      {"/a/b", "/x/a/b", false},
      {"/a//b", "/a/b", true},
  });
}

TEST(PatternListTest, WildcardsStayWithinOnePart) {
  ExpectAll({
      {"*.o", "/src/main.o", true},
      {"*.o", "/src/main.c", false},
      {"*.o", "/.o", true},  // a dot in front is a character like others
      {"*", "/anything", true},
      {"/*", "/a", true},
      {"/*", "/a/b", false},
      {"/home/*/.cache", "/home/me/.cache", true},
      {"/home/*/.cache", "/home/me/x/.cache", false},
      {"fo?", "/foo", true},
      {"fo?", "/fo", false},
      {"f?o", "/f/o", false},
      {"[a-c]x", "/bx", true},
      {"[a-c]x", "/dx", false},
      {"[!a]x", "/bx", true},
      {"[^a]x", "/ax", false},
      {"[]]x", "/]x", true},
      {"[[:digit:]]", "/7", true},
      {"[[:digit:]]", "/d", false},
      {"a**b", "/axxb", true},
  });
}

TEST(PatternListTest, TwoStarsMatchAnyNumberOfDirectories) {
  ExpectAll({
      {"/a/**/b", "/a/b", true},
      {"/a/**/b", "/a/x/b", true},
      {"/a/**/b", "/a/x/y/z/b", true},
      {"/a/**/b", "/a/x/y/z/c", false},
      {"/a/**/b", "/b", false},
      {"/a/**", "/a/x/y", true},
      {"/a/**", "/a", false},
      {"**/b", "/b", true},
      {"**/b", "/x/b", true},
      {"/**/b", "/x/y/b", true},
      {"**", "/x", true},
      {"a/**/**/b", "/a/b", true},
      {"/a/**/b/**/c", "/a/b/b/c", true},
      {"/a/**/b/**/c", "/a/c/b/x/c", true},
      {"/a/**/b/**/c", "/a/c/x/c", false},
      {"/a/**/b/c/**/d", "/a/b/x/b/c/d", true},
      {"/a/*/**/b", "/a/b", false},
      {"/a/*/**/b", "/a/x/b", true},
  });
}

TEST(PatternListTest, ASlashAtTheEndMatchesDirectoriesOnly) {
  ExpectAll({{"cache/", "/a/cache", true}, {"/a/**/", "/a/b", true}}, /*is_directory=*/true);
  ExpectAll({{"cache/", "/a/cache", false}, {"/a/**/", "/a/b", false}}, /*is_directory=*/false);
}

TEST(PatternListTest, ABackslashTakesTheMeaningFromACharacter) {
  ExpectAll({
      {"\\*", "/*", true},
      {"\\*", "/x", false},
      {"\\!x", "/!x", true},
      {"a\\[b", "/a[b", true},
      {"a\\[*", "/a[xyz", true},
      {"\\\\", "/\\", true},
      {"[\\]]", "/]", true},
  });
}

TEST(PatternListTest, NamesAreBytes) {
  ExpectAll({
      {"*\xff", "/\xfe\xff", true},
      {"\xff", "/\xff", true},
      {"\xff", "/\xfe", false},
      {"??", "/\xfe\xff", true},
  });
}

TEST(PatternListTest, TheLastRuleThatMatchesWins) {
  const PatternList list = ListOf({"*.log", "!keep.log", "/tmp/*"});
  EXPECT_TRUE(list.Matches("/a/x.log", false));
  EXPECT_FALSE(list.Matches("/a/keep.log", false));
  EXPECT_TRUE(list.Matches("/tmp/keep.log", false));
  EXPECT_FALSE(list.Matches("/a/x.txt", false));
}

TEST(PatternListTest, WhatIsInADirectoryCanBeTakenBack) {
  const PatternList list = ListOf({"/a/*", "!/a/keep"});
  EXPECT_FALSE(list.Matches("/a", true));
  EXPECT_TRUE(list.Matches("/a/x", false));
  EXPECT_FALSE(list.Matches("/a/keep", true));
}

TEST(PatternListTest, TheRootIsNeverMatched) {
  EXPECT_FALSE(ListOf({"*", "**", "/**"}).Matches("/", true));
}

TEST(PatternListTest, WithoutRulesNothingMatches) {
  const PatternList list;
  EXPECT_TRUE(list.empty());
  EXPECT_FALSE(list.Matches("/a", false));
  EXPECT_FALSE(list.MayMatchBelow("/"));
}

TEST(PatternListTest, RefusesWhatCannotMatch) {
  for (const char* pattern : {"", "!", "/", "//", "!/", "a/./b", "../x", "..", "[a", "[", "[]",
                              "[!]", "x[[:alpha:]", "a[/]b", "x\\", "x\\/y", "[a\\]"}) {
    PatternList list;
    EXPECT_THAT(list.Add(pattern), StatusIs(StatusCode::kInvalidArgument)) << pattern;
    EXPECT_TRUE(list.empty());
    EXPECT_TRUE(list.patterns().empty());
  }
  EXPECT_THAT(PatternList().Add(std::string_view("a\0b", 3)),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(PatternListTest, RemembersItsPatternsAsGiven) {
  EXPECT_THAT(ListOf({"!a/", "/b//c"}).patterns(), ElementsAre("!a/", "/b//c"));
}

TEST(PatternListTest, SaysWhereSomethingBelowMayMatch) {
  struct BelowCase {
    const char* pattern;
    const char* directory;
    bool may;
  };
  const BelowCase cases[] = {
      {"foo", "/anywhere", true},  {"/a/b/c", "/", true},     {"/a/b/c", "/a", true},
      {"/a/b/c", "/a/b", true},    {"/a/b/c", "/a/x", false}, {"/a/b/c", "/x", false},
      {"/a/b", "/a/b", false},     {"/a/b", "/a/b/c", false}, {"/*/b", "/x", true},
      {"/a/**/b", "/a/x/y", true}, {"/a/**/b", "/b", false},  {"!/a/b", "/a", false},
  };
  for (const BelowCase& c : cases) {
    EXPECT_EQ(ListOf({c.pattern}).MayMatchBelow(c.directory), c.may)
        << c.pattern << " below " << c.directory;
  }
}

TEST(PatternListTest, ReadsAFileOfPatterns) {
  const TempTree tree;
  tree.Write("rules",
             "# a comment\n"
             "\n"
             "*.o  \t\n"
             "!keep.o\r\n"
             "\\#hash\n"
             "blank\\ \n"
             "back\\\\ \n"
             "last");
  PatternList list;
  ASSERT_OK(list.AddFile(tree.Path("rules")));
  EXPECT_THAT(list.patterns(),
              ElementsAre("*.o", "!keep.o", "\\#hash", "blank\\ ", "back\\\\", "last"));
  EXPECT_TRUE(list.Matches("/#hash", false));
  EXPECT_TRUE(list.Matches("/blank ", false));
  EXPECT_TRUE(list.Matches("/back\\", false));
}

TEST(PatternListTest, NamesTheLineOfABadPattern) {
  const TempTree tree;
  tree.Write("rules", "a\n[b\n");
  PatternList list;
  EXPECT_THAT(list.AddFile(tree.Path("rules")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("rules:2: pattern \"[b\"")));
}

TEST(PatternListTest, AMissingFileIsNotFound) {
  PatternList list;
  EXPECT_THAT(list.AddFile("/nonexistent/rules"),
              StatusIs(StatusCode::kNotFound, HasSubstr("/nonexistent/rules")));
}

}  // namespace
}  // namespace cairn
