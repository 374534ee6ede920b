// SPDX-License-Identifier: Apache-2.0
// cairn repair
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "cli/affected.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/progress_line.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/repo/repair.h"

namespace cairn {
namespace {

// A repository that is read from.
struct OtherRepository {
  std::unique_ptr<FileSystem> fs;
  std::unique_ptr<Repository> repository;
};

// Its index is kept in memory: a copy of the repository would share the one in the cache. If it is
// encrypted, what opens the damaged one must open it: other keys would mean other ids.
StatusOr<OtherRepository> OpenOther(const Context& context, const std::string& name) {
  OtherRepository other;
  StatusOr<std::unique_ptr<FileSystem>> fs = OpenPosixFileSystem(name, /*create=*/false);
  if (!fs.ok()) return WithExitCode(Annotate(fs.status(), "--from"), ExitCode::kNoRepository);
  other.fs = *std::move(fs);
  RepositoryOptions options;
  options.beside_damage = true;
  options.credential = [&context] { return context.ReadCredential(); };
  StatusOr<std::unique_ptr<Repository>> repository = Repository::Open(*other.fs, options);
  if (!repository.ok()) {
    const Status named = Annotate(repository.status(), "--from " + name);
    return named.code() == StatusCode::kNotFound ? WithExitCode(named, ExitCode::kNoRepository)
                                                 : named;
  }
  other.repository = *std::move(repository);
  return other;
}

class RepairCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override;
  StatusOr<ExitCode> Run(Context& context) override;
  bool WritesJsonLines() const override { return true; }

 private:
  ExitCode Verdict(const RepairResult& result) const;
  Json JsonOfResult(const RepairResult& result, double seconds) const;
  void PrintResult(Output& output, const RepairResult& result, double seconds) const;

  std::vector<std::string> from_;
  bool dry_run_ = false;
};

CLI::App* RepairCommand::Declare(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "repair", kCaringGroup, "Mend what is damaged",
      "Reads everything, and mends what is damaged: from a second copy, from parity, from the "
      "files\n"
      "that were snapshotted, where they still hold what was lost, and from other repositories. "
      "It\n"
      "removes no snapshot and nothing that can still be read; what cannot be mended is named by\n"
      "snapshot and path, and the exit code is 1 then. Exit code 11 says that a prune or another\n"
      "repair runs.",
      "  cairn repair --dry-run\n"
      "  cairn repair --from /mnt/copy/of/the/repository\n");
  AddList(*command, "--from", "REPO", from_, "Another repository that may have what is lost");
  AddFlag(*command, "-n,--dry-run", dry_run_, "Only say what would be mended");
  return command;
}

bool IsLeft(const Damage& damage, bool dry_run) {
  return !damage.harmless && !(dry_run && damage.mendable);
}

// Of a dry run, whether a damage in a pack stays is for its blobs to tell.
ExitCode RepairCommand::Verdict(const RepairResult& result) const {
  if (result.blobs_missing > 0) return ExitCode::kFailed;
  if (dry_run_) return ExitCode::kDone;
  const bool left = std::ranges::any_of(result.left.damages,
                                        [](const Damage& damage) { return IsLeft(damage, false); });
  return left ? ExitCode::kFailed : ExitCode::kDone;
}

Json RepairCommand::JsonOfResult(const RepairResult& result, double seconds) const {
  Json json = JsonMessage("summary");
  json["dry_run"] = dry_run_;
  json["damages_found"] = result.damages_found;
  json["copies_mended"] = result.copies_mended;
  json["packs_mended"] = result.packs_mended;
  json["bytes_mended"] = result.bytes_mended;
  json["parity_made"] = result.parity_made;
  json["packs_replaced"] = result.packs_replaced;
  json["blobs_from_sources"] = result.blobs_from_sources;
  json["blobs_from_others"] = result.blobs_from_others;
  json["blobs_missing"] = result.blobs_missing;
  json["damages_left"] = Json::array();
  for (const Damage& damage : result.left.damages) {
    if (!IsLeft(damage, dry_run_)) continue;
    Json item = Json::object();
    PutText(item, "object", damage.object);
    PutText(item, "what", damage.what);
    json["damages_left"].push_back(std::move(item));
  }
  // Only what is lost for good touches anything.
  AddAffected(json, result.blobs_missing > 0 ? result.left : CheckResult());
  json["total_duration"] = seconds;
  return json;
}

void RepairCommand::PrintResult(Output& output, const RepairResult& result, double seconds) const {
  for (const Damage& damage : result.left.damages) {
    if (!IsLeft(damage, dry_run_)) continue;
    output.PrintLine(
        output.Paint(Color::kRed, absl::StrFormat("damage: %s: %s", EscapeMessage(damage.object),
                                                  EscapeMessage(damage.what))));
  }
  if (result.blobs_missing > 0) PrintAffected(output, result.left);
  if (output.quiet()) return;
  Facts facts;
  facts.Add("Found", Count(result.damages_found, "damage"));
  facts.Add(dry_run_ ? "To mend" : "Mended",
            absl::StrFormat("%s by parity (%s), %s from the other copy",
                            Count(result.packs_mended, "pack"), FormatBytes(result.bytes_mended),
                            Count(result.copies_mended, "object")));
  facts.Add("Recovered", absl::StrFormat("%s from the sources, %s from other repositories",
                                         Count(result.blobs_from_sources, "blob"),
                                         Count(result.blobs_from_others, "blob")));
  if (result.packs_replaced > 0) facts.Add("Replaced", Count(result.packs_replaced, "pack"));
  if (result.parity_made > 0) {
    facts.Add("Parity", absl::StrFormat("%s for %s", dry_run_ ? "to make" : "made",
                                        Count(result.parity_made, "pack")));
  }
  if (result.blobs_missing > 0) facts.Add("Missing", Count(result.blobs_missing, "blob"));
  facts.Add("Time", FormatElapsed(seconds));
  facts.Print(output);
  if (dry_run_) output.PrintLine("dry run: nothing was changed");
}

StatusOr<ExitCode> RepairCommand::Run(Context& context) {
  Output& output = context.output();
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  std::vector<OtherRepository> others;
  RepairOptions options;
  for (const std::string& name : from_) {
    ASSIGN_OR_RETURN(OtherRepository other, OpenOther(context, name));
    others.push_back(std::move(other));
    options.from.push_back(others.back().repository.get());
  }
  std::atomic<const char*> phase = "";
  options.dry_run = dry_run_;
  options.threads = context.options().threads;
  options.stop = context.stop();
  options.on_phase = [&](const char* name) { phase = name; };
  options.on_mended = [&](const std::string& what) {
    if (!output.json()) output.Note(1, what);
  };
  const auto start = std::chrono::steady_clock::now();
  StatusOr<RepairResult> result;
  {
    const ProgressLine line(output, context.options().progress,
                            [&] { return ProgressState{.phase = phase.load(), .item = ""}; });
    result = Repair(*repository, options);
  }
  if (result.status().code() == StatusCode::kAborted) {
    return WithExitCode(Annotate(result.status(),
                                 "a prune or another repair is at work on this repository; try "
                                 "again later"),
                        ExitCode::kNotLocked);
  }
  if (!result.ok()) return result.status();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (output.json()) {
    output.PrintJson(JsonOfResult(*result, took.count()));
  } else {
    PrintResult(output, *result, took.count());
  }
  const ExitCode code = Verdict(*result);
  if (code != ExitCode::kDone) {
    output.Error(
        absl::StrFormat("%s cannot be mended, %s affected; what else is there can be restored",
                        Count(result->blobs_missing, "blob"),
                        Count(result->left.affected_snapshots.size(), "snapshot")));
  }
  return code;
}

}  // namespace

std::unique_ptr<Command> NewRepairCommand() { return std::make_unique<RepairCommand>(); }

}  // namespace cairn
