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
#include "core/repo/put_back.h"
#include "core/repo/repair.h"
#include "core/store/twin_file.h"

namespace cairn {
namespace {

// A repository that is read from.
struct OtherRepository {
  std::unique_ptr<FileSystem> fs;
  std::unique_ptr<Repository> repository;
};

StatusOr<OtherRepository> OpenOtherDirectory(const std::string& name) {
  OtherRepository other;
  StatusOr<std::unique_ptr<FileSystem>> fs = OpenPosixFileSystem(name, /*create=*/false);
  if (!fs.ok()) return WithExitCode(Annotate(fs.status(), "--from"), ExitCode::kNoRepository);
  other.fs = *std::move(fs);
  return other;
}

// Its index is kept in memory: a copy of the repository would share the one in the cache. If it is
// encrypted, what opens the damaged one must open it: other keys would mean other ids.
StatusOr<OtherRepository> OpenOther(const Context& context, const std::string& name) {
  ASSIGN_OR_RETURN(OtherRepository other, OpenOtherDirectory(name));
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
  // For a repository that cannot be opened.
  StatusOr<uint64_t> PutBack(Context& context);
  StatusOr<RepairResult> Mend(Context& context, Repository& repository);
  ExitCode Verdict(const RepairResult& result) const;
  Json JsonOfResult(const RepairResult& result, double seconds) const;
  void PrintResult(Output& output, const RepairResult& result, double seconds) const;

  std::vector<std::string> from_;
  bool dry_run_ = false;
};

CLI::App* RepairCommand::Declare(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "repair", kCaringGroup, "Mend what is damaged",
      "Reads everything, and mends what is damaged: from a second copy, from parity, from the\n"
      "files and directories that were snapshotted, where they still give what was lost, and\n"
      "from other repositories. It removes no snapshot and nothing that can still be read; what\n"
      "cannot be mended is named by snapshot and path, and the exit code is 1 then. Exit code\n"
      "11 says that a prune or another repair runs.\n"
      "\n"
      "A copy of the repository, given with --from, also gives back the configuration, records\n"
      "of the journal and keys that are lost in both copies, where what is left proves that\n"
      "they were here. Snapshots that only the copy has are not added.",
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
  json["objects_from_others"] = result.objects_from_others;
  json["packs_renamed"] = result.packs_renamed;
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
  if (result.packs_renamed > 0) {
    facts.Add(dry_run_ ? "To rename" : "Renamed", Count(result.packs_renamed, "pack"));
  }
  if (result.objects_from_others > 0) {
    facts.Add("Put back", absl::StrFormat("%s from other repositories",
                                          Count(result.objects_from_others, "object")));
  }
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

// Exit code 11 if another one is at work.
Status AsNotLocked(const Status& status) {
  if (status.code() != StatusCode::kAborted) return status;
  return WithExitCode(Annotate(status,
                               "a prune or another repair is at work on this repository; try again "
                               "later"),
                      ExitCode::kNotLocked);
}

// What opening a repository fails with that has lost what everything rests on.
bool IsLoss(const Status& status) {
  return IsLostObject(status) || status.code() == StatusCode::kNotFound;
}

StatusOr<uint64_t> RepairCommand::PutBack(Context& context) {
  ASSIGN_OR_RETURN(FileSystem * fs, context.OpenDirectory(/*create=*/false));
  std::vector<OtherRepository> others;
  std::vector<std::unique_ptr<ObjectStore>> stores;
  PutBackOptions options;
  for (const std::string& name : from_) {
    ASSIGN_OR_RETURN(OtherRepository other, OpenOtherDirectory(name));
    stores.push_back(NewLocalObjectStore(*other.fs));
    options.from.push_back(stores.back().get());
    others.push_back(std::move(other));
  }
  options.dry_run = dry_run_;
  options.on_mended = [&](const std::string& what) {
    if (!context.output().json()) context.output().Note(1, what);
  };
  StatusOr<uint64_t> count = PutBackLost(
      *fs, [&context] { return context.ReadCredential(); }, options);
  if (count.status().code() == StatusCode::kAborted) return AsNotLocked(count.status());
  return count;
}

StatusOr<RepairResult> RepairCommand::Mend(Context& context, Repository& repository) {
  Output& output = context.output();
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
  const ProgressLine line(output, context.options().progress,
                          [&] { return ProgressState{.phase = phase.load(), .item = ""}; });
  StatusOr<RepairResult> result = Repair(repository, options);
  if (!result.ok()) return AsNotLocked(result.status());
  return result;
}

StatusOr<ExitCode> RepairCommand::Run(Context& context) {
  Output& output = context.output();
  const auto start = std::chrono::steady_clock::now();
  StatusOr<Repository*> repository = context.OpenRepository();
  uint64_t put_back = 0;
  if (!from_.empty() && !repository.ok() && IsLoss(repository.status())) {
    const StatusOr<uint64_t> count = PutBack(context);
    // There is no repository, or nothing tells which one it is.
    if (count.status().code() == StatusCode::kNotFound) return repository.status();
    RETURN_IF_ERROR(count.status());
    put_back = *count;
    if (put_back == 0 || !dry_run_) repository = context.OpenRepository();
  }
  RepairResult result;
  if (repository.ok()) {
    ASSIGN_OR_RETURN(result, Mend(context, **repository));
  } else if (put_back == 0 || !dry_run_) {
    return repository.status();
  }
  result.objects_from_others += put_back;
  result.damages_found += put_back;
  result.ends_with_objects = result.ends_with_objects || !repository.ok();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (output.json()) {
    output.PrintJson(JsonOfResult(result, took.count()));
  } else {
    PrintResult(output, result, took.count());
  }
  if (result.ends_with_objects) {
    output.Note(0, "what else is damaged can be seen once this is put back");
    return ExitCode::kDone;
  }
  const ExitCode code = Verdict(result);
  if (code != ExitCode::kDone) {
    output.Error(
        absl::StrFormat("%s cannot be mended, %s affected; what else is there can be restored",
                        Count(result.blobs_missing, "blob"),
                        Count(result.left.affected_snapshots.size(), "snapshot")));
  }
  return code;
}

}  // namespace

std::unique_ptr<Command> NewRepairCommand() { return std::make_unique<RepairCommand>(); }

}  // namespace cairn
