// SPDX-License-Identifier: Apache-2.0
// What people write for a moment, a span, a snapshot or tags, behind eight bytes of the present
// second. A span that is parsed is written and parsed again to the same; a moment lies within the
// years that are promised; "at or before" never means less than the moment itself.
#include <cstdlib>
#include <ctime>
#include <string>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/repo/duration.h"
#include "core/repo/local_calendar.h"
#include "core/repo/snapshot_selector.h"
#include "core/repo/tag_list.h"
#include "core/repo/time_spec.h"

namespace cairn {
namespace {

// A day and a zone's offset more than the calendar's bounds, which are those of local time.
constexpr int64_t kSlackSeconds = int64_t{2} * 86400;

// One with summer time, wherever this runs.
bool SetZone() {
  setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", /*replace=*/1);
  tzset();
  return true;
}

bool IsOrdinary(const Timestamp& time) {
  return time.seconds >= kMinSeconds - kSlackSeconds &&
         time.seconds <= kMaxSeconds + kSlackSeconds && time.nanoseconds < 1'000'000'000;
}

void ParseSpan(std::string_view text, const Timestamp& now) {
  const auto span = ParseDuration(text);
  if (!span.ok()) return;
  const auto again = ParseDuration(FormatDuration(*span));
  CHECK(again.ok() && *again == *span);
  const Timestamp then = SubtractDuration(now, *span);
  CHECK(IsOrdinary(then));
  CHECK(!IsOrdinary(now) || then.seconds <= now.seconds + kSlackSeconds);
}

void ParseMoment(std::string_view text, const Timestamp& now) {
  const auto moment = ParseTimeSpec(text, now);
  const auto as_of = ParseAsOfTime(text, now);
  CHECK(moment.ok() == as_of.ok());
  if (!moment.ok() || text == "now") return;
  CHECK(IsOrdinary(*moment));
  CHECK(as_of->seconds == moment->seconds && as_of->nanoseconds >= moment->nanoseconds);
}

class NoSnapshots : public SnapshotFinder {
 public:
  Status ForEachSnapshotBefore(const Timestamp&, Visitor) override { return OkStatus(); }
  Status ForEachSnapshotFrom(const SnapshotId&, Visitor) override { return OkStatus(); }
};

void ParseNames(std::string_view text, const Timestamp& now) {
  const auto selector = ParseSnapshotSelector(text, now, /*path_allowed=*/true);
  if (selector.ok() && selector->path) CHECK(selector->path->starts_with('/'));
  NoSnapshots none;
  if (selector.ok()) SelectSnapshot(*selector, none, {}).IgnoreError();
  const auto tags = ParseTagList(text);
  if (!tags.ok()) return;
  CHECK(!tags->empty());
  const auto again = ParseTagList(FormatTagList(*tags));
  CHECK(again.ok() && *again == *tags);
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cairn;  // NOLINT(google-build-using-namespace)
  [[maybe_unused]] static const bool has_zone = SetZone();
  Decoder input(ByteSpan(data, size));
  const Timestamp now = {static_cast<int64_t>(input.Fixed64()), 0};
  const std::string_view text = AsText(input.Raw(input.remaining()));
  if (!input.ok()) return 0;
  ParseSpan(text, now);
  ParseMoment(text, now);
  ParseNames(text, now);
  return 0;
}
