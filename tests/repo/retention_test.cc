// SPDX-License-Identifier: Apache-2.0
#include "core/repo/retention.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/repo/scoped_time_zone.h"
#include "tests/repo/snapshot_builder.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOkAndHolds;
using testing::MakeSnapshot;
using ::testing::Pair;
using testing::ScopedTimeZone;
using testing::StatusIs;
using ::testing::UnorderedElementsAre;
using testing::Utc;

using Reasons = std::vector<std::string>;

const Timestamp kToday = {Utc(2027, 3, 1), 0};
constexpr int64_t kHour = 3600;
constexpr int64_t kDay = 24 * kHour;

// What is kept, by record, with its reasons.
std::map<uint64_t, Reasons> Kept(const RetentionPolicy& policy,
                                 const std::vector<SnapshotInfo>& snapshots,
                                 const Timestamp& now = kToday) {
  const StatusOr<std::vector<RetentionGroup>> groups = ApplyRetention(policy, snapshots, {}, now);
  EXPECT_OK(groups);
  std::map<uint64_t, Reasons> kept;
  if (!groups.ok()) return kept;
  size_t judged = 0;
  for (const RetentionGroup& group : *groups) {
    judged += group.decisions.size();
    for (const RetentionDecision& decision : group.decisions) {
      if (decision.keep()) kept[decision.snapshot.record] = decision.reasons;
    }
  }
  EXPECT_EQ(judged, snapshots.size());
  return kept;
}

// Records 1, 2, ... at these times.
std::vector<SnapshotInfo> At(const std::vector<int64_t>& times) {
  std::vector<SnapshotInfo> snapshots;
  for (const int64_t time : times) snapshots.push_back(MakeSnapshot(snapshots.size() + 1, time));
  return snapshots;
}

CalendarDuration Days(int64_t days) { return {.days = days}; }

TEST(RetentionTest, RefusesAnEmptyPolicy) {
  EXPECT_TRUE(RetentionPolicy{}.IsEmpty());
  EXPECT_THAT(ApplyRetention({}, At({1, 2}), {}, kToday),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("--keep-daily")));
}

TEST(RetentionTest, ZeroesAreNoRules) {
  RetentionPolicy policy;
  policy.daily = 0;
  ASSERT_OK_AND_ASSIGN(policy.within, ParseDuration("0d"));
  EXPECT_TRUE(policy.IsEmpty());
}

TEST(RetentionTest, AnyOneRuleMakesAPolicy) {
  EXPECT_FALSE((RetentionPolicy{.last = 1}).IsEmpty());
  EXPECT_FALSE((RetentionPolicy{.yearly = kKeepAll}).IsEmpty());
  EXPECT_FALSE((RetentionPolicy{.within = Days(1)}).IsEmpty());
  EXPECT_FALSE((RetentionPolicy{.within_weekly = Days(1)}).IsEmpty());
  EXPECT_FALSE((RetentionPolicy{.tags = {{"a"}}}).IsEmpty());
}

TEST(RetentionTest, RefusesNegativeCounts) {
  EXPECT_THAT(ApplyRetention({.last = 1, .monthly = -2}, At({1}), {}, kToday),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("-2")));
}

TEST(RetentionTest, OfNoSnapshotsNothingIsForgotten) {
  EXPECT_THAT(ApplyRetention({.last = 1}, {}, {}, kToday), IsOkAndHolds(IsEmpty()));
}

TEST(RetentionTest, DecisionsComeNewestFirst) {
  ASSERT_OK_AND_ASSIGN(const std::vector<RetentionGroup> groups,
                       ApplyRetention({.last = 1}, At({300, 100, 200}), {}, kToday));
  ASSERT_EQ(groups.size(), 1u);
  std::vector<uint64_t> records;
  for (const RetentionDecision& decision : groups[0].decisions) {
    records.push_back(decision.snapshot.record);
  }
  EXPECT_THAT(records, ElementsAre(1, 3, 2));
  EXPECT_EQ(groups[0].key.host, "host");
  EXPECT_THAT(groups[0].key.paths, ElementsAre("/home"));
}

TEST(RetentionTest, LastGoesByJournalNumberWhateverTheClientSaid) {
  // Records 1 and 2 claim to be from the far future, and 3 and 4 from long ago.
  const std::vector<SnapshotInfo> snapshots =
      At({Utc(2099, 1, 1), Utc(2099, 1, 2), Utc(1980, 1, 1), Utc(1990, 1, 1)});
  EXPECT_THAT(Kept({.last = 2}, snapshots),
              UnorderedElementsAre(Pair(4, Reasons{"last 1"}), Pair(3, Reasons{"last 2"})));
}

TEST(RetentionTest, LastUnlimitedKeepsAll) {
  EXPECT_EQ(Kept({.last = kKeepAll}, At({1, 2, 3})).size(), 3u);
}

TEST(RetentionTest, KeepsTheNewestOfEachDay) {
  const ScopedTimeZone scoped("Europe/Berlin");
  const std::vector<SnapshotInfo> snapshots =
      At({Utc(2026, 11, 17, 12), Utc(2026, 11, 18, 12), Utc(2026, 11, 18, 22, 59),
          Utc(2026, 11, 18, 23, 1),  // 00:01 on the 19th in Berlin
          Utc(2026, 11, 20, 8), Utc(2026, 11, 20, 9)});
  EXPECT_THAT(Kept({.daily = 3}, snapshots),
              UnorderedElementsAre(Pair(6, Reasons{"daily 2026-11-20"}),
                                   Pair(4, Reasons{"daily 2026-11-19"}),
                                   Pair(3, Reasons{"daily 2026-11-18"})));
}

TEST(RetentionTest, DaysWithoutSnapshotsDoNotCount) {
  const ScopedTimeZone scoped("UTC");
  const int64_t noon = Utc(2026, 11, 20, 12);
  EXPECT_EQ(Kept({.daily = 3}, At({noon - 300 * kDay, noon - 100 * kDay, noon})).size(), 3u);
}

TEST(RetentionTest, EachRuleCountsForItself) {
  const ScopedTimeZone scoped("UTC");
  const std::vector<SnapshotInfo> snapshots = At(
      {Utc(2026, 9, 30, 12), Utc(2026, 10, 31, 12), Utc(2026, 11, 20, 11), Utc(2026, 11, 20, 12)});
  EXPECT_THAT(
      Kept({.last = 1, .hourly = 1, .daily = 1, .weekly = 1, .monthly = 3, .yearly = 1}, snapshots),
      UnorderedElementsAre(Pair(4, Reasons{"last 1", "hourly 2026-11-20 12:00", "daily 2026-11-20",
                                           "weekly 2026-W47", "monthly 2026-11", "yearly 2026"}),
                           Pair(2, Reasons{"monthly 2026-10"}),
                           Pair(1, Reasons{"monthly 2026-09"})));
}

TEST(RetentionTest, TheOldestIsKeptWhileACountIsNotUsedUp) {
  const ScopedTimeZone scoped("UTC");
  const std::vector<SnapshotInfo> snapshots =
      At({Utc(2026, 3, 1), Utc(2026, 3, 15), Utc(2026, 3, 20), Utc(2026, 4, 1)});
  EXPECT_THAT(
      Kept({.monthly = 3}, snapshots),
      UnorderedElementsAre(Pair(4, Reasons{"monthly 2026-04"}), Pair(3, Reasons{"monthly 2026-03"}),
                           Pair(1, Reasons{"oldest monthly"})));
  EXPECT_THAT(Kept({.monthly = 2}, snapshots),
              UnorderedElementsAre(Pair(4, Reasons{"monthly 2026-04"}),
                                   Pair(3, Reasons{"monthly 2026-03"})));
}

TEST(RetentionTest, UnlimitedKeepsOneOfEveryPeriodAndTheOldest) {
  const ScopedTimeZone scoped("UTC");
  const std::vector<SnapshotInfo> snapshots =
      At({Utc(2019, 1, 1), Utc(2019, 2, 1), Utc(2019, 12, 1), Utc(2020, 1, 1), Utc(2024, 1, 1)});
  EXPECT_THAT(
      Kept({.yearly = kKeepAll}, snapshots),
      UnorderedElementsAre(Pair(5, Reasons{"yearly 2024"}), Pair(4, Reasons{"yearly 2020"}),
                           Pair(3, Reasons{"yearly 2019"}), Pair(1, Reasons{"oldest yearly"})));
}

TEST(RetentionTest, WeeksAreThoseOfIsoYears) {
  const ScopedTimeZone scoped("UTC");
  const std::vector<SnapshotInfo> snapshots = At({
      Utc(2025, 12, 28),  // Sunday of 2025-W52
      Utc(2025, 12, 29),  // Monday of 2026-W01
      Utc(2026, 1, 4),    // Sunday of 2026-W01
      Utc(2026, 1, 31),   // month 2026-01, which is no week
      Utc(2026, 12, 31),  // Thursday of 2026-W53
      Utc(2027, 1, 3),    // Sunday of 2026-W53
      Utc(2027, 1, 4),    // Monday of 2027-W01
  });
  EXPECT_THAT(
      Kept({.weekly = 5}, snapshots),
      UnorderedElementsAre(Pair(7, Reasons{"weekly 2027-W01"}), Pair(6, Reasons{"weekly 2026-W53"}),
                           Pair(4, Reasons{"weekly 2026-W05"}), Pair(3, Reasons{"weekly 2026-W01"}),
                           Pair(1, Reasons{"weekly 2025-W52"})));
}

TEST(RetentionTest, AWeekAndAMonthOfEqualNumbersDoNotCollide) {
  const ScopedTimeZone scoped("UTC");
  EXPECT_THAT(Kept({.weekly = 1, .monthly = 1}, At({Utc(2026, 1, 1)})),
              UnorderedElementsAre(Pair(1, Reasons{"weekly 2026-W01", "monthly 2026-01"})));
}

TEST(RetentionTest, TheHourThatIsShownTwiceIsOne) {
  const ScopedTimeZone scoped("Europe/Berlin");
  const std::vector<SnapshotInfo> snapshots =
      At({Utc(2026, 10, 24, 23, 30), Utc(2026, 10, 25, 0, 30), Utc(2026, 10, 25, 1, 30),
          Utc(2026, 10, 25, 2, 30)});
  EXPECT_THAT(Kept({.hourly = 3}, snapshots),
              UnorderedElementsAre(Pair(4, Reasons{"hourly 2026-10-25 03:00"}),
                                   Pair(3, Reasons{"hourly 2026-10-25 02:00"}),
                                   Pair(1, Reasons{"hourly 2026-10-25 01:00"})));
}

TEST(RetentionTest, ADayThatTheClockEntersTwiceIsOne) {
  const ScopedTimeZone scoped("America/St_Johns");  // 1 November 00:01 became 31 October 23:01
  const int64_t change = Utc(2009, 11, 1, 2, 31);
  const std::vector<SnapshotInfo> snapshots =
      At({change - 26 * kHour, change - kHour, change - 30, change + 30 * 60, change + 2 * kHour});
  EXPECT_THAT(Kept({.daily = 3}, snapshots),
              UnorderedElementsAre(Pair(5, Reasons{"daily 2009-11-01"}),
                                   Pair(4, Reasons{"daily 2009-10-31"}),
                                   Pair(1, Reasons{"daily 2009-10-30"})));
}

TEST(RetentionTest, WithinCountsFromTheNewestSnapshotAndNotFromNow) {
  const ScopedTimeZone scoped("UTC");
  const int64_t newest = Utc(2026, 1, 31);  // over a year before now
  const std::vector<SnapshotInfo> snapshots =
      At({newest - 30 * kDay, newest - 30 * kDay + 1, newest});
  EXPECT_THAT(Kept({.within = Days(30)}, snapshots),
              UnorderedElementsAre(Pair(2, Reasons{"within 30d"}), Pair(3, Reasons{"within 30d"})));
}

TEST(RetentionTest, WithinGoesByTheLocalCalendar) {
  const ScopedTimeZone scoped("Europe/Berlin");
  const int64_t newest = Utc(2026, 4, 15, 10);  // 12:00 CEST; a month before it is 12:00 CET
  const int64_t start = Utc(2026, 3, 15, 11);
  EXPECT_THAT(Kept({.within = {.months = 1}}, At({start, start + 1, newest})),
              UnorderedElementsAre(Pair(2, Reasons{"within 1m"}), Pair(3, Reasons{"within 1m"})));
}

TEST(RetentionTest, CalendarWindowsKeepOneOfEachPeriodAndTheOldestInside) {
  const ScopedTimeZone scoped("UTC");
  const int64_t noon = Utc(2026, 11, 20, 12);
  std::vector<SnapshotInfo> snapshots =
      At({noon - 2 * kDay + 1, noon - 2 * kDay + kHour, noon - kDay, noon - 1, noon});
  EXPECT_THAT(Kept({.within_daily = Days(2)}, snapshots),
              UnorderedElementsAre(Pair(5, Reasons{"daily 2026-11-20 within 2d"}),
                                   Pair(3, Reasons{"daily 2026-11-19 within 2d"}),
                                   Pair(2, Reasons{"daily 2026-11-18 within 2d"}),
                                   Pair(1, Reasons{"oldest daily within 2d"})));
  snapshots.push_back(MakeSnapshot(6, noon - 3 * kDay));  // the oldest, and outside
  EXPECT_THAT(Kept({.within_daily = Days(2)}, snapshots),
              UnorderedElementsAre(Pair(5, Reasons{"daily 2026-11-20 within 2d"}),
                                   Pair(3, Reasons{"daily 2026-11-19 within 2d"}),
                                   Pair(2, Reasons{"daily 2026-11-18 within 2d"})));
}

TEST(RetentionTest, ASnapshotOfTheFutureDisplacesNoneAndMovesNoWindow) {
  const ScopedTimeZone scoped("UTC");
  const int64_t now = kToday.seconds;
  std::vector<SnapshotInfo> snapshots = At({now - 3 * kDay, now - 2 * kDay, now - kDay, now});
  const RetentionPolicy policy = {.daily = 2, .within = Days(1), .within_daily = Days(2)};
  const std::map<uint64_t, Reasons> before = Kept(policy, snapshots);
  std::map<uint64_t, Reasons> expected = before;
  for (uint64_t record = 10; record < 20; ++record) {
    snapshots.push_back(MakeSnapshot(record, now + static_cast<int64_t>(record) * 400 * kDay));
    expected[record] = {"dated in the future"};
  }
  snapshots.push_back(MakeSnapshot(20, now, 1));
  expected[20] = {"dated in the future"};
  EXPECT_EQ(before.size(), 2u);
  EXPECT_EQ(Kept(policy, snapshots), expected);
}

TEST(RetentionTest, WithoutRulesOfTimeTheFutureKeepsNothing) {
  EXPECT_THAT(Kept({.last = 1}, At({kToday.seconds + 1, kToday.seconds - 1})),
              UnorderedElementsAre(Pair(2, Reasons{"last 1"})));
}

TEST(RetentionTest, AGroupAllOfTheFutureIsKept) {
  EXPECT_EQ(
      Kept({.daily = 1, .within = Days(1)}, At({kToday.seconds + 1, kToday.seconds + 2})).size(),
      2u);
}

TEST(RetentionTest, EqualTimesGoByRecord) {
  const ScopedTimeZone scoped("UTC");
  EXPECT_THAT(Kept({.daily = 1}, At({500, 500, 500})),
              UnorderedElementsAre(Pair(3, Reasons{"daily 1970-01-01"})));
}

TEST(RetentionTest, HeldSnapshotsAreKept) {
  std::vector<SnapshotInfo> snapshots = At({100, 200});
  snapshots[0].held = true;
  EXPECT_THAT(Kept({.last = 1}, snapshots),
              UnorderedElementsAre(Pair(1, Reasons{"held"}), Pair(2, Reasons{"last 1"})));
}

TEST(RetentionTest, TagsKeepWhatHasAllOfOneList) {
  std::vector<SnapshotInfo> snapshots = At({100, 200, 300, 400});
  snapshots[0].tags = {"b", "x", "a"};
  snapshots[1].tags = {"a"};
  snapshots[2].tags = {"c"};
  EXPECT_THAT(
      Kept({.tags = {{"a", "b"}, {"c"}, {"x"}}}, snapshots),
      UnorderedElementsAre(Pair(1, Reasons{"tag a,b", "tag x"}), Pair(3, Reasons{"tag c"})));
  EXPECT_THAT(Kept({.tags = {{""}}}, snapshots),
              UnorderedElementsAre(Pair(4, Reasons{"untagged"})));
}

TEST(RetentionTest, RefusesToLeaveNothingOfAGroup) {
  std::vector<SnapshotInfo> snapshots = At({100, 200, 300});
  snapshots[0].tags = {"a"};
  snapshots[1].host = "laptop";
  snapshots[2].host = "laptop";
  EXPECT_THAT(ApplyRetention({.tags = {{"a"}}}, snapshots, {}, kToday),
              StatusIs(StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("host laptop, paths /home"), HasSubstr("2 snapshots"),
                             HasSubstr("--keep-last 1"))));
  EXPECT_OK(ApplyRetention({.tags = {{"a"}}}, snapshots, {.host = false}, kToday));
}

TEST(RetentionTest, EachGroupIsJudgedForItself) {
  std::vector<SnapshotInfo> snapshots = At({100, 200, 300, 400});
  snapshots[0].paths = {"/b", "/a"};
  snapshots[1].paths = {"/a", "/b"};
  snapshots[2].host = "other";
  EXPECT_THAT(Kept({.last = 1}, snapshots),
              UnorderedElementsAre(Pair(2, Reasons{"last 1"}), Pair(3, Reasons{"last 1"}),
                                   Pair(4, Reasons{"last 1"})));
}

TEST(RetentionTest, AbsurdTimesDoNoHarm) {
  const ScopedTimeZone scoped("Europe/Berlin");
  const RetentionPolicy policy = {.hourly = 1, .weekly = 5, .within = {.years = 1'000'000}};
  EXPECT_EQ(Kept(policy, At({INT64_MIN, 0, INT64_MAX}), {INT64_MAX, 0}).size(), 3u);
}

TEST(ParseKeepCountTest, ReadsNumbersAndUnlimited) {
  EXPECT_THAT(ParseKeepCount("0"), IsOkAndHolds(0));
  EXPECT_THAT(ParseKeepCount("7"), IsOkAndHolds(7));
  EXPECT_THAT(ParseKeepCount("1000000000"), IsOkAndHolds(1'000'000'000));
  for (const char* text : {"-1", "unlimited", "all"}) {
    EXPECT_THAT(ParseKeepCount(text), IsOkAndHolds(kKeepAll)) << text;
  }
}

TEST(ParseKeepCountTest, RefusesOtherText) {
  for (const char* text :
       {"", "-2", "1.5", "7d", " 7", "+7", "1000000001", "99999999999999999999"}) {
    EXPECT_THAT(ParseKeepCount(text),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("unlimited")))
        << text;
  }
}

}  // namespace
}  // namespace cairn
