// SPDX-License-Identifier: Apache-2.0
#include "cli/restore_report.h"

#include <sys/resource.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_format.h"
#include "cli/json.h"
#include "cli/text.h"

namespace cairn {
namespace {

const char* ActionName(RestoreAction action) {
  switch (action) {
    case RestoreAction::kRestored:
      return "restored";
    case RestoreAction::kUpdated:
      return "updated";
    case RestoreAction::kUnchanged:
      return "unchanged";
    case RestoreAction::kDeleted:
      return "deleted";
  }
  return "";
}

}  // namespace

void RaiseFileLimit() {
  constexpr rlim_t kEnough = 8192;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kEnough) return;
  limit.rlim_cur = std::min(limit.rlim_max, kEnough);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

ProgressState StateOf(const RestoreProgress& progress) {
  ProgressState state;
  state.items_done = progress.files;
  state.items_total = progress.total_files;
  state.bytes_done = progress.bytes;
  state.bytes_total = progress.total_bytes;
  state.rate_bytes = progress.bytes;
  state.errors = progress.errors;
  return state;
}

void ReportWhileRunning(Output& output, RestoreOptions& options) {
  options.on_problem = [&output](const std::string& path, const std::string& problem) {
    if (output.json()) output.PrintJson(JsonOfProblem(path, problem));
    output.Error(WithPath(path, problem));
  };
  if (output.settings().verbosity < 1) return;
  options.on_entry = [&output](const std::string& path, RestoreAction action) {
    const int level = action == RestoreAction::kUnchanged ? 2 : 1;
    if (output.settings().verbosity < level) return;
    if (output.json()) {
      Json json = JsonMessage("verbose");
      json["action"] = ActionName(action);
      PutText(json, "item", path);
      output.PrintJson(json);
    } else {
      output.Note(level, absl::StrFormat("%-9s %s", ActionName(action), EscapeName(path)));
    }
  };
}

void TellWhatWasNotSet(Output& output, const RestoreResult& result) {
  const auto tell = [&](uint64_t count, const char* what) {
    if (count > 0) output.PrintLine(absl::StrFormat("%s: %d", what, count));
  };
  tell(result.owners_not_set, "Owners that could not be set by this user");
  tell(result.xattrs_not_set, "Extended attributes that could not be set");
  tell(result.specials_not_made, "Devices that could not be made by this user");
  tell(result.unread_in_snapshot, "Entries whose content the snapshot does not have");
}

}  // namespace cairn
