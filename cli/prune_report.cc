// SPDX-License-Identifier: Apache-2.0
#include "cli/prune_report.h"

#include <atomic>
#include <chrono>
#include <string>

#include "absl/strings/str_format.h"
#include "cli/error.h"
#include "cli/progress_line.h"
#include "cli/table.h"
#include "cli/text.h"

namespace cairn {
namespace {

Json JsonOfResult(const PruneResult& result, bool dry_run, double seconds) {
  Json packs = Json::object();
  packs["total"] = result.packs_before;
  packs["remove"] = result.packs_dropped;
  packs["repack"] = result.packs_rewritten;
  packs["purged"] = result.packs_purged;
  packs["waiting"] = result.packs_waiting;
  Json bytes = Json::object();
  bytes["total"] = result.bytes_before;
  bytes["used"] = result.used_bytes;
  bytes["unused"] = result.unused_bytes;
  bytes["remove"] = result.bytes_dropped;
  bytes["repack"] = result.bytes_rewritten;
  bytes["written"] = result.bytes_written;
  bytes["freed"] = result.bytes_freed;
  bytes["waiting"] = result.bytes_waiting;
  bytes["remaining"] = result.bytes_after;
  Json parity = Json::object();
  parity["total"] = result.parity_before;
  parity["written"] = result.parity_written;
  parity["freed"] = result.parity_freed;
  parity["remaining"] = result.parity_after;
  Json json = JsonMessage("summary");
  json["dry_run"] = dry_run;
  json["packfiles"] = std::move(packs);
  json["bytes"] = std::move(bytes);
  json["parity_bytes"] = std::move(parity);
  json["leftovers_removed"] = result.files_removed;
  PutTexts(json, "waits_for", result.waits_for);
  json["total_duration"] = seconds;
  return json;
}

std::string PacksText(uint64_t packs, uint64_t bytes) {
  return absl::StrFormat("%s, %s", Count(packs, "pack"), FormatBytes(bytes));
}

void PrintResult(Output& output, const PruneResult& result, bool dry_run, double seconds) {
  Facts facts;
  facts.Add("Before", PacksText(result.packs_before, result.bytes_before));
  facts.Add("In use", FormatBytes(result.used_bytes));
  facts.Add("Unused", FormatBytes(result.unused_bytes));
  facts.Add(dry_run ? "To drop" : "Dropped", PacksText(result.packs_dropped, result.bytes_dropped));
  facts.Add(dry_run ? "To rewrite" : "Rewritten",
            absl::StrFormat("%s, as %s", PacksText(result.packs_rewritten, result.bytes_rewritten),
                            FormatBytes(result.bytes_written)));
  facts.Add(dry_run ? "To free" : "Freed", FormatBytes(result.bytes_freed));
  if (result.files_removed > 0) facts.Add("Leftovers", Count(result.files_removed, "file"));
  facts.Add("After", FormatBytes(result.bytes_after));
  if (result.parity_before + result.parity_after > 0) {
    facts.Add(
        "Parity",
        absl::StrFormat("%s beside these; %s before, %s freed", FormatBytes(result.parity_after),
                        FormatBytes(result.parity_before), FormatBytes(result.parity_freed)));
  }
  facts.Add("Time", FormatElapsed(seconds));
  facts.Print(output);
  if (result.packs_waiting > 0) {
    std::string who;
    for (const std::string& name : result.waits_for) {
      who += (who.empty() ? " for " : ", ") + EscapeName(name);
    }
    output.PrintLine(absl::StrFormat("%s wait%s; the next prune frees them",
                                     FormatBytes(result.bytes_waiting), who));
  }
  if (dry_run) output.PrintLine("dry run: nothing was changed");
}

}  // namespace

StatusOr<ExitCode> PruneAndReport(Context& context, PruneOptions options) {
  Output& output = context.output();
  std::atomic<const char*> phase = "";
  options.threads = context.options().threads;
  options.stop = context.stop();
  options.on_phase = [&](const char* name) {
    phase = name;
    if (!output.json()) output.Note(1, name);
  };
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  const auto start = std::chrono::steady_clock::now();
  StatusOr<PruneResult> result;
  {
    // Prune counts nothing while it runs: the phase is what there is to show.
    const ProgressLine line(output, context.options().progress,
                            [&] { return ProgressState{.phase = phase.load(), .item = ""}; });
    result = Prune(*repository, options);
  }
  if (result.status().code() == StatusCode::kAborted) {
    return WithExitCode(
        Annotate(result.status(), "another prune is at work on this repository; try again later"),
        ExitCode::kNotLocked);
  }
  if (!result.ok()) return result.status();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (output.json()) {
    output.PrintJson(JsonOfResult(*result, options.dry_run, took.count()));
  } else if (!output.quiet()) {
    PrintResult(output, *result, options.dry_run, took.count());
  }
  return ExitCode::kDone;
}

}  // namespace cairn
