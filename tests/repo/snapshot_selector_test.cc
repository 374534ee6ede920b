// SPDX-License-Identifier: Apache-2.0
#include "core/repo/snapshot_selector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/repo/scoped_time_zone.h"
#include "tests/repo/snapshot_builder.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::MakeSnapshot;
using ::testing::Not;
using ::testing::Optional;
using testing::ScopedTimeZone;
using testing::StatusIs;
using testing::Utc;
using Kind = SnapshotSelector::Kind;

const Timestamp kAfternoon = {Utc(2026, 11, 20, 14, 30), 0};

StatusOr<SnapshotSelector> ParseSelector(std::string_view text, bool path_allowed = true) {
  return ParseSnapshotSelector(text, kAfternoon, path_allowed);
}

class ListFinder : public SnapshotFinder {
 public:
  explicit ListFinder(const std::vector<SnapshotInfo>& all) : by_time_(all), by_id_(all) {
    std::ranges::sort(by_time_, [](const auto& a, const auto& b) { return IsOlder(b, a); });
    std::ranges::sort(by_id_, {}, &SnapshotInfo::id);
  }
  Status ForEachSnapshotBefore(const Timestamp& latest, Visitor visit) override {
    for (const SnapshotInfo& snapshot : by_time_) {
      if (snapshot.time > latest) continue;
      ++visited;
      if (!visit(snapshot)) break;
    }
    return OkStatus();
  }
  Status ForEachSnapshotFrom(const SnapshotId& first, Visitor visit) override {
    for (const SnapshotInfo& snapshot : by_id_) {
      if (snapshot.id < first) continue;
      ++visited;
      if (!visit(snapshot)) break;
    }
    return OkStatus();
  }

  int visited = 0;

 private:
  std::vector<SnapshotInfo> by_time_;
  std::vector<SnapshotInfo> by_id_;
};

// The record of what `text` selects of `all`.
StatusOr<uint64_t> Select(std::string_view text, const std::vector<SnapshotInfo>& all,
                          const SnapshotFilter& filter = {}) {
  ASSIGN_OR_RETURN(const SnapshotSelector selector, ParseSelector(text));
  ListFinder finder(all);
  ASSIGN_OR_RETURN(const SnapshotInfo snapshot, SelectSnapshot(selector, finder, filter));
  return snapshot.record;
}

SnapshotInfo WithId(SnapshotInfo snapshot, std::string hex) {
  hex.resize(2 * SnapshotId::kBytes, '0');
  snapshot.id = SnapshotId::FromHex(hex).value_or(SnapshotId{});
  return snapshot;
}

TEST(ParseSnapshotSelectorTest, ReadsLatest) {
  ASSERT_OK_AND_ASSIGN(const SnapshotSelector latest, ParseSelector("latest"));
  EXPECT_EQ(latest.kind, Kind::kLatest);
  EXPECT_EQ(latest.back, 0u);
  EXPECT_EQ(latest.path, std::nullopt);
  ASSERT_OK_AND_ASSIGN(const SnapshotSelector second, ParseSelector("latest~2"));
  EXPECT_EQ(second.kind, Kind::kLatest);
  EXPECT_EQ(second.back, 2u);
  EXPECT_EQ(second.text, "latest~2");
}

TEST(ParseSnapshotSelectorTest, RefusesABadNumberAfterLatest) {
  for (const char* text : {"latest~", "latest~x", "latest~-1", "latest~1x", "latest~ 1",
                           "latest~99999999999999999999"}) {
    EXPECT_THAT(ParseSelector(text), StatusIs(StatusCode::kInvalidArgument, HasSubstr("latest~2")))
        << text;
  }
}

TEST(ParseSnapshotSelectorTest, ReadsIdsAndPrefixesInBothCases) {
  ASSERT_OK_AND_ASSIGN(const SnapshotSelector prefix, ParseSelector("AbC1"));
  EXPECT_EQ(prefix.kind, Kind::kIdPrefix);
  EXPECT_EQ(prefix.id_prefix, "abc1");
  EXPECT_OK(ParseSelector(std::string(64, 'f')));
}

TEST(ParseSnapshotSelectorTest, RefusesWhatNamesNoSnapshotAndSaysWhatDoes) {
  for (const char* text : {"", "newest", "12g4", "Latest", "latest2", "deadbeef~1", "0x12"}) {
    EXPECT_THAT(ParseSelector(text),
                StatusIs(StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("latest~N"), HasSubstr("`cairn snapshots`"))))
        << text;
  }
  EXPECT_THAT(ParseSelector(std::string(65, 'f')), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseSelector("abc"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("too short")));
}

TEST(ParseSnapshotSelectorTest, ReadsTimes) {
  const ScopedTimeZone scoped("Europe/Berlin");
  ASSERT_OK_AND_ASSIGN(const SnapshotSelector day, ParseSelector("@2026-11-20"));
  EXPECT_EQ(day.kind, Kind::kAsOf);
  EXPECT_EQ(day.as_of, (Timestamp{Utc(2026, 11, 20, 22, 59, 59), 999'999'999}));
  ASSERT_OK_AND_ASSIGN(const SnapshotSelector relative, ParseSelector("@-90min"));
  EXPECT_EQ(relative.as_of, (Timestamp{Utc(2026, 11, 20, 13), 0}));
  EXPECT_THAT(ParseSelector("@soon"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("'soon'")));
}

TEST(ParseSnapshotSelectorTest, ThePathBeginsAtTheFirstColon) {
  ASSERT_OK_AND_ASSIGN(const SnapshotSelector latest, ParseSelector("latest~1:/etc/a:b"));
  EXPECT_EQ(latest.back, 1u);
  EXPECT_EQ(latest.text, "latest~1");
  EXPECT_THAT(latest.path, Optional(std::string("/etc/a:b")));
  ASSERT_OK_AND_ASSIGN(const SnapshotSelector prefix, ParseSelector("abcd:/a:/b"));
  EXPECT_EQ(prefix.id_prefix, "abcd");
  EXPECT_THAT(prefix.path, Optional(std::string("/a:/b")));
}

TEST(ParseSnapshotSelectorTest, AfterATimeThePathBeginsAtTheFirstColonAndSlash) {
  const ScopedTimeZone scoped("UTC");
  ASSERT_OK_AND_ASSIGN(const SnapshotSelector selector,
                       ParseSelector("@2026-11-20T14:30:05:/a:/b"));
  EXPECT_EQ(selector.as_of.seconds, Utc(2026, 11, 20, 14, 30, 5));
  EXPECT_EQ(selector.text, "@2026-11-20T14:30:05");
  EXPECT_THAT(selector.path, Optional(std::string("/a:/b")));
  ASSERT_OK_AND_ASSIGN(const SnapshotSelector zoned, ParseSelector("@2026-11-20 14:30+01:00:/"));
  EXPECT_EQ(zoned.as_of.seconds, Utc(2026, 11, 20, 13, 30));
  EXPECT_THAT(zoned.path, Optional(std::string("/")));
  ASSERT_OK_AND_ASSIGN(const SnapshotSelector relative, ParseSelector("@-2d:/etc"));
  EXPECT_EQ(relative.as_of.seconds, Utc(2026, 11, 18, 14, 30));
}

TEST(ParseSnapshotSelectorTest, TidiesThePathAndKeepsItsBytes) {
  const auto path = [](std::string_view text) {
    const StatusOr<SnapshotSelector> selector = ParseSelector(text);
    EXPECT_OK(selector);
    return selector.ok() ? selector->path.value_or("none") : "";
  };
  EXPECT_EQ(path("latest:/"), "/");
  EXPECT_EQ(path("latest://"), "/");
  EXPECT_EQ(path("latest:/a//b/./c/"), "/a/b/c");
  EXPECT_EQ(path("latest:/..a/b../.c/..."), "/..a/b../.c/...");
  EXPECT_EQ(path("latest:/\xff\xfe \n"), "/\xff\xfe \n");
}

TEST(ParseSnapshotSelectorTest, RefusesPathsThatAreNotAbsoluteOrNotPlain) {
  for (const char* text : {"latest:", "latest:etc", "abcd:./etc"}) {
    EXPECT_THAT(ParseSelector(text),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("not absolute")))
        << text;
  }
  for (const char* text : {"latest:/..", "latest:/a/../b", "@now:/a/.."}) {
    EXPECT_THAT(ParseSelector(text), StatusIs(StatusCode::kInvalidArgument, HasSubstr("'..'")))
        << text;
  }
}

TEST(ParseSnapshotSelectorTest, RefusesAPathWhereNoneMayStand) {
  for (const char* text : {"latest:/etc", "abcd:", "@now:/etc"}) {
    EXPECT_THAT(ParseSelector(text, false),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("path")))
        << text;
  }
  EXPECT_OK(ParseSelector("@2026-11-20T14:30:05", false));
}

TEST(SelectSnapshotTest, LatestGoesByTimeThenByRecord) {
  const std::vector<SnapshotInfo> all = {MakeSnapshot(1, 200), MakeSnapshot(2, 100),
                                         MakeSnapshot(4, 300), MakeSnapshot(3, 300),
                                         MakeSnapshot(5, 200, 1)};
  EXPECT_THAT(Select("latest", all), testing::IsOkAndHolds(4u));
  EXPECT_THAT(Select("latest~0", all), testing::IsOkAndHolds(4u));
  EXPECT_THAT(Select("latest~1", all), testing::IsOkAndHolds(3u));
  EXPECT_THAT(Select("latest~2", all), testing::IsOkAndHolds(5u));
  EXPECT_THAT(Select("latest~3", all), testing::IsOkAndHolds(1u));
  EXPECT_THAT(Select("latest~4", all), testing::IsOkAndHolds(2u));
  EXPECT_THAT(
      Select("latest~5", all),
      StatusIs(StatusCode::kNotFound, AllOf(HasSubstr("only 5"), HasSubstr("`cairn snapshots`"))));
}

TEST(SelectSnapshotTest, LooksAtFewOfMany) {
  std::vector<SnapshotInfo> all;
  for (uint64_t i = 0; i < 100; ++i) {
    all.push_back(
        WithId(MakeSnapshot(i, static_cast<int64_t>(i)), "abc" + std::to_string(100 + i)));
  }
  const auto visited = [&](std::string_view text) {
    ListFinder finder(all);
    StatusOr<SnapshotSelector> selector = ParseSelector(text);
    EXPECT_OK(selector);
    EXPECT_THAT(SelectSnapshot(*selector, finder, {}), testing::IsOk());
    return finder.visited;
  };
  EXPECT_EQ(visited("latest"), 1);
  EXPECT_EQ(visited("latest~3"), 4);
  EXPECT_EQ(visited("@now"), 1);
  EXPECT_EQ(visited("abc150"), 2);
}

TEST(SelectSnapshotTest, ATimeMeansTheNewestAtOrBeforeIt) {
  const ScopedTimeZone scoped("UTC");
  const int64_t noon = Utc(2026, 11, 20, 12);
  const std::vector<SnapshotInfo> all = {MakeSnapshot(3, noon + 60), MakeSnapshot(1, noon - 60),
                                         MakeSnapshot(2, noon, 700), MakeSnapshot(4, noon, 700)};
  EXPECT_THAT(Select("@2026-11-20T11:59", all), testing::IsOkAndHolds(1u));
  EXPECT_THAT(Select("@2026-11-20T11:59:59.999999999", all), testing::IsOkAndHolds(1u));
  EXPECT_THAT(Select("@2026-11-20T12:00:00", all), testing::IsOkAndHolds(4u));
  EXPECT_THAT(Select("@2026-11-20T12:00:00.0000007", all), testing::IsOkAndHolds(4u));
  EXPECT_THAT(Select("@2026-11-20T12:00:00.0000006", all), testing::IsOkAndHolds(1u));
  EXPECT_THAT(Select("@2026-11-20", all), testing::IsOkAndHolds(3u));
  EXPECT_THAT(Select("@now", all), testing::IsOkAndHolds(3u));
  EXPECT_THAT(Select("@2026-11-20T11:58", all),
              StatusIs(StatusCode::kNotFound,
                       AllOf(HasSubstr("2026-11-20 11:59:00"), HasSubstr("`cairn snapshots`"))));
}

TEST(SelectSnapshotTest, AUniquePrefixSelects) {
  const std::vector<SnapshotInfo> all = {WithId(MakeSnapshot(1, 1), "abcd1"),
                                         WithId(MakeSnapshot(2, 2), "abcd2"),
                                         WithId(MakeSnapshot(3, 3), "abce")};
  EXPECT_THAT(Select("abcd1", all), testing::IsOkAndHolds(1u));
  EXPECT_THAT(Select("ABCD2", all), testing::IsOkAndHolds(2u));
  EXPECT_THAT(Select("abce", all), testing::IsOkAndHolds(3u));
  EXPECT_THAT(Select(all[0].id.Hex(), all), testing::IsOkAndHolds(1u));
  EXPECT_THAT(Select("abcf", all),
              StatusIs(StatusCode::kNotFound,
                       AllOf(HasSubstr("'abcf'"), HasSubstr("`cairn snapshots` lists them"))));
}

TEST(SelectSnapshotTest, AnAmbiguousPrefixListsCandidatesThatDiffer) {
  const ScopedTimeZone scoped("UTC");
  const std::vector<SnapshotInfo> all = {WithId(MakeSnapshot(1, 1), "abcd000000b"),
                                         WithId(MakeSnapshot(2, 2), "abcd000000a"),
                                         WithId(MakeSnapshot(3, 3), "ffff")};
  EXPECT_THAT(Select("abcd", all), StatusIs(StatusCode::kInvalidArgument,
                                            AllOf(HasSubstr("2 snapshots"),
                                                  HasSubstr("abcd000000a (1970-01-01 00:00:02), "
                                                            "abcd000000b (1970-01-01 00:00:01)"),
                                                  Not(HasSubstr("ffff")))));
}

TEST(SelectSnapshotTest, AnAmbiguousPrefixListsNoMoreThanTenCandidates) {
  std::vector<SnapshotInfo> all;
  for (uint64_t i = 0; i < 13; ++i) {
    all.push_back(WithId(MakeSnapshot(i, 1), std::string("abcd") + "0123456789abc"[i]));
  }
  EXPECT_THAT(Select("abcd", all), StatusIs(StatusCode::kInvalidArgument,
                                            AllOf(HasSubstr("abcd9000 "), Not(HasSubstr("abcda")),
                                                  HasSubstr("and 3 more"))));
}

TEST(SelectSnapshotTest, FiltersNarrowLatestAndTimesButNotIds) {
  SnapshotInfo mine = WithId(MakeSnapshot(1, 100), "aaaa");
  mine.tags = {"daily", "db"};
  mine.paths = {"/etc", "/home"};
  SnapshotInfo other = WithId(MakeSnapshot(2, 200), "bbbb");
  other.host = "other";
  other.tags = {"daily"};
  const std::vector<SnapshotInfo> all = {mine, other};
  for (const SnapshotFilter& filter :
       {SnapshotFilter{{"host", "third"}, {}, {}}, SnapshotFilter{{}, {{"x"}, {"db", "daily"}}, {}},
        SnapshotFilter{{}, {}, {"/home", "/etc"}}}) {
    EXPECT_THAT(Select("latest", all, filter), testing::IsOkAndHolds(1u));
    EXPECT_THAT(Select("@now", all, filter), testing::IsOkAndHolds(1u));
    EXPECT_THAT(Select("bbbb", all, filter), testing::IsOkAndHolds(2u));
    EXPECT_FALSE(filter.IsEmpty());
  }
  EXPECT_THAT(Select("latest", all), testing::IsOkAndHolds(2u));
  const SnapshotFilter nothing = {{"host"}, {{"x"}}, {}};
  EXPECT_THAT(Select("latest", all, nothing),
              StatusIs(StatusCode::kNotFound, AllOf(HasSubstr("--host"), HasSubstr("--tag"))));
}

TEST(SelectSnapshotTest, AnEmptyRepositorySaysHowToTakeASnapshot) {
  for (const char* text : {"latest", "@now"}) {
    EXPECT_THAT(Select(text, {}), StatusIs(StatusCode::kNotFound, HasSubstr("cairn snapshot")));
  }
}

TEST(SelectSnapshotTest, LatestWalksTheWholeOrderWhateverTheInputs) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<SnapshotInfo> all;
    for (uint64_t i = 0; i < 1 + random() % 30; ++i) {
      all.push_back(MakeSnapshot(i, static_cast<int64_t>(random() % 8)));
    }
    std::vector<SnapshotInfo> ordered = all;
    std::sort(ordered.begin(), ordered.end(), IsOlder);
    std::shuffle(all.begin(), all.end(), random);
    for (size_t back = 0; back < ordered.size(); ++back) {
      ASSERT_THAT(Select("latest~" + std::to_string(back), all),
                  testing::IsOkAndHolds(ordered[ordered.size() - 1 - back].record));
    }
  }
}

TEST(SelectSnapshotTest, AnEmptyRepositorySaysHowToBegin) {
  for (const char* text : {"latest", "@2026-01-01"}) {
    EXPECT_THAT(Select(text, {}), StatusIs(StatusCode::kNotFound, HasSubstr("no snapshot yet")));
  }
}

}  // namespace
}  // namespace cairn
