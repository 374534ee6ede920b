// SPDX-License-Identifier: Apache-2.0
#include "cli/profile_report.h"

#include <sys/resource.h>

#include "absl/strings/str_format.h"
#include "cli/text.h"
#include "core/base/bytes.h"
#include "core/base/profile.h"

namespace cairn {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

std::string ProfileReport(std::chrono::nanoseconds wall) {
  std::string report =
      absl::StrFormat("%-12s %10s %12s %10s\n", "stage", "seconds", "times", "us each");
  double counted = 0;
  for (const StageTime& time : Profile::Take()) {
    const double seconds = static_cast<double>(time.nanoseconds) / 1e9;
    counted += seconds;
    report += absl::StrFormat("%-12s %10.3f %12d %10.2f\n", StageName(time.stage), seconds,
                              time.calls, seconds * 1e6 / static_cast<double>(time.calls));
  }
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  report += absl::StrFormat(
      "%-12s %10.3f  (all threads; the rest of their time was spent waiting, or is counted "
      "nowhere)\n"
      "%-12s %10.3f\n%-12s %10.3f\n%-12s %10.3f\n%-12s %10s  (%d page faults)\n",
      "stages", counted, "wall", static_cast<double>(wall.count()) / 1e9, "user",
      Seconds(used.ru_utime), "system", Seconds(used.ru_stime), "memory",
      FormatBytes(static_cast<uint64_t>(used.ru_maxrss) * kKiB), used.ru_minflt + used.ru_majflt);
  return report;
}

}  // namespace cairn
