// SPDX-License-Identifier: Apache-2.0
#include "cli/keep_options.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/error.h"

namespace cairn {
namespace {

struct CountRule {
  const char* names;
  const char* option;
  const char* help;
  int64_t RetentionPolicy::*member;
};
constexpr CountRule kCountRules[] = {
    {"-l,--keep-last", "--keep-last", "The N that were added last", &RetentionPolicy::last},
    {"-H,--keep-hourly", "--keep-hourly", "The newest of each of the last N hours that have any",
     &RetentionPolicy::hourly},
    {"-d,--keep-daily", "--keep-daily", "... days", &RetentionPolicy::daily},
    {"-w,--keep-weekly", "--keep-weekly", "... weeks (ISO)", &RetentionPolicy::weekly},
    {"-m,--keep-monthly", "--keep-monthly", "... months", &RetentionPolicy::monthly},
    {"-y,--keep-yearly", "--keep-yearly", "... years", &RetentionPolicy::yearly},
};

struct WindowRule {
  const char* option;
  const char* help;
  CalendarDuration RetentionPolicy::*member;
};
constexpr WindowRule kWindowRules[] = {
    {"--keep-within", "All within this time before the newest: 30d, 2y5m7d3h",
     &RetentionPolicy::within},
    {"--keep-within-hourly", "The newest of each hour within it", &RetentionPolicy::within_hourly},
    {"--keep-within-daily", "... day", &RetentionPolicy::within_daily},
    {"--keep-within-weekly", "... week", &RetentionPolicy::within_weekly},
    {"--keep-within-monthly", "... month", &RetentionPolicy::within_monthly},
    {"--keep-within-yearly", "... year", &RetentionPolicy::within_yearly},
};

}  // namespace

void KeepOptions::Declare(CLI::App& command) {
  const char* group = "What is kept, of each group (N may be unlimited)";
  for (size_t i = 0; i < kRules; ++i) {
    AddText(command, kCountRules[i].names, "N", counts_[i], kCountRules[i].help)->group(group);
  }
  for (size_t i = 0; i < kRules; ++i) {
    AddText(command, kWindowRules[i].option, "DURATION", windows_[i], kWindowRules[i].help)
        ->group(group);
  }
  AddList(command, "--keep-tag", "TAG[,TAG]", tags_,
          "All that have all these tags; again for others")
      ->group(group);
}

StatusOr<RetentionPolicy> KeepOptions::Policy() const {
  RetentionPolicy policy;
  for (size_t i = 0; i < kRules; ++i) {
    if (!counts_[i]) continue;
    const StatusOr<int64_t> count = ParseKeepCount(*counts_[i]);
    if (!count.ok()) return AsUsage(count.status(), kCountRules[i].option);
    policy.*kCountRules[i].member = *count;
  }
  for (size_t i = 0; i < kRules; ++i) {
    if (!windows_[i]) continue;
    const StatusOr<CalendarDuration> duration = ParseDuration(*windows_[i]);
    if (!duration.ok()) return AsUsage(duration.status(), kWindowRules[i].option);
    policy.*kWindowRules[i].member = *duration;
  }
  for (const std::string& text : tags_) {
    StatusOr<TagList> list = ParseTagList(text);
    if (!list.ok()) return AsUsage(list.status(), "--keep-tag");
    policy.tags.push_back(*std::move(list));
  }
  return policy;
}

}  // namespace cairn
