// SPDX-License-Identifier: Apache-2.0
#include "core/repo/retention.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <numeric>
#include <optional>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/repo/local_calendar.h"

namespace cairn {
namespace {

constexpr int64_t kMaxKeepCount = 1'000'000'000;

struct CalendarRule {
  const char* name;
  const char* period_format;  // of strftime: what is equal for all moments of one period
  int64_t RetentionPolicy::*count;
  CalendarDuration RetentionPolicy::*within;
};

constexpr CalendarRule kCalendarRules[] = {
    {"hourly", "%Y-%m-%d %H:00", &RetentionPolicy::hourly, &RetentionPolicy::within_hourly},
    {"daily", "%Y-%m-%d", &RetentionPolicy::daily, &RetentionPolicy::within_daily},
    {"weekly", "%G-W%V", &RetentionPolicy::weekly, &RetentionPolicy::within_weekly},
    {"monthly", "%Y-%m", &RetentionPolicy::monthly, &RetentionPolicy::within_monthly},
    {"yearly", "%Y", &RetentionPolicy::yearly, &RetentionPolicy::within_yearly},
};

bool HasTimeRule(const RetentionPolicy& policy) {
  return !policy.within.IsZero() ||
         std::any_of(std::begin(kCalendarRules), std::end(kCalendarRules),
                     [&](const CalendarRule& rule) {
                       return policy.*rule.count != 0 || !(policy.*rule.within).IsZero();
                     });
}

Status CheckCounts(const RetentionPolicy& policy) {
  for (const int64_t count :
       {policy.last, policy.hourly, policy.daily, policy.weekly, policy.monthly, policy.yearly}) {
    if (count < kKeepAll) {
      return InvalidArgument(
          absl::StrFormat("a keep rule has the count %d: write 1 or more, or unlimited", count));
    }
  }
  return OkStatus();
}

// Applies the rules to one group, one after the other.
class GroupJudge {
 public:
  GroupJudge(const RetentionPolicy& policy, SnapshotGroup group, const Timestamp& now)
      : policy_(policy) {
    result_.key = std::move(group.key);
    for (SnapshotInfo& snapshot : group.snapshots) {
      if (snapshot.time > now) ++first_past_;
      local_times_.push_back(LocalTime(snapshot.time.seconds));
      result_.decisions.push_back({std::move(snapshot), {}});
    }
  }

  RetentionGroup Judge() && {
    KeepByState();
    KeepLast();
    if (HasTimeRule(policy_)) KeepFuture();
    if (first_past_ < result_.decisions.size()) {
      KeepWithin();
      for (const CalendarRule& rule : kCalendarRules) {
        KeepByCalendar(rule, policy_.*rule.count, std::nullopt, "");
      }
      for (const CalendarRule& rule : kCalendarRules) {
        const CalendarDuration& within = policy_.*rule.within;
        if (within.IsZero()) continue;
        KeepByCalendar(rule, kKeepAll, WindowStart(within), " within " + FormatDuration(within));
      }
    }
    return std::move(result_);
  }

 private:
  void Keep(size_t index, std::string reason) {
    result_.decisions[index].reasons.push_back(std::move(reason));
  }
  const Timestamp& TimeOf(size_t index) const { return result_.decisions[index].snapshot.time; }

  // REQUIRES: a snapshot that is not in the future.
  Timestamp WindowStart(const CalendarDuration& within) const {
    return SubtractDuration(TimeOf(first_past_), within);
  }

  void KeepByState() {
    for (size_t i = 0; i < result_.decisions.size(); ++i) {
      const SnapshotInfo& snapshot = result_.decisions[i].snapshot;
      if (snapshot.held) Keep(i, "held");
      for (const TagList& list : policy_.tags) {
        if (!HasAllTags(snapshot.tags, list)) continue;
        const std::string tags = FormatTagList(list);
        Keep(i, tags.empty() ? "untagged" : "tag " + tags);
      }
    }
  }

  void KeepLast() {
    std::vector<size_t> by_record(result_.decisions.size());
    std::iota(by_record.begin(), by_record.end(), size_t{0});
    std::sort(by_record.begin(), by_record.end(), [&](size_t a, size_t b) {
      return result_.decisions[a].snapshot.record > result_.decisions[b].snapshot.record;
    });
    for (size_t rank = 0; rank < by_record.size(); ++rank) {
      if (policy_.last != kKeepAll && rank >= static_cast<uint64_t>(policy_.last)) return;
      Keep(by_record[rank], "last " + std::to_string(rank + 1));
    }
  }

  void KeepFuture() {
    for (size_t i = 0; i < first_past_; ++i) Keep(i, "dated in the future");
  }

  void KeepWithin() {
    if (policy_.within.IsZero()) return;
    const Timestamp start = WindowStart(policy_.within);
    const std::string reason = "within " + FormatDuration(policy_.within);
    for (size_t i = first_past_; i < result_.decisions.size() && TimeOf(i) > start; ++i) {
      Keep(i, reason);
    }
  }

  // Keeps the newest of each of the latest `count` periods. Periods are looked up, not compared
  // with the one before: where a clock was put back over midnight a day is met twice.
  void KeepByCalendar(const CalendarRule& rule, int64_t count,
                      const std::optional<Timestamp>& start, const std::string& suffix) {
    std::unordered_set<std::string> seen;
    for (size_t i = first_past_; i < result_.decisions.size() && count != 0; ++i) {
      if (start && TimeOf(i) <= *start) return;
      char period[64];
      std::strftime(period, sizeof(period), rule.period_format, &local_times_[i]);
      if (seen.insert(period).second) {
        Keep(i, absl::StrFormat("%s %s%s", rule.name, period, suffix));
        if (count > 0) --count;
      } else if (i + 1 == result_.decisions.size()) {
        Keep(i, absl::StrFormat("oldest %s%s", rule.name, suffix));
      }
    }
  }

  const RetentionPolicy& policy_;
  RetentionGroup result_;
  std::vector<std::tm> local_times_;
  size_t first_past_ = 0;  // the newest snapshot that is not in the future, if there is one
};

}  // namespace

bool RetentionPolicy::IsEmpty() const { return last == 0 && tags.empty() && !HasTimeRule(*this); }

StatusOr<int64_t> ParseKeepCount(std::string_view text) {
  if (text == "-1" || text == "unlimited" || text == "all") return kKeepAll;
  int64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || stop != end || count < 0 || count > kMaxKeepCount) {
    return InvalidArgument(absl::StrFormat(
        "'%s' is not a number of snapshots to keep: write 1 or more, or unlimited", text));
  }
  return count;
}

StatusOr<std::vector<RetentionGroup>> ApplyRetention(const RetentionPolicy& policy,
                                                     std::vector<SnapshotInfo> snapshots,
                                                     const GroupBy& group_by,
                                                     const Timestamp& now) {
  RETURN_IF_ERROR(CheckCounts(policy));
  if (policy.IsEmpty()) {
    return InvalidArgument(
        "no keep rule is given, and nothing is forgotten without one: add one such as "
        "--keep-daily 7, or name the snapshots");
  }
  std::vector<RetentionGroup> result;
  for (SnapshotGroup& group : GroupSnapshots(std::move(snapshots), group_by)) {
    result.push_back(GroupJudge(policy, std::move(group), now).Judge());
    const RetentionGroup& judged = result.back();
    if (std::none_of(judged.decisions.begin(), judged.decisions.end(),
                     [](const RetentionDecision& decision) { return decision.keep(); })) {
      return FailedPrecondition(
          absl::StrFormat("no keep rule keeps any of the %u snapshots of the group '%s', and "
                          "nothing was forgotten: "
                          "add a rule such as --keep-last 1, or name the snapshots to forget",
                          judged.decisions.size(), FormatGroupKey(judged.key)));
    }
  }
  return result;
}

}  // namespace cairn
