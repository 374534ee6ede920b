// SPDX-License-Identifier: Apache-2.0
#include "cli/snapshot_report.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/strings/str_format.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/repo/browse.h"

namespace cairn {
namespace {

const char* VerdictName(FileVerdict verdict) {
  switch (verdict) {
    case FileVerdict::kNew:
      return "new";
    case FileVerdict::kChanged:
      return "changed";
    case FileVerdict::kUnchanged:
      return "unchanged";
  }
  return "";
}

// restic's word for the same.
const char* JsonAction(FileVerdict verdict) {
  return verdict == FileVerdict::kChanged ? "modified" : VerdictName(verdict);
}

StatusOr<bool> HasEntries(Repository& repository, const SnapshotView& snapshot,
                          const std::string& path) {
  bool any = false;
  RETURN_IF_ERROR(ListPath(repository, snapshot, path, /*recursive=*/false, /*stop=*/nullptr,
                           [&](const LocatedEntry& entry) -> StatusOr<bool> {
                             any = entry.path != path;
                             return !any;
                           }));
  return any;
}

Json JsonOfResult(const SnapshotResult& result, const SnapshotOptions& options, double seconds) {
  const SnapshotStatistics& statistics = result.statistics;
  Json json = JsonMessage("summary");
  json["dry_run"] = options.dry_run;
  json["files_new"] = statistics.files_new;
  json["files_changed"] = statistics.files_changed;
  json["files_unmodified"] = statistics.files_unchanged;
  json["blobs_added"] = statistics.blobs_added;
  json["data_added"] = statistics.raw_bytes_added;
  json["data_added_packed"] = statistics.stored_bytes_added;
  json["bytes_read"] = statistics.bytes_read;
  json["total_files_processed"] = statistics.files;
  json["total_dirs_processed"] = statistics.directories;
  json["total_others_processed"] = statistics.others;
  json["total_bytes_processed"] = statistics.bytes;
  json["total_duration"] = seconds;
  json["error_count"] = result.problems;
  json["unchanged"] = result.unchanged;
  PutTexts(json, "paths", result.paths);
  json["tree"] = result.root.Hex();
  if (result.parent) json["parent"] = result.parent->Hex();
  if (result.id) json["snapshot_id"] = result.id->Hex();
  return json;
}

std::string OutcomeText(const SnapshotResult& result, const SnapshotOptions& options) {
  if (result.id) return absl::StrFormat("snapshot %s saved", result.id->ShortHex());
  if (options.dry_run) return "dry run: nothing was stored, and no snapshot made";
  return absl::StrFormat("nothing changed since snapshot %s: no new one was made",
                         result.parent ? result.parent->ShortHex() : "?");
}

}  // namespace

void ReportWhileRunning(Output& output, SnapshotOptions& options) {
  options.on_problem = [&output](const std::string& path, const std::string& problem) {
    if (output.json()) output.PrintJson(JsonOfProblem(path, problem));
    output.Error(WithPath(path, problem));
  };
  if (output.settings().verbosity < 1) return;
  options.on_file = [&output](const std::string& path, FileVerdict verdict) {
    const int level = verdict == FileVerdict::kUnchanged ? 2 : 1;
    if (output.settings().verbosity < level) return;
    if (output.json()) {
      Json json = JsonMessage("verbose");
      json["action"] = JsonAction(verdict);
      PutText(json, "item", path);
      output.PrintJson(json);
    } else {
      output.Note(level, absl::StrFormat("%-9s %s", VerdictName(verdict), EscapeName(path)));
    }
  };
}

ProgressState StateOf(const SnapshotProgress& progress) {
  ProgressState state;
  state.items_done = progress.files;
  state.bytes_done = progress.bytes;
  // A guess: once it is exceeded it is none.
  const uint64_t expected = progress.bytes_expected;
  if (state.bytes_done <= expected) state.bytes_total = expected;
  state.rate_bytes = progress.bytes_read;
  state.errors = progress.errors;
  return state;
}

Status WarnOfEmptySources(Repository& repository, const std::string& host,
                          const std::vector<std::string>& paths, Output& output) {
  for (const std::string& path : paths) {
    std::error_code error;
    const bool is_empty =
        std::filesystem::is_directory(std::filesystem::symlink_status(path, error)) &&
        std::filesystem::is_empty(path, error);
    if (error || !is_empty) continue;
    ASSIGN_OR_RETURN(const std::optional<SnapshotView> last,
                     repository.FindNewestSnapshot([&](const SnapshotInfo& snapshot) {
                       return snapshot.host == host &&
                              std::count(snapshot.paths.begin(), snapshot.paths.end(), path) > 0;
                     }));
    if (!last) continue;
    // What cannot be looked at is no reason to make no snapshot.
    if (!HasEntries(repository, *last, path).value_or(false)) continue;
    output.Warn(
        absl::StrFormat("%s is empty, and was not in snapshot %s; is something not mounted?",
                        EscapeName(path), last->info.id.ShortHex()));
  }
  return OkStatus();
}

ExitCode ReportResult(Output& output, const SnapshotResult& result, const SnapshotOptions& options,
                      double seconds) {
  const SnapshotStatistics& statistics = result.statistics;
  if (output.json()) {
    output.PrintJson(JsonOfResult(result, options, seconds));
  } else if (!output.quiet()) {
    Facts facts;
    facts.Add("Files", absl::StrFormat("%d new, %d changed, %d unchanged", statistics.files_new,
                                       statistics.files_changed, statistics.files_unchanged));
    facts.Add("In all", absl::StrFormat("%s, %s, %s", Count(statistics.files, "file"),
                                        Count(statistics.directories, "directory", "directories"),
                                        FormatBytes(statistics.bytes)));
    facts.Add("Read", FormatBytes(statistics.bytes_read));
    facts.Add("Added", absl::StrFormat("%s, %s compressed", FormatBytes(statistics.raw_bytes_added),
                                       FormatBytes(statistics.stored_bytes_added)));
    facts.Add("Time", FormatElapsed(seconds));
    facts.Print(output);
    output.PrintLine(output.Paint(Color::kGreen, OutcomeText(result, options)));
  }
  if (result.problems == 0) return ExitCode::kDone;
  output.Warn(
      absl::StrFormat("%s could not be read as they were; the snapshot says which (exit "
                      "code 3)",
                      Count(result.problems, "file or directory", "files or directories")));
  return ExitCode::kSourcesUnread;
}

}  // namespace cairn
