// SPDX-License-Identifier: Apache-2.0
// cairn stats
#include <optional>
#include <string>

#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/filter_options.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/repo/stats.h"

namespace cairn {
namespace {

// 0 where there is nothing to divide by.
double Ratio(uint64_t a, uint64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

class StatsCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override {
    CLI::App* command = AddCommand(
        app, "stats", kLookingGroup, "Say how large the repository, or a snapshot, is",
        "Logical size is what a restore would write, unique size what is left when equal content\n"
        "counts once, stored size what the packs take.",
        "  cairn stats\n"
        "  cairn stats latest\n");
    AddArgument(*command, "SNAPSHOT", snapshot_, "One snapshot, instead of everything",
                /*required=*/false);
    filter_.Declare(*command);
    return command;
  }

  bool OnlyReads() const override { return true; }
  StatusOr<ExitCode> Run(Context& context) override {
    return snapshot_ ? OfSnapshot(context) : OfRepository(context);
  }

 private:
  StatusOr<ExitCode> OfRepository(Context& context) const;
  StatusOr<ExitCode> OfSnapshot(Context& context) const;
  static Json JsonOf(const RepositoryStats& stats);
  static Json JsonOf(const VerifiedBytes& verified);
  static void Print(Output& output, const RepositoryStats& stats);

  std::optional<std::string> snapshot_;
  FilterOptions filter_;
};

// Shares of the bytes of packs.
std::string VerifiedText(const VerifiedBytes& verified, uint64_t all) {
  const auto share = [&](uint64_t bytes) {
    return absl::StrFormat("%.0f%%", 100 * Ratio(bytes, all));
  };
  std::string text;
  for (size_t i = 0; i < verified.within.size(); ++i) {
    text += absl::StrFormat("%s within %s, ", share(verified.within[i]),
                            Count(static_cast<uint64_t>(VerifiedBytes::kDays[i]), "day"));
  }
  return absl::StrFormat("%s%s never", text, share(verified.never));
}

Json StatsCommand::JsonOf(const VerifiedBytes& verified) {
  Json json = Json::object();
  for (size_t i = 0; i < verified.within.size(); ++i) {
    json[absl::StrFormat("within_days_%d", VerifiedBytes::kDays[i])] = verified.within[i];
  }
  json["longer_ago"] = verified.longer_ago;
  json["never"] = verified.never;
  return json;
}

Json StatsCommand::JsonOf(const RepositoryStats& stats) {
  Json json = JsonDocument();
  json["snapshots"] = stats.snapshots;
  json["held"] = stats.held;
  json["logical_bytes"] = stats.logical_bytes;
  json["logical_files"] = stats.logical_files;
  json["unique_bytes"] = stats.unique_bytes;
  json["stored_bytes"] = stats.stored_bytes;
  json["dedup_ratio"] = Ratio(stats.logical_bytes, stats.unique_bytes);
  json["compression_ratio"] = Ratio(stats.unique_bytes, stats.stored_bytes);
  json["blobs"] = stats.blobs;
  json["chunks"] = stats.chunks;
  json["nodes"] = stats.nodes;
  json["frames"] = stats.frames;
  json["delta_frames"] = stats.delta_frames;
  json["delta_bytes"] = stats.delta_bytes;
  json["packs"] = stats.packs;
  json["condemned_packs"] = stats.condemned_packs;
  json["condemned_bytes"] = stats.condemned_bytes;
  json["parity_files"] = stats.parity_files;
  json["parity_bytes"] = stats.parity_bytes;
  json["verified_bytes"] = JsonOf(stats.verified);
  json["journal_records"] = stats.journal_records;
  json["journal_bytes"] = stats.journal_bytes;
  json["index_bytes"] = stats.index_bytes;
  json["sessions"] = Json::array();
  for (const SessionInfo& session : stats.sessions) {
    Json item = Json::object();
    item["pid"] = session.pid;
    PutText(item, "hostname", session.host);
    PutText(item, "command", session.command);
    json["sessions"].push_back(std::move(item));
  }
  return json;
}

void StatsCommand::Print(Output& output, const RepositoryStats& stats) {
  Facts facts;
  facts.Add("Snapshots", stats.held == 0
                             ? absl::StrFormat("%d", stats.snapshots)
                             : absl::StrFormat("%d (%d held)", stats.snapshots, stats.held));
  facts.Add("Logical", absl::StrFormat("%s in %s", FormatBytes(stats.logical_bytes),
                                       Count(stats.logical_files, "file")));
  facts.Add("Unique", absl::StrFormat("%s (%.1f to 1)", FormatBytes(stats.unique_bytes),
                                      Ratio(stats.logical_bytes, stats.unique_bytes)));
  facts.Add("Stored", absl::StrFormat("%s (%.1f to 1)", FormatBytes(stats.stored_bytes),
                                      Ratio(stats.unique_bytes, stats.stored_bytes)));
  facts.Add("Blobs", absl::StrFormat("%d: %s, %s", stats.blobs, Count(stats.chunks, "chunk"),
                                     Count(stats.nodes, "node")));
  facts.Add("Packs", absl::StrFormat("%d, of %s", stats.packs, Count(stats.frames, "frame")));
  if (stats.delta_frames > 0) {
    facts.Add("Deltas", absl::StrFormat("%s, %s", Count(stats.delta_frames, "frame"),
                                        FormatBytes(stats.delta_bytes)));
  }
  if (stats.condemned_packs > 0) {
    facts.Add("To be freed", absl::StrFormat("%s, %s", Count(stats.condemned_packs, "pack"),
                                             FormatBytes(stats.condemned_bytes)));
  }
  if (stats.parity_files > 0) {
    facts.Add("Parity",
              absl::StrFormat("%s in %s, beside what is stored", FormatBytes(stats.parity_bytes),
                              Count(stats.parity_files, "file")));
  }
  if (stats.packs > 0) {
    facts.Add("Read back", VerifiedText(stats.verified, stats.stored_bytes));
  }
  facts.Add("Journal", absl::StrFormat("%s, %s", Count(stats.journal_records, "record"),
                                       FormatBytes(stats.journal_bytes)));
  facts.Add("Index", FormatBytes(stats.index_bytes));
  for (const SessionInfo& session : stats.sessions) {
    facts.Add("At work", session.command.empty()
                             ? absl::StrFormat("pid %d", session.pid)
                             : absl::StrFormat("%s, pid %d on %s", EscapeName(session.command),
                                               session.pid, EscapeName(session.host)));
  }
  facts.Print(output);
}

StatusOr<ExitCode> StatsCommand::OfRepository(Context& context) const {
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  ASSIGN_OR_RETURN(const RepositoryStats stats, StatsOfRepository(*repository));
  if (context.output().json()) {
    context.output().PrintJson(JsonOf(stats));
  } else {
    Print(context.output(), stats);
  }
  return ExitCode::kDone;
}

StatusOr<ExitCode> StatsCommand::OfSnapshot(Context& context) const {
  ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
  ASSIGN_OR_RETURN(const SelectedSnapshot selected,
                   context.Select(*snapshot_, filter, /*path_allowed=*/false));
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  ASSIGN_OR_RETURN(const SnapshotStats stats,
                   StatsOfSnapshot(*repository, selected.view.info.id, context.stop()));
  Output& output = context.output();
  if (output.json()) {
    Json json = JsonDocument();
    json["snapshot_id"] = selected.view.info.id.Hex();
    json["files"] = stats.files;
    json["dirs"] = stats.directories;
    json["others"] = stats.others;
    json["logical_bytes"] = stats.logical_bytes;
    json["unique_bytes"] = stats.unique_bytes;
    json["stored_bytes"] = stats.stored_bytes;
    json["own_bytes"] = stats.own_bytes;
    json["blobs"] = stats.blobs;
    output.PrintJson(json);
    return ExitCode::kDone;
  }
  Facts facts;
  facts.Add("Snapshot", absl::StrFormat("%s of %s", selected.view.info.id.ShortHex(),
                                        FormatForPeople(selected.view.info.time)));
  facts.Add("Holds", absl::StrFormat("%s, %s, %s", Count(stats.files, "file"),
                                     Count(stats.directories, "directory", "directories"),
                                     Count(stats.others, "other")));
  facts.Add("Logical", FormatBytes(stats.logical_bytes));
  facts.Add("Unique", FormatBytes(stats.unique_bytes));
  facts.Add("Stored", FormatBytes(stats.stored_bytes));
  facts.Add("Its own",
            absl::StrFormat("%s that no other snapshot has", FormatBytes(stats.own_bytes)));
  facts.Print(output);
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> NewStatsCommand() { return std::make_unique<StatsCommand>(); }

}  // namespace cairn
