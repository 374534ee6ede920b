// SPDX-License-Identifier: Apache-2.0
// cairn snapshot
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/own_snapshot.h"
#include "cli/progress_line.h"
#include "cli/snapshot_report.h"
#include "cli/source_paths.h"
#include "cli/stream_source.h"
#include "cli/text.h"
#include "core/repo/snapshot.h"
#include "core/repo/tag_list.h"
#include "core/repo/time_spec.h"

namespace cairn {
namespace {

bool IsSymlink(const std::string& path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode);
}

class SnapshotCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override;
  StatusOr<ExitCode> Run(Context& context) override;
  bool WritesJsonLines() const override { return true; }

 private:
  bool OfStream() const { return from_stdin_ || from_command_; }
  Status CheckUsage() const;
  Status SetLabels(Context& context, SnapshotLabels& labels) const;
  Status SetRules(SourceRules& rules) const;
  StatusOr<std::vector<std::string>> Sources() const;
  StatusOr<SnapshotResult> Take(Context& context, Repository& repository,
                                SnapshotOptions& options) const;
  StatusOr<SnapshotResult> TakeOfStream(Context& context, Repository& repository,
                                        const SnapshotOptions& options) const;

  std::vector<std::string> arguments_;
  std::vector<std::string> excludes_;
  std::vector<std::string> exclude_files_;
  std::vector<std::string> exclude_if_present_;
  std::vector<std::string> path_lists_;
  std::vector<std::string> tags_;
  std::optional<std::string> larger_than_;
  std::optional<std::string> message_;
  std::optional<std::string> host_;
  std::optional<std::string> time_;
  std::optional<std::string> stdin_name_;
  bool exclude_caches_ = false;
  bool one_file_system_ = false;
  bool dry_run_ = false;
  bool rescan_ = false;
  bool no_delta_ = false;
  bool no_parity_ = false;
  bool skip_if_unchanged_ = false;
  bool from_stdin_ = false;
  bool from_command_ = false;
};

CLI::App* SnapshotCommand::Declare(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "snapshot", kMakingGroup, "Take a snapshot of files and directories",
      "Reads what changed since the last snapshot of the same paths, stores what the repository\n"
      "does not have, and then adds the snapshot, whole or not at all. Exit code 3 says that it "
      "was\n"
      "made, but that some of the sources could not be read.",
      "  cairn snapshot ~/work /etc\n"
      "  cairn snapshot ~ -e '*.o' -e /home/me/.cache --exclude-caches\n"
      "  cairn snapshot --stdin-name all.sql --stdin-from-command -- pg_dumpall\n"
      "  find . -name '*.tex' -print0 | cairn snapshot --files-from -\n");
  command->alias("backup");
  AddArguments(*command, "PATH", arguments_,
               "Files and directories; with --stdin-from-command, the command", /*required=*/false);
  const char* what = "What is left out";
  AddList(*command, "-e,--exclude", "PATTERN", excludes_,
          "Leave out what matches; a leading / anchors it, **\nstands for any depth, ! takes back")
      ->group(what);
  AddList(*command, "--exclude-from", "FILE", exclude_files_, "Patterns from a file, one a line")
      ->group(what);
  AddFlag(*command, "--exclude-caches", exclude_caches_, "Directories with a CACHEDIR.TAG")
      ->group(what);
  AddList(*command, "--exclude-if-present", "NAME", exclude_if_present_,
          "Directories that hold something of this name")
      ->group(what);
  AddText(*command, "--exclude-larger-than", "SIZE", larger_than_, "Files above SIZE (10M, 2GiB)")
      ->group(what);
  AddFlag(*command, "-x,--one-file-system", one_file_system_, "Other file systems mounted below")
      ->group(what);
  AddList(*command, "--files-from", "FILE", path_lists_,
          "Also snapshot the paths in FILE: one a line, or\nended by NULs; - is standard input");
  AddList(*command, "-T,--tag", "TAG[,TAG]", tags_, "Give it tags");
  AddText(*command, "-m,--message", "TEXT", message_, "Say what it is");
  AddText(*command, "--host", "HOST", host_, "Instead of this machine's name");
  AddText(*command, "--time", "TIME", time_, "Instead of now: 2026-11-20T14:30, -90min");
  AddFlag(*command, "-n,--dry-run", dry_run_, "Only say what would be stored");
  AddFlag(*command, "--rescan", rescan_, "Trust no metadata: read every file");
  AddFlag(*command, "--no-delta", no_delta_,
          "Do not compress changed files against what they were");
  AddFlag(*command, "--no-parity", no_parity_, "Make no parity for the packs that are written");
  AddFlag(*command, "--skip-if-unchanged", skip_if_unchanged_,
          "Make none if nothing differs from the last one");
  AddFlag(*command, "--stdin", from_stdin_, "Snapshot standard input as one file");
  AddFlag(*command, "--stdin-from-command", from_command_,
          "Snapshot what the command behind -- writes;\nif it fails, no snapshot is made");
  AddText(*command, "--stdin-name", "NAME", stdin_name_, "The name of that file, else stdin");
  return command;
}

Status SnapshotCommand::CheckUsage() const {
  if (from_stdin_ && from_command_) {
    return UsageError("--stdin and --stdin-from-command are two sources; name one of them");
  }
  if (!OfStream()) {
    if (stdin_name_) return UsageError("--stdin-name needs --stdin or --stdin-from-command");
    if (arguments_.empty() && path_lists_.empty()) {
      return UsageError("name the files and directories that the snapshot is to hold");
    }
    return OkStatus();
  }
  if (!path_lists_.empty()) return UsageError("--files-from does not go with a stream");
  if (from_stdin_ && !arguments_.empty()) {
    return UsageError("--stdin takes no paths; to name the file, there is --stdin-name");
  }
  if (from_command_ && arguments_.empty()) {
    return UsageError("--stdin-from-command needs a command: --stdin-from-command -- COMMAND ...");
  }
  const std::string name = stdin_name_.value_or("stdin");
  if (name.empty() || name == "." || name == ".." || name.size() > 255 ||
      name.find('/') != std::string::npos) {
    return UsageError(absl::StrFormat(
        "--stdin-name takes the name of a file, of 1 to 255 bytes and without /; not \"%s\"",
        name));
  }
  return OkStatus();
}

Status SnapshotCommand::SetLabels(Context& context, SnapshotLabels& labels) const {
  labels = OwnLabels();
  if (host_) labels.host = *host_;
  if (labels.host.empty()) return UsageError("--host is empty");
  labels.message = message_.value_or("");
  for (const std::string& text : tags_) {
    StatusOr<TagList> list = ParseTagList(text);
    if (!list.ok()) return AsUsage(list.status(), "--tag");
    if (list->front().empty()) return UsageError("--tag is empty");
    labels.tags.insert(labels.tags.end(), list->begin(), list->end());
  }
  if (time_) {
    StatusOr<Timestamp> time = ParseTimeSpec(*time_, context.now());
    if (!time.ok()) return AsUsage(time.status(), "--time");
    labels.time = *time;
  }
  return OkStatus();
}

Status SnapshotCommand::SetRules(SourceRules& rules) const {
  for (const std::string& file : exclude_files_) {
    RETURN_IF_ERROR(AsUsage(rules.excludes.AddFile(file), "--exclude-from"));
  }
  for (const std::string& pattern : excludes_) {
    RETURN_IF_ERROR(AsUsage(rules.excludes.Add(pattern), "--exclude"));
  }
  for (const std::string& name : exclude_if_present_) {
    if (name.empty() || name.find('/') != std::string::npos) {
      return UsageError(
          absl::StrFormat("--exclude-if-present takes a name without /, not \"%s\"", name));
    }
  }
  rules.exclude_if_present = exclude_if_present_;
  rules.exclude_caches = exclude_caches_;
  rules.one_file_system = one_file_system_;
  if (larger_than_) {
    StatusOr<uint64_t> size = ParseSize(*larger_than_);
    if (!size.ok()) return AsUsage(size.status(), "--exclude-larger-than");
    rules.exclude_larger_than = *size;
  }
  return OkStatus();
}

StatusOr<std::vector<std::string>> SnapshotCommand::Sources() const {
  std::vector<std::string> named = arguments_;
  for (const std::string& file : path_lists_) {
    ASSIGN_OR_RETURN(const std::vector<std::string> more, ReadPathList(file));
    named.insert(named.end(), more.begin(), more.end());
  }
  if (named.empty()) return UsageError("--files-from names no path");
  std::vector<std::string> sources;
  for (const std::string& path : named) {
    StatusOr<std::string> absolute = AbsolutePath(path);
    if (!absolute.ok()) return WithExitCode(absolute.status(), ExitCode::kUsage);
    sources.push_back(*std::move(absolute));
  }
  return sources;
}

StatusOr<SnapshotResult> SnapshotCommand::Take(Context& context, Repository& repository,
                                               SnapshotOptions& options) const {
  Output& output = context.output();
  const bool of_stream = OfStream();
  std::vector<std::string> sources;
  if (!of_stream) {
    ASSIGN_OR_RETURN(sources, Sources());
    RETURN_IF_ERROR(LeaveOutOwnFiles(context, repository, sources, options.rules.excludes));
    for (const std::string& source : sources) {
      if (!IsSymlink(source)) continue;
      output.Warn(absl::StrFormat("%s is a symlink, and is stored as one; what it leads to is not",
                                  EscapeName(source)));
    }
    RETURN_IF_ERROR(WarnOfEmptySources(repository, options.labels.host, sources, output));
  }
  SnapshotProgress progress;
  options.progress = &progress;
  const ProgressLine line(output, context.options().progress, [&] { return StateOf(progress); });
  if (of_stream) return TakeOfStream(context, repository, options);
  return TakeSnapshot(repository, sources, options);
}

StatusOr<SnapshotResult> SnapshotCommand::TakeOfStream(Context& context, Repository& repository,
                                                       const SnapshotOptions& options) const {
  ASSIGN_OR_RETURN(const std::unique_ptr<StreamSource> source,
                   from_stdin_ ? StreamSource::FromStandardInput(*context.stop())
                               : StreamSource::FromCommand(arguments_, *context.stop()));
  return SnapshotStream(repository, source->descriptor(), stdin_name_.value_or("stdin"), options,
                        [&] { return source->Finish(); });
}

StatusOr<ExitCode> SnapshotCommand::Run(Context& context) {
  RETURN_IF_ERROR(CheckUsage());
  SnapshotOptions options;
  RETURN_IF_ERROR(SetLabels(context, options.labels));
  RETURN_IF_ERROR(SetRules(options.rules));
  options.threads = context.options().threads;
  options.rescan = rescan_;
  options.deltas = !no_delta_;
  options.parity = !no_parity_;
  options.dry_run = dry_run_;
  options.skip_if_unchanged = skip_if_unchanged_;
  options.stop = context.stop();
  ReportWhileRunning(context.output(), options);

  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  const auto start = std::chrono::steady_clock::now();
  const StatusOr<SnapshotResult> result = Take(context, *repository, options);
  if (result.status().code() == StatusCode::kCancelled) {
    return Cancelled(
        "interrupted: no snapshot was made; what was stored is kept, and spares the next try work");
  }
  if (!result.ok()) return result.status();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return ReportResult(context.output(), *result, options, took.count());
}

}  // namespace

std::unique_ptr<Command> NewSnapshotCommand() { return std::make_unique<SnapshotCommand>(); }

}  // namespace cairn
