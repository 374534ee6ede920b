// SPDX-License-Identifier: Apache-2.0
// Keep rules over random histories, against a model that asks of each snapshot and rule, from the
// words of the rule alone, whether it holds. It shares no code with retention.cc: neither order nor
// counters, neither strftime's weeks nor the search for moments of a wall clock.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/repo/local_calendar.h"
#include "core/repo/retention.h"
#include "tests/repo/scoped_time_zone.h"
#include "tests/repo/snapshot_builder.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using testing::kZones;
using testing::MakeSnapshot;
using testing::ScopedTimeZone;
using testing::StatusIs;
using testing::Utc;

using Reasons = std::vector<std::string>;

std::tm Local(int64_t seconds) {
  const time_t time = seconds;
  std::tm local{};
  localtime_r(&time, &local);
  return local;
}

// "2026-W47": the week of the nearest Thursday, found by walking to it.
std::string IsoWeek(const std::tm& local) {
  int64_t day = Utc(local.tm_year + 1900, local.tm_mon + 1, local.tm_mday);
  const auto weekday = [](int64_t seconds) {  // 0 is Monday; 1970-01-01 was a Thursday
    return ((seconds / kDaySeconds + 3) % 7 + 7) % 7;
  };
  while (weekday(day) < 3) day += kDaySeconds;
  while (weekday(day) > 3) day -= kDaySeconds;
  const time_t thursday = day;
  std::tm date{};
  gmtime_r(&thursday, &date);
  return absl::StrFormat("%d-W%02d", date.tm_year + 1900, date.tm_yday / 7 + 1);
}

struct ModelRule {
  std::string name;
  int64_t count;
  CalendarDuration within;
  std::function<std::string(const std::tm&)> period;
};

std::vector<ModelRule> ModelRules(const RetentionPolicy& policy) {
  const auto format = [](int parts) {
    return [parts](const std::tm& t) {
      std::string text = absl::StrFormat("%d", t.tm_year + 1900);
      if (parts >= 2) absl::StrAppendFormat(&text, "-%02d", t.tm_mon + 1);
      if (parts >= 3) absl::StrAppendFormat(&text, "-%02d", t.tm_mday);
      if (parts >= 4) absl::StrAppendFormat(&text, " %02d:00", t.tm_hour);
      return text;
    };
  };
  return {{"hourly", policy.hourly, policy.within_hourly, format(4)},
          {"daily", policy.daily, policy.within_daily, format(3)},
          {"weekly", policy.weekly, policy.within_weekly, IsoWeek},
          {"monthly", policy.monthly, policy.within_monthly, format(2)},
          {"yearly", policy.yearly, policy.within_yearly, format(1)}};
}

// The first moment whose wall clock shows `wall`, or the first that shows more. Offsets are whole
// quarters of an hour, and changes happen at whole minutes.
int64_t FirstMomentOfWall(int64_t wall) {
  const auto shown = [](int64_t moment) { return moment + Local(moment).tm_gmtoff; };
  for (int64_t moment = wall - 60 * 900; moment <= wall + 60 * 900; moment += 900) {
    if (shown(moment) == wall) return moment;
  }
  int64_t moment = (wall - 60 * 900) / 60 * 60;
  while (shown(moment) <= wall) moment += 60;
  return moment;
}

Timestamp ModelWindowStart(const Timestamp& anchor, const CalendarDuration& within) {
  int64_t seconds = anchor.seconds;
  if (within.years + within.months + within.weeks + within.days > 0) {
    const std::tm local = Local(anchor.seconds);
    int year = local.tm_year + 1900;
    int month = local.tm_mon + 1;
    for (int64_t i = 0; i < 12 * within.years + within.months; ++i) {
      if (--month == 0) {
        month = 12;
        --year;
      }
    }
    int day = local.tm_mday;
    const auto month_of = [](int64_t utc) {
      const time_t time = utc;
      std::tm date{};
      gmtime_r(&time, &date);
      return date.tm_mon + 1;
    };
    while (month_of(Utc(year, month, day)) != month) --day;
    int64_t wall = Utc(year, month, day, local.tm_hour, local.tm_min, local.tm_sec);
    for (int64_t i = 0; i < 7 * within.weeks + within.days; ++i) wall -= kDaySeconds;
    seconds = FirstMomentOfWall(wall);
  }
  seconds -= within.hours * 3600 + within.minutes * 60 + within.seconds;
  return {seconds, anchor.nanoseconds};
}

std::string ModelDuration(const CalendarDuration& d) {
  std::string text;
  const auto add = [&](int64_t amount, const char* unit) {
    if (amount > 0) text += std::to_string(amount) + unit;
  };
  add(d.years, "y");
  add(d.months, "m");
  add(d.weeks, "w");
  add(d.days, "d");
  add(d.hours, "h");
  add(d.minutes, "min");
  add(d.seconds, "s");
  return text;
}

bool Newer(const SnapshotInfo& a, const SnapshotInfo& b) {
  if (a.time.seconds != b.time.seconds) return a.time.seconds > b.time.seconds;
  if (a.time.nanoseconds != b.time.nanoseconds) return a.time.nanoseconds > b.time.nanoseconds;
  return a.record > b.record;
}

// What one calendar rule says of `snapshot` among `past`, the snapshots of its group that are not
// in the future.
std::string ModelCalendarReason(const SnapshotInfo& snapshot, const std::vector<SnapshotInfo>& past,
                                const ModelRule& rule, int64_t count, const std::string& suffix) {
  const auto period = [&](const SnapshotInfo& s) { return rule.period(Local(s.time.seconds)); };
  std::set<std::string> periods_of_newer;
  bool is_oldest = true;
  for (const SnapshotInfo& other : past) {
    if (Newer(other, snapshot)) periods_of_newer.insert(period(other));
    if (Newer(snapshot, other)) is_oldest = false;
  }
  const auto used = static_cast<int64_t>(periods_of_newer.size());
  if (count != kKeepAll && used >= count) return "";
  if (periods_of_newer.count(period(snapshot)) == 0) {
    return rule.name + " " + period(snapshot) + suffix;
  }
  return is_oldest ? "oldest " + rule.name + suffix : "";
}

Reasons ModelReasons(const SnapshotInfo& snapshot, const std::vector<SnapshotInfo>& group,
                     const RetentionPolicy& policy, const Timestamp& now) {
  Reasons reasons;
  if (snapshot.held) reasons.push_back("held");
  for (const TagList& list : policy.tags) {
    const std::set<std::string> have(snapshot.tags.begin(), snapshot.tags.end());
    const std::set<std::string> want(list.begin(), list.end());
    if (std::includes(have.begin(), have.end(), want.begin(), want.end())) {
      reasons.push_back("tag " + FormatTagList(list));
    }
  }
  const auto later = std::count_if(group.begin(), group.end(), [&](const SnapshotInfo& other) {
    return other.record > snapshot.record;
  });
  if (policy.last == kKeepAll || later < policy.last) {
    reasons.push_back("last " + std::to_string(later + 1));
  }

  const std::vector<ModelRule> rules = ModelRules(policy);
  bool has_time_rule = !policy.within.IsZero();
  for (const ModelRule& rule : rules) {
    if (rule.count != 0 || !rule.within.IsZero()) has_time_rule = true;
  }
  if (!has_time_rule) return reasons;
  if (snapshot.time > now) {
    reasons.push_back("dated in the future");
    return reasons;
  }

  std::vector<SnapshotInfo> past;
  for (const SnapshotInfo& other : group) {
    if (other.time <= now) past.push_back(other);
  }
  Timestamp newest = past.front().time;
  for (const SnapshotInfo& other : past) newest = std::max(newest, other.time);

  if (!policy.within.IsZero() && snapshot.time > ModelWindowStart(newest, policy.within)) {
    reasons.push_back("within " + ModelDuration(policy.within));
  }
  const auto add = [&](const std::string& reason) {
    if (!reason.empty()) reasons.push_back(reason);
  };
  for (const ModelRule& rule : rules) {
    if (rule.count != 0) add(ModelCalendarReason(snapshot, past, rule, rule.count, ""));
  }
  for (const ModelRule& rule : rules) {
    if (rule.within.IsZero() || snapshot.time <= ModelWindowStart(newest, rule.within)) continue;
    add(ModelCalendarReason(snapshot, past, rule, kKeepAll,
                            " within " + ModelDuration(rule.within)));
  }
  return reasons;
}

class RandomHistory {
 public:
  explicit RandomHistory(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  bool Chance(uint64_t one_in) { return Below(one_in) == 0; }

  // Around a moment at which some calendar does something remarkable.
  std::vector<SnapshotInfo> Snapshots() {
    static const int64_t kBorders[] = {
        Utc(2026, 3, 29, 1),       // Berlin puts the clock forward
        Utc(2026, 10, 25, 1),      // and back
        Utc(2026, 3, 8, 7),        // New York forward
        Utc(2026, 11, 1, 6),       // New York back
        Utc(2009, 11, 1, 2, 31),   // St. John's back over midnight
        Utc(2010, 3, 14, 3, 31),   // St. John's forward
        Utc(2011, 12, 30, 10),     // Apia leaves out a day
        Utc(2017, 10, 15, 3),      // Sao Paulo forward at midnight
        Utc(2018, 2, 18, 2),       // Sao Paulo back at midnight
        Utc(2026, 4, 4, 15),       // Lord Howe back by half an hour
        Utc(2020, 12, 31, 12),     // in 2020-W53
        Utc(2021, 1, 4),           // 2021-W01 begins
        Utc(2025, 12, 29),         // 2026-W01 begins, in 2025
        Utc(2027, 1, 1),           // in 2026-W53
        Utc(2024, 2, 29, 12),      // leap day
        Utc(1969, 12, 31, 23, 59)  // before the epoch
    };
    static constexpr int64_t kScales[] = {
        1, 60, 900, 3600, kDaySeconds, 7 * kDaySeconds, 31 * kDaySeconds, 366 * kDaySeconds};
    const int64_t border = kBorders[Below(std::size(kBorders))];
    std::vector<SnapshotInfo> snapshots;
    const uint64_t size = Below(28);
    for (uint64_t record = 1; record <= size; ++record) {
      const int64_t scale = kScales[Below(std::size(kScales))];
      const int64_t distance = static_cast<int64_t>(Below(24)) - 16;
      SnapshotInfo snapshot = MakeSnapshot(record * 3, border + scale * distance);
      if (Chance(3)) snapshot.time.nanoseconds = static_cast<uint32_t>(Below(3));
      if (!snapshots.empty() && Chance(6)) snapshot.time = snapshots[Below(snapshots.size())].time;
      if (Chance(6)) snapshot.host = "other";
      if (Chance(3)) snapshot.paths = {"/b", "/home"};
      if (Chance(3)) snapshot.paths = {"/home", "/b"};
      if (Chance(3)) snapshot.tags.push_back("a");
      if (Chance(3)) snapshot.tags.push_back("b");
      snapshot.held = Chance(15);
      snapshots.push_back(snapshot);
    }
    std::shuffle(snapshots.begin(), snapshots.end(), random_);
    return snapshots;
  }

  RetentionPolicy Policy() {
    RetentionPolicy policy;
    for (auto count :
         {&RetentionPolicy::last, &RetentionPolicy::hourly, &RetentionPolicy::daily,
          &RetentionPolicy::weekly, &RetentionPolicy::monthly, &RetentionPolicy::yearly}) {
      if (Chance(4)) policy.*count = Chance(10) ? kKeepAll : static_cast<int64_t>(Below(8));
    }
    for (auto within : {&RetentionPolicy::within, &RetentionPolicy::within_hourly,
                        &RetentionPolicy::within_daily, &RetentionPolicy::within_weekly,
                        &RetentionPolicy::within_monthly, &RetentionPolicy::within_yearly}) {
      if (Chance(5)) policy.*within = Duration();
    }
    if (Chance(6)) policy.tags.push_back({"a"});
    if (Chance(6)) policy.tags.push_back({"a", "b"});
    return policy;
  }

  CalendarDuration Duration() {
    CalendarDuration duration;
    const auto some = [&](uint64_t bound) {
      return Chance(4) ? static_cast<int64_t>(Below(bound)) : 0;
    };
    duration.years = some(3);
    duration.months = some(14);
    duration.weeks = some(5);
    duration.days = some(40);
    duration.hours = some(30);
    duration.minutes = some(100);
    duration.seconds = some(100);
    return duration;
  }

  GroupBy Grouping() { return {!Chance(4), !Chance(4), Chance(4)}; }

  Timestamp Now(const std::vector<SnapshotInfo>& snapshots) {
    if (snapshots.empty() || Chance(2)) return {Utc(2040, 1, 1), 0};
    Timestamp now = snapshots[Below(snapshots.size())].time;
    if (Chance(2)) now.seconds -= static_cast<int64_t>(Below(3)) - 1;
    return now;
  }

 private:
  std::mt19937_64 random_;
};

// One text for snapshots that belong together.
std::string ModelGroup(const SnapshotInfo& snapshot, const GroupBy& by) {
  std::string text;
  if (by.host) text += snapshot.host;
  for (const auto& [wanted, list] :
       {std::pair(by.paths, &snapshot.paths), std::pair(by.tags, &snapshot.tags)}) {
    text += "|";
    if (!wanted) continue;
    for (const std::string& element : std::set<std::string>(list->begin(), list->end())) {
      text += element + " ";
    }
  }
  return text;
}

void CheckAgainstModel(const std::vector<SnapshotInfo>& snapshots, const RetentionPolicy& policy,
                       const GroupBy& by, const Timestamp& now) {
  std::map<std::string, std::vector<SnapshotInfo>> groups;
  for (const SnapshotInfo& snapshot : snapshots) {
    groups[ModelGroup(snapshot, by)].push_back(snapshot);
  }
  std::map<uint64_t, Reasons> expected;
  bool loses_a_group = false;
  for (const auto& [name, group] : groups) {
    bool keeps_any = false;
    for (const SnapshotInfo& snapshot : group) {
      Reasons reasons = ModelReasons(snapshot, group, policy, now);
      keeps_any = keeps_any || !reasons.empty();
      expected[snapshot.record] = std::move(reasons);
    }
    loses_a_group = loses_a_group || !keeps_any;
  }

  const StatusOr<std::vector<RetentionGroup>> result = ApplyRetention(policy, snapshots, by, now);
  if (loses_a_group) {
    ASSERT_THAT(result, StatusIs(StatusCode::kFailedPrecondition));
    return;
  }
  ASSERT_OK(result);
  ASSERT_EQ(result->size(), groups.size());
  std::map<uint64_t, Reasons> actual;
  for (const RetentionGroup& group : *result) {
    std::set<std::string> names;
    for (const RetentionDecision& decision : group.decisions) {
      names.insert(ModelGroup(decision.snapshot, by));
      actual[decision.snapshot.record] = decision.reasons;
    }
    ASSERT_EQ(names.size(), 1u);
  }
  ASSERT_EQ(actual, expected);
}

TEST(RetentionPropertyTest, AgreesWithTheModelInEveryZone) {
  uint64_t seed = 1;
  int refused_as_empty = 0;
  for (const char* zone : kZones) {
    const ScopedTimeZone scoped(zone);
    for (int round = 0; round < 700; ++round, ++seed) {
      SCOPED_TRACE(absl::StrFormat("zone %s, seed %u", zone, seed));
      RandomHistory history(seed);
      const std::vector<SnapshotInfo> snapshots = history.Snapshots();
      const RetentionPolicy policy = history.Policy();
      const GroupBy by = history.Grouping();
      const Timestamp now = history.Now(snapshots);
      if (policy.IsEmpty()) {
        ++refused_as_empty;
        EXPECT_THAT(ApplyRetention(policy, snapshots, by, now),
                    StatusIs(StatusCode::kInvalidArgument));
        continue;
      }
      CheckAgainstModel(snapshots, policy, by, now);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_LT(refused_as_empty, 700);  // else the histories are no test
}

std::set<uint64_t> KeptRecords(const std::vector<RetentionGroup>& groups) {
  std::set<uint64_t> kept;
  for (const RetentionGroup& group : groups) {
    for (const RetentionDecision& decision : group.decisions) {
      if (decision.keep()) kept.insert(decision.snapshot.record);
    }
  }
  return kept;
}

TEST(RetentionPropertyTest, ForgettingTwiceForgetsNothingMoreAtTheSameTime) {
  for (const char* zone : kZones) {
    const ScopedTimeZone scoped(zone);
    for (uint64_t seed = 100'000; seed < 100'500; ++seed) {
      RandomHistory history(seed);
      const std::vector<SnapshotInfo> snapshots = history.Snapshots();
      const RetentionPolicy policy = history.Policy();
      const Timestamp now = history.Now(snapshots);
      const StatusOr<std::vector<RetentionGroup>> once = ApplyRetention(policy, snapshots, {}, now);
      if (!once.ok()) continue;
      std::vector<SnapshotInfo> left;
      for (const RetentionGroup& group : *once) {
        for (const RetentionDecision& decision : group.decisions) {
          if (decision.keep()) left.push_back(decision.snapshot);
        }
      }
      ASSERT_OK_AND_ASSIGN(const std::vector<RetentionGroup> twice,
                           ApplyRetention(policy, left, {}, now));
      ASSERT_EQ(KeptRecords(twice), KeptRecords(*once)) << zone << " " << seed;
    }
  }
}

}  // namespace
}  // namespace cairn
