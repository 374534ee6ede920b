// SPDX-License-Identifier: Apache-2.0
// cairn restore
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/filter_options.h"
#include "cli/progress_line.h"
#include "cli/restore_report.h"
#include "cli/source_paths.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/repo/restore.h"

namespace cairn {
namespace {

class RestoreCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override;
  bool OnlyReads() const override { return true; }
  StatusOr<ExitCode> Run(Context& context) override;
  bool WritesJsonLines() const override { return true; }

 private:
  Status CheckUsage() const;
  StatusOr<RestoreOptions> MakeOptions(Context& context) const;
  Status CheckDelete(const RestorePlace& place, const RestoreOptions& options) const;
  static Json JsonOfResult(const RestoreResult& result, const RestoreProgress& progress,
                           double seconds);
  void PrintResult(Output& output, const RestoreResult& result, double seconds) const;

  std::optional<std::string> snapshot_;
  std::optional<std::string> target_;
  std::vector<std::string> include_;
  std::vector<std::string> exclude_;
  std::optional<std::string> overwrite_;
  FilterOptions filter_;
  bool in_place_ = false;
  bool delete_ = false;
  bool dry_run_ = false;
  bool verify_ = false;
};

CLI::App* RestoreCommand::Declare(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "restore", kMakingGroup, "Put a snapshot, or a part of it, back",
      "Rebuilds the snapshot's whole paths below the target directory; with SNAPSHOT:PATH, what "
      "is\n"
      "in PATH lands in the target itself. What an ordinary user cannot set, such as owners, is\n"
      "reported and is no error; content that is missing is one.",
      "  cairn restore latest -t /tmp/out\n"
      "  cairn restore @yesterday:/home/me/work -t ~/work-of-yesterday\n"
      "  cairn restore latest:/etc/nginx --in-place --delete\n");
  AddArgument(*command, "SNAPSHOT[:PATH]", snapshot_, "What to restore", /*required=*/true);
  AddText(*command, "-t,--target", "DIR", target_, "Where to; made if it is missing");
  AddFlag(*command, "--in-place", in_place_, "Where it came from, instead of a target");
  AddList(*command, "-i,--include", "PATTERN", include_, "Only what matches, with all below it");
  AddList(*command, "-e,--exclude", "PATTERN", exclude_, "Not what matches");
  AddText(*command, "--overwrite", "WHEN", overwrite_,
          "What is there already is replaced: always, if-changed\n(size or time differ), if-newer "
          "(the snapshot's is), never");
  AddFlag(*command, "--delete", delete_, "Delete what the snapshot looked at and does not have");
  AddFlag(*command, "-n,--dry-run", dry_run_, "Only say what would be done (with -v: to what)");
  AddFlag(*command, "--verify", verify_, "Read back what was written, and compare");
  filter_.Declare(*command);
  return command;
}

Status RestoreCommand::CheckUsage() const {
  if (target_ && in_place_) {
    return UsageError("--target and --in-place are two places; name one of them");
  }
  if (!target_ && !in_place_) {
    return UsageError("say where to: --target DIR, or --in-place for where it came from");
  }
  if (target_ && target_->empty()) return UsageError("--target is empty");
  return OkStatus();
}

StatusOr<RestoreOptions> RestoreCommand::MakeOptions(Context& context) const {
  RestoreOptions options;
  for (const std::string& pattern : include_) {
    RETURN_IF_ERROR(AsUsage(options.include.Add(pattern), "--include"));
  }
  for (const std::string& pattern : exclude_) {
    RETURN_IF_ERROR(AsUsage(options.exclude.Add(pattern), "--exclude"));
  }
  const std::string overwrite = overwrite_.value_or("always");
  if (overwrite == "always") {
    options.overwrite = OverwritePolicy::kAlways;
  } else if (overwrite == "if-changed") {
    options.overwrite = OverwritePolicy::kIfChanged;
  } else if (overwrite == "if-newer") {
    options.overwrite = OverwritePolicy::kIfNewer;
  } else if (overwrite == "never") {
    options.overwrite = OverwritePolicy::kNever;
  } else {
    return UsageError(absl::StrFormat(
        "--overwrite takes always, if-changed, if-newer or never, and not \"%s\"", overwrite));
  }
  options.delete_extra = delete_;
  options.dry_run = dry_run_;
  options.verify = verify_;
  options.threads = context.options().threads;
  options.stop = context.stop();
  return options;
}

// A whole system would lose everything that the snapshot does not have.
Status RestoreCommand::CheckDelete(const RestorePlace& place, const RestoreOptions& options) const {
  if (!delete_ || !IsRootDirectory(place.target) || !options.include.empty() ||
      !place.path.empty()) {
    return OkStatus();
  }
  return UsageError(
      "--delete with the target / would delete whatever the snapshot lacks; say what it is about "
      "with --include or SNAPSHOT:PATH, or restore with --in-place");
}

Json RestoreCommand::JsonOfResult(const RestoreResult& result, const RestoreProgress& progress,
                                  double seconds) {
  Json json = JsonMessage("summary");
  json["total_files"] = progress.total_files.load();
  json["files_restored"] = result.files;
  json["others_restored"] = result.entries;
  json["files_skipped"] = result.unchanged;
  json["files_deleted"] = result.deleted;
  json["files_verified"] = result.verified;
  json["total_bytes"] = progress.total_bytes.load();
  json["bytes_restored"] = result.bytes;
  json["error_count"] = result.errors;
  json["owners_not_set"] = result.owners_not_set;
  json["xattrs_not_set"] = result.xattrs_not_set;
  json["specials_not_made"] = result.specials_not_made;
  json["unread_in_snapshot"] = result.unread_in_snapshot;
  json["total_duration"] = seconds;
  return json;
}

void RestoreCommand::PrintResult(Output& output, const RestoreResult& result,
                                 double seconds) const {
  Facts facts;
  facts.Add(dry_run_ ? "Would restore" : "Restored",
            absl::StrFormat("%s, %s, %s", Count(result.files, "file"),
                            Count(result.entries, "other entry", "other entries"),
                            FormatBytes(result.bytes)));
  facts.Add("Left as it was", absl::StrFormat("%d", result.unchanged));
  if (delete_) {
    facts.Add(dry_run_ ? "Would delete" : "Deleted", absl::StrFormat("%d", result.deleted));
  }
  if (verify_) facts.Add("Verified", Count(result.verified, "file"));
  facts.Add("Time", FormatElapsed(seconds));
  facts.Print(output);
  TellWhatWasNotSet(output, result);
}

StatusOr<ExitCode> RestoreCommand::Run(Context& context) {
  RaiseFileLimit();
  RETURN_IF_ERROR(CheckUsage());
  ASSIGN_OR_RETURN(RestoreOptions options, MakeOptions(context));
  ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
  RestorePlace place;
  place.in_place = in_place_;
  if (target_) {
    ASSIGN_OR_RETURN(place.target, AbsolutePath(*target_));
  }
  ASSIGN_OR_RETURN(const SelectedSnapshot selected,
                   context.Select(*snapshot_, filter, /*path_allowed=*/true));
  place.snapshot = selected.view.info.id;
  place.path = selected.path.value_or("");
  RETURN_IF_ERROR(CheckDelete(place, options));

  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  Output& output = context.output();
  ReportWhileRunning(output, options);
  RestoreProgress progress;
  options.progress = &progress;
  const auto start = std::chrono::steady_clock::now();
  StatusOr<RestoreResult> result;
  {
    const ProgressLine line(output, context.options().progress, [&] { return StateOf(progress); });
    result = Restore(*repository, place, options);
  }
  if (result.status().code() == StatusCode::kCancelled) {
    return Cancelled("interrupted: what was restored so far stays; run it again to go on");
  }
  if (!result.ok()) return result.status();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (output.json()) {
    output.PrintJson(JsonOfResult(*result, progress, took.count()));
  } else if (!output.quiet()) {
    PrintResult(output, *result, took.count());
  }
  if (result->errors == 0) return ExitCode::kDone;
  return FailedPrecondition(
      absl::StrFormat("%s could not be restored as they were; the messages above say which and why",
                      Count(result->errors, "entry", "entries")));
}

}  // namespace

std::unique_ptr<Command> NewRestoreCommand() { return std::make_unique<RestoreCommand>(); }

}  // namespace cairn
