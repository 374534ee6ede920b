// SPDX-License-Identifier: Apache-2.0
// cairn rollback
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/filter_options.h"
#include "cli/own_snapshot.h"
#include "cli/progress_line.h"
#include "cli/restore_report.h"
#include "cli/snapshot_report.h"
#include "cli/source_paths.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "core/repo/rollback.h"

namespace cairn {
namespace {

// One line from the terminal. CANCELLED if the program is stopped meanwhile.
StatusOr<std::string> ReadAnswer(const StopFlag& stop) {
  std::string line;
  while (true) {
    RETURN_IF_ERROR(WaitForInput(STDIN_FILENO, stop));
    char c = 0;
    if (::read(STDIN_FILENO, &c, 1) <= 0 || c == '\n') return line;
    line.push_back(c);
  }
}

class RollbackCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override;
  StatusOr<ExitCode> Run(Context& context) override;
  bool WritesJsonLines() const override { return true; }

 private:
  StatusOr<SnapshotView> Choose(Context& context, const std::string& path) const;
  StatusOr<RollbackOptions> MakeOptions(Context& context, const SnapshotView& snapshot,
                                        const std::string& path);
  Status Confirm(Context& context, const SnapshotView& snapshot, const std::string& path,
                 const RollbackPlan& plan) const;
  StatusOr<RollbackResult> RollBack(Context& context, const SnapshotView& snapshot,
                                    const std::string& path);
  Status HowToReturn(const Status& failure, const std::string& path) const;
  Json JsonOfResult(const SnapshotView& snapshot, const std::string& path,
                    const RollbackResult& result, double seconds) const;
  void PrintResult(Output& output, const SnapshotView& snapshot, const std::string& path,
                   const RollbackResult& result, double seconds) const;

  std::optional<std::string> path_;
  std::optional<std::string> to_;
  FilterOptions filter_;
  bool force_ = false;
  bool dry_run_ = false;
  std::optional<SnapshotId> safety_;
};

CLI::App* RollbackCommand::Declare(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "rollback", kMakingGroup, "Put a file or directory back as it was",
      "Takes a safety snapshot of what is there now and says its id; then makes PATH what it was "
      "in\n"
      "the snapshot: changed files are replaced, files that the snapshot does not have are "
      "deleted,\n"
      "and what is equal is not touched. It asks before it replaces or deletes anything; where\n"
      "nobody can be asked it does so with --force only.",
      "  cairn rollback ~/work --dry-run\n"
      "  cairn rollback ~/work/thesis.tex --to @yesterday\n"
      "  cairn rollback ~/work --to 1f3a77c2        # the safety snapshot: back again\n");
  AddArgument(*command, "PATH", path_, "The file or directory, where it is", /*required=*/true);
  AddText(*command, "--to", "SNAPSHOT", to_,
          "As it was in this one, else in the newest that has it\n(and is no safety snapshot)");
  AddFlag(*command, "-f,--force", force_,
          "Do not ask, and go on where something cannot be\nread, and so is in no safety snapshot");
  AddFlag(*command, "-n,--dry-run", dry_run_, "Only say what would be done (with -v: to what)");
  filter_.Declare(*command);
  return command;
}

StatusOr<SnapshotView> RollbackCommand::Choose(Context& context, const std::string& path) const {
  ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
  if (to_) {
    ASSIGN_OR_RETURN(SelectedSnapshot selected,
                     context.Select(*to_, filter, /*path_allowed=*/false));
    return std::move(selected.view);
  }
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  return FindRollbackSnapshot(*repository, path, filter);
}

Status RollbackCommand::Confirm(Context& context, const SnapshotView& snapshot,
                                const std::string& path, const RollbackPlan& plan) const {
  const std::string what = absl::StrFormat(
      "%s of %s would be replaced and %s deleted that snapshot %s of %s does not have",
      Count(plan.replaced, "entry", "entries"), EscapeName(path),
      Count(plan.deleted, "entry", "entries"), snapshot.info.id.ShortHex(),
      FormatForPeople(snapshot.info.time));
  const bool can_ask = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
  if (!can_ask || context.output().json()) {
    return FailedPrecondition(
        absl::StrFormat("nothing was changed: %s, and there is no terminal to ask on\n"
                        "See what it is with --dry-run -v; --force does it.",
                        what));
  }
  std::cerr << what << ". A safety snapshot of what is there now is taken first.\nGo on? [y/N] "
            << std::flush;
  StatusOr<std::string> answer = ReadAnswer(*context.stop());
  if (answer.status().code() == StatusCode::kCancelled) {
    return Cancelled("interrupted: nothing was changed");
  }
  RETURN_IF_ERROR(answer.status());
  if (*answer == "y" || *answer == "Y" || *answer == "yes") return OkStatus();
  return FailedPrecondition("nothing was changed");
}

StatusOr<RollbackOptions> RollbackCommand::MakeOptions(Context& context,
                                                       const SnapshotView& snapshot,
                                                       const std::string& path) {
  Output& output = context.output();
  RollbackOptions options;
  options.dry_run = dry_run_;
  options.force = force_;
  options.restore.threads = options.safety.threads = context.options().threads;
  options.restore.stop = options.safety.stop = context.stop();
  ReportWhileRunning(output, options.restore);
  options.safety.on_problem = options.restore.on_problem;
  options.safety.labels = OwnLabels();
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  RETURN_IF_ERROR(LeaveOutOwnFiles(context, *repository, {path}, options.safety.rules.excludes));
  options.on_safety = [this, &output](const SnapshotId& id) {
    safety_ = id;
    if (!output.json() && !output.quiet()) {
      output.PrintLine(absl::StrFormat("safety snapshot %s", id.Hex()));
    }
  };
  options.confirm = [this, &context, &snapshot, path](const RollbackPlan& plan) {
    return Confirm(context, snapshot, path, plan);
  };
  return options;
}

StatusOr<RollbackResult> RollbackCommand::RollBack(Context& context, const SnapshotView& snapshot,
                                                   const std::string& path) {
  ASSIGN_OR_RETURN(RollbackOptions options, MakeOptions(context, snapshot, path));
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  RestoreProgress progress;
  options.restore.progress = &progress;
  std::optional<ProgressLine> line;
  const auto show = [&] {
    line.emplace(context.output(), context.options().progress, [&] { return StateOf(progress); });
  };
  const auto confirm = std::move(options.confirm);
  // The line would write over the question.
  options.confirm = [&](const RollbackPlan& plan) -> Status {
    line.reset();
    RETURN_IF_ERROR(confirm(plan));
    show();
    return OkStatus();
  };
  show();
  return Rollback(*repository, snapshot, path, options);
}

// As one word for a shell.
std::string ShellWord(const std::string& path) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=@%:,";
  if (path.find_first_not_of(kPlain) == std::string::npos) return path;
  return "'" + EscapeSingleQuotes(path) + "'";
}

// What was begun, and did not come to its end.
Status RollbackCommand::HowToReturn(const Status& failure, const std::string& path) const {
  const bool stopped = failure.code() == StatusCode::kCancelled;
  const std::string what = stopped ? "interrupted" : std::string(Message(failure));
  const std::string way =
      safety_ ? absl::StrFormat(
                    "%s\n%s is partly as it was in the snapshot. Run the same again to go "
                    "on, or `cairn rollback %s --to %s` to have back what was there.",
                    what, path, ShellWord(path), safety_->ShortHex())
              : what + "\nNothing was there before; run the same again to go on.";
  return stopped ? Cancelled(way) : FailedPrecondition(way);
}

Json RollbackCommand::JsonOfResult(const SnapshotView& snapshot, const std::string& path,
                                   const RollbackResult& result, double seconds) const {
  Json json = JsonMessage("summary");
  json["dry_run"] = dry_run_;
  PutText(json, "path", path);
  json["snapshot_id"] = snapshot.info.id.Hex();
  if (result.safety) json["safety_snapshot_id"] = result.safety->Hex();
  json["made"] = result.plan.made;
  json["replaced"] = result.plan.replaced;
  json["deleted"] = dry_run_ ? result.plan.deleted : result.restore.deleted;
  json["directories_changed"] = result.plan.directories;
  json["unchanged"] = result.plan.unchanged;
  json["bytes"] = dry_run_ ? result.plan.bytes : result.restore.bytes;
  json["error_count"] = dry_run_ ? result.plan.errors : result.restore.errors;
  json["owners_not_set"] = result.restore.owners_not_set;
  json["xattrs_not_set"] = result.restore.xattrs_not_set;
  json["specials_not_made"] = result.restore.specials_not_made;
  json["unread_in_snapshot"] = result.restore.unread_in_snapshot;
  json["total_duration"] = seconds;
  return json;
}

void RollbackCommand::PrintResult(Output& output, const SnapshotView& snapshot,
                                  const std::string& path, const RollbackResult& result,
                                  double seconds) const {
  const std::string which =
      absl::StrFormat("%s of %s", snapshot.info.id.ShortHex(), FormatForPeople(snapshot.info.time));
  if (result.plan.IsEmpty()) {
    output.PrintLine(
        absl::StrFormat("%s is as it was in snapshot %s; nothing to do", EscapeName(path), which));
    return;
  }
  const RollbackPlan& plan = result.plan;
  Facts facts;
  facts.Add("Snapshot", which);
  facts.Add(dry_run_ ? "To make" : "Made", Count(plan.made, "entry", "entries"));
  facts.Add(dry_run_ ? "To replace" : "Replaced", Count(plan.replaced, "entry", "entries"));
  facts.Add(dry_run_ ? "To delete" : "Deleted", Count(plan.deleted, "entry", "entries"));
  facts.Add("Attributes",
            absl::StrFormat("of %s", Count(plan.directories, "directory", "directories")));
  facts.Add("Left as it was", absl::StrFormat("%d", plan.unchanged));
  facts.Add("Content", FormatBytes(dry_run_ ? plan.bytes : result.restore.bytes));
  facts.Add("Time", FormatElapsed(seconds));
  facts.Print(output);
  TellWhatWasNotSet(output, result.restore);
  if (dry_run_) output.PrintLine("dry run: nothing was changed");
}

StatusOr<ExitCode> RollbackCommand::Run(Context& context) {
  RaiseFileLimit();
  StatusOr<std::string> path = AbsolutePath(*path_);
  if (!path.ok()) return WithExitCode(path.status(), ExitCode::kUsage);
  ASSIGN_OR_RETURN(const SnapshotView snapshot, Choose(context, *path));
  Output& output = context.output();
  const auto start = std::chrono::steady_clock::now();
  const StatusOr<RollbackResult> result = RollBack(context, snapshot, *path);
  if (!result.ok() && safety_) return HowToReturn(result.status(), *path);
  if (result.status().code() == StatusCode::kCancelled) {
    return Cancelled("interrupted: nothing that was there was changed");
  }
  if (!result.ok()) return result.status();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (output.json()) {
    output.PrintJson(JsonOfResult(snapshot, *path, *result, took.count()));
  } else if (!output.quiet()) {
    PrintResult(output, snapshot, *path, *result, took.count());
  }
  if (result->restore.errors == 0) return ExitCode::kDone;
  return HowToReturn(
      FailedPrecondition(absl::StrFormat(
          "%s could not be put back as they were; the messages above say which and why",
          Count(result->restore.errors, "entry", "entries"))),
      *path);
}

}  // namespace

std::unique_ptr<Command> NewRollbackCommand() { return std::make_unique<RollbackCommand>(); }

}  // namespace cairn
