// SPDX-License-Identifier: Apache-2.0
// Which snapshots `forget` keeps by rule, and why. The rules are restic's, which users know, with
// two changes that are marked (*).
//
// Each group (snapshot_group.h) is judged for itself. Every rule looks at all its snapshots, newest
// first, and one snapshot may satisfy several; what satisfies none is forgotten.
//
//   held              always kept.
//   tags              all that have all tags of any one list.
//   last N            the N with the highest journal numbers (*): a client chooses the time of a
//                     snapshot (`--time`, or a clock gone wrong), never its number.
//   within D          all younger than D before the group's newest.
//   hourly .. yearly  the newest of each of the last N hours .. years that have any. If N is not
//                     used up the oldest snapshot is kept too: else a history younger than N
//                     periods would lose its beginning as soon as a period gets a second snapshot.
//   within_hourly ..  the newest of each hour .. year, of those younger than D.
//
// Hours, days, ISO weeks (which belong to ISO years), months and years are those of the local zone;
// the hour that the clock shows twice in autumn is one hour. Each rule has its own set of periods.
//
// Windows end at the newest snapshot of the group that is not in the future, and not at `now`: a
// machine that was off for a month would else lose everything at its first forget.
//
// A snapshot dated after `now` is judged by `last`, tags and hold. Rules that go by time do not
// count it, so that it displaces no other and moves no window (*); while there are such rules it is
// kept, until its time comes.
//
// A policy that would leave nothing of a group is refused; tags alone can do that.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/repo/duration.h"
#include "core/repo/snapshot_group.h"
#include "core/repo/snapshot_info.h"
#include "core/repo/tag_list.h"

namespace cairn {

// As the number of a count rule: without a limit.
inline constexpr int64_t kKeepAll = -1;

// A count or duration of zero is no rule.
struct RetentionPolicy {
  int64_t last = 0;
  int64_t hourly = 0;
  int64_t daily = 0;
  int64_t weekly = 0;
  int64_t monthly = 0;
  int64_t yearly = 0;
  CalendarDuration within{};
  CalendarDuration within_hourly{};
  CalendarDuration within_daily{};
  CalendarDuration within_weekly{};
  CalendarDuration within_monthly{};
  CalendarDuration within_yearly{};
  std::vector<TagList> tags{};

  bool IsEmpty() const;
};

// A number from 0 to a billion; "-1", "unlimited" and "all" are kKeepAll. Else INVALID_ARGUMENT.
StatusOr<int64_t> ParseKeepCount(std::string_view text);

struct RetentionDecision {
  SnapshotInfo snapshot;
  // For people, in the order of the rules above; empty means: forget it. "held", "tag a,b",
  // "untagged", "last 1", "within 30d", "daily 2026-11-20", "weekly 2026-W47", "oldest monthly",
  // "hourly 2026-11-20 14:00 within 2d", "dated in the future".
  std::vector<std::string> reasons;

  bool keep() const { return !reasons.empty(); }
};

struct RetentionGroup {
  SnapshotGroupKey key;
  std::vector<RetentionDecision> decisions;  // newest first
};

// Judges every one of `snapshots`, once. Groups come in order of their keys.
// INVALID_ARGUMENT for an empty policy or a count below kKeepAll; FAILED_PRECONDITION, naming the
// group, where a group would lose all its snapshots.
StatusOr<std::vector<RetentionGroup>> ApplyRetention(const RetentionPolicy& policy,
                                                     std::vector<SnapshotInfo> snapshots,
                                                     const GroupBy& group_by, const Timestamp& now);

}  // namespace cairn
