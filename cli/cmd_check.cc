// SPDX-License-Identifier: Apache-2.0
// cairn check
#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <string>

#include "absl/strings/str_format.h"
#include "cli/affected.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/progress_line.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/repo/check.h"
#include "core/repo/duration.h"

namespace cairn {
namespace {

ProgressState StateOf(const CheckProgress& progress, bool reads_data) {
  ProgressState state;
  if (reads_data && progress.total_bytes > 0) {
    state.items_done = progress.packs;
    state.items_total = progress.total_packs;
    state.item = "pack";
    state.bytes_done = progress.bytes_read;
    state.bytes_total = progress.total_bytes;
    state.rate_bytes = progress.bytes_read;
  } else {
    state.items_done = progress.snapshots;
    state.items_total = progress.total_snapshots;
    state.item = "snapshot";
  }
  return state;
}

class CheckCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override;
  bool OnlyReads() const override { return true; }
  StatusOr<ExitCode> Run(Context& context) override;
  bool WritesJsonLines() const override { return true; }

 private:
  Status SetReading(Context& context, CheckOptions& options) const;
  StatusOr<ReadSubset> Subset() const;
  static Json JsonOfResult(const CheckResult& result, double seconds);
  static void PrintResult(Output& output, const CheckResult& result, double seconds);

  bool read_data_ = false;
  std::optional<std::string> subset_;
  std::optional<std::string> max_age_;
  std::optional<std::string> time_budget_;
};

CLI::App* CheckCommand::Declare(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "check", kCaringGroup, "Look for damage",
      "Reads the journal, what the packs say of themselves and the tree of every snapshot, and "
      "sees\n"
      "that everything they need is there; with --read-data also every stored byte. It changes\n"
      "nothing, names the snapshots and paths that damage touches, and exits with 1 if there is "
      "any.",
      "  cairn check\n"
      "  cairn check --read-data-subset 1/7\n"
      "  cairn check --max-age 30d --time-budget 20m\n");
  AddFlag(*command, "--read-data", read_data_, "Read every pack, and verify all that is in it");
  AddText(*command, "--read-data-subset", "PART", subset_,
          "A share of the packs at random (5%), or the n-th of m\nparts (1/7): m runs read "
          "everything");
  AddText(*command, "--max-age", "DURATION", max_age_,
          "Read what was not read back for so long (30d), or never,\nas this user's cache "
          "remembers");
  AddText(*command, "--time-budget", "TIME", time_budget_,
          "Read what was not read back for the longest time first,\nand stop reading after TIME "
          "(10m, 1h30m)");
  return command;
}

Status CheckCommand::SetReading(Context& context, CheckOptions& options) const {
  ASSIGN_OR_RETURN(options.read_data, Subset());
  if (max_age_) {
    const StatusOr<CalendarDuration> age = ParseDuration(*max_age_);
    if (!age.ok()) return AsUsage(age.status(), "--max-age");
    options.read_before = SubtractDuration(context.now(), *age);
  }
  if (time_budget_) {
    const StatusOr<int64_t> seconds = ParseRunTime(*time_budget_);
    if (!seconds.ok()) return AsUsage(seconds.status(), "--time-budget");
    options.read_seconds = *seconds;
  }
  return OkStatus();
}

StatusOr<ReadSubset> CheckCommand::Subset() const {
  ReadSubset subset;
  if (subset_ && (max_age_ || time_budget_)) {
    return UsageError(
        "--read-data-subset reads a part at random, --max-age and --time-budget what is due; name "
        "one of them");
  }
  if (read_data_ && subset_) {
    return UsageError("--read-data reads everything, --read-data-subset a part; name one of them");
  }
  if (read_data_ || max_age_ || time_budget_) subset.kind = ReadSubset::Kind::kAll;
  if (!subset_) return subset;
  if (!subset_->empty() && subset_->back() == '%') {
    const StatusOr<double> share = ParsePercent(*subset_);
    if (!share.ok() || *share <= 0) {
      return UsageError(absl::StrFormat(
          "--read-data-subset takes a share above 0%% and up to 100%%, not \"%s\"", *subset_));
    }
    subset.kind = ReadSubset::Kind::kShare;
    subset.share = *share;
    return subset;
  }
  const size_t slash = subset_->find('/');
  const StatusOr<uint64_t> part = ParseNumber(subset_->substr(0, slash));
  const StatusOr<uint64_t> parts =
      ParseNumber(slash == std::string::npos ? "" : subset_->substr(slash + 1));
  if (!part.ok() || !parts.ok() || *part < 1 || *part > *parts) {
    return UsageError(absl::StrFormat(
        "--read-data-subset takes a share (5%%) or a part (1/7), not \"%s\"", *subset_));
  }
  subset.kind = ReadSubset::Kind::kPart;
  subset.part = *part;
  subset.parts = *parts;
  return subset;
}

Json CheckCommand::JsonOfResult(const CheckResult& result, double seconds) {
  Json json = JsonMessage("summary");
  json["num_errors"] = result.damages.size();
  json["damages"] = Json::array();
  json["broken_packs"] = Json::array();
  std::set<std::string> packs;
  for (const Damage& damage : result.damages) {
    Json item = Json::object();
    PutText(item, "object", damage.object);
    PutText(item, "what", damage.what);
    item["harmless"] = damage.harmless;
    item["mendable"] = damage.mendable;
    json["damages"].push_back(std::move(item));
    if (damage.object.substr(0, 5) != "pack ") continue;
    const std::string pack = damage.object.substr(5, damage.object.find(' ', 5) - 5);
    if (packs.insert(pack).second) json["broken_packs"].push_back(pack);
  }
  AddAffected(json, result);
  json["snapshots"] = result.snapshots;
  json["packs"] = result.packs;
  json["nodes"] = result.nodes;
  json["blobs"] = result.blobs;
  json["bytes_read"] = result.bytes_read;
  json["packs_read"] = result.packs_read;
  json["packs_recent"] = result.packs_recent;
  json["bytes_recent"] = result.bytes_recent;
  json["packs_left"] = result.packs_left;
  json["bytes_left"] = result.bytes_left;
  json["unused_packs"] = result.unused_packs;
  json["packs_without_parity"] = result.packs_without_parity;
  json["suggest_repair_index"] =
      std::any_of(result.damages.begin(), result.damages.end(),
                  [](const Damage& damage) { return damage.object == "index"; });
  json["suggest_prune"] = result.unused_packs > 0;
  json["total_duration"] = seconds;
  return json;
}

void CheckCommand::PrintResult(Output& output, const CheckResult& result, double seconds) {
  for (const Damage& damage : result.damages) {
    output.PrintLine(output.Paint(
        damage.harmless ? Color::kYellow : Color::kRed,
        absl::StrFormat("damage: %s: %s%s%s", EscapeMessage(damage.object),
                        EscapeMessage(damage.what), damage.harmless ? " (harmless)" : "",
                        damage.mendable ? " (`cairn repair` mends it)" : "")));
  }
  PrintAffected(output, result);
  if (output.quiet()) return;
  Facts facts;
  facts.Add("Checked", absl::StrFormat("%s, %s, %s, %s", Count(result.snapshots, "snapshot"),
                                       Count(result.packs, "pack"), Count(result.nodes, "node"),
                                       Count(result.blobs, "blob")));
  facts.Add("Read", result.packs_read == 0
                        ? FormatBytes(result.bytes_read)
                        : absl::StrFormat("%s, with %s whole", FormatBytes(result.bytes_read),
                                          Count(result.packs_read, "pack")));
  if (result.packs_recent > 0) {
    facts.Add("Read lately", absl::StrFormat("%s, %s", Count(result.packs_recent, "pack"),
                                             FormatBytes(result.bytes_recent)));
  }
  if (result.packs_left > 0) {
    facts.Add("Left",
              absl::StrFormat("%s, %s, as the time was up; the next run begins with them",
                              Count(result.packs_left, "pack"), FormatBytes(result.bytes_left)));
  }
  facts.Add("Time", FormatElapsed(seconds));
  facts.Print(output);
  if (result.unused_packs > 0) {
    output.PrintLine(absl::StrFormat("%s no snapshot needs; `cairn prune` drops what may go",
                                     Count(result.unused_packs, "pack")));
  }
  if (result.packs_without_parity > 0) {
    output.PrintLine(absl::StrFormat("%s lack parity; `cairn repair` makes it",
                                     Count(result.packs_without_parity, "pack")));
  }
  if (result.clean()) output.PrintLine(output.Paint(Color::kGreen, "no damage found"));
}

StatusOr<ExitCode> CheckCommand::Run(Context& context) {
  CheckOptions options;
  RETURN_IF_ERROR(SetReading(context, options));
  CheckProgress progress;
  options.threads = context.options().threads;
  options.stop = context.stop();
  options.progress = &progress;
  Output& output = context.output();
  options.on_finding = [&output](const std::string& finding) {
    if (output.json()) {
      output.PrintJson(JsonOfProblem("", finding));
    } else {
      output.Note(1, finding);
    }
  };
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  const bool reads_data = options.read_data.kind != ReadSubset::Kind::kNone;
  const auto start = std::chrono::steady_clock::now();
  StatusOr<CheckResult> result;
  {
    const ProgressLine line(output, context.options().progress,
                            [&] { return StateOf(progress, reads_data); });
    result = Check(*repository, options);
  }
  if (!result.ok()) return result.status();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (output.json()) {
    output.PrintJson(JsonOfResult(*result, took.count()));
  } else {
    PrintResult(output, *result, took.count());
  }
  if (result->clean()) return ExitCode::kDone;
  const bool harmless = std::all_of(result->damages.begin(), result->damages.end(),
                                    [](const Damage& damage) { return damage.harmless; });
  const bool mendable =
      std::all_of(result->damages.begin(), result->damages.end(),
                  [](const Damage& damage) { return damage.harmless || damage.mendable; });
  output.Error(absl::StrFormat("%s found, %s affected; %s", Count(result->damages.size(), "damage"),
                               Count(result->affected_snapshots.size(), "snapshot"),
                               harmless ? "nothing is lost"
                               : mendable
                                   ? "`cairn repair` mends it"
                                   : "keep the repository as it is, restore what is still needed, "
                                     "and see what `cairn repair --dry-run` says"));
  return ExitCode::kFailed;
}

}  // namespace

std::unique_ptr<Command> NewCheckCommand() { return std::make_unique<CheckCommand>(); }

}  // namespace cairn
