// SPDX-License-Identifier: Apache-2.0
// cairn snapshots
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/filter_options.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/repo/snapshot_group.h"

namespace cairn {
namespace {

std::string OnLines(const std::vector<std::string>& texts) {
  return absl::StrJoin(texts, "\n", [](std::string* out, const std::string& text) {
    out->append(EscapeName(text));
  });
}

class SnapshotsCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override;
  bool OnlyReads() const override { return true; }
  StatusOr<ExitCode> Run(Context& context) override;

 private:
  using Views = std::map<SnapshotId, SnapshotView>;

  StatusOr<std::vector<SnapshotInfo>> Chosen(Context& context, Repository& repository) const;
  void PrintTable(Output& output, const std::vector<SnapshotInfo>& snapshots,
                  const Views& views) const;
  static Json JsonOfList(const std::vector<SnapshotInfo>& snapshots, const Views& views);
  static Json JsonOfGroups(const std::vector<SnapshotGroup>& groups, const GroupBy& group_by,
                           const Views& views);

  std::vector<std::string> named_;
  FilterOptions filter_;
  std::optional<std::string> group_by_;
  std::optional<std::string> latest_;
};

CLI::App* SnapshotsCommand::Declare(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "snapshots", kLookingGroup, "List the snapshots",
      "Oldest first, with time, host, tags, size and paths. `held` marks those that are never\n"
      "forgotten.",
      "  cairn snapshots --host web1 --latest 3\n"
      "  cairn snapshots --json | jq -r '.[].id'\n");
  command->alias("list");
  AddArguments(*command, "SNAPSHOT", named_, "Only these", /*required=*/false);
  AddText(*command, "-g,--group-by", "LIST", group_by_,
          "A table for each group: host, paths and tags,\nseparated by commas");
  AddText(*command, "--latest", "N", latest_,
          "Only the newest N of each group (else of each host\nand its paths)");
  filter_.Declare(*command);
  return command;
}

StatusOr<std::vector<SnapshotInfo>> SnapshotsCommand::Chosen(Context& context,
                                                             Repository& repository) const {
  ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
  if (!named_.empty()) return context.SelectInfos(named_, filter);
  ASSIGN_OR_RETURN(std::vector<SnapshotInfo> all, repository.SnapshotInfos());
  return Matching(std::move(all), filter);
}

void SnapshotsCommand::PrintTable(Output& output, const std::vector<SnapshotInfo>& snapshots,
                                  const Views& views) const {
  Table table({{.title = "ID"},
               {.title = "Time"},
               {.title = "Host"},
               {.title = "Tags"},
               {.title = "Size", .right = true},
               {.title = "Files", .right = true},
               {.title = "Held"},
               {.title = "Paths"},
               {.title = "Message"}});
  for (const SnapshotInfo& snapshot : snapshots) {
    const SnapshotStatistics& statistics = views.at(snapshot.id).object.statistics;
    table.Add({snapshot.id.ShortHex(), FormatForPeople(snapshot.time), EscapeName(snapshot.host),
               OnLines(snapshot.tags), FormatBytes(statistics.bytes),
               absl::StrFormat("%d", statistics.files), snapshot.held ? "held" : "",
               OnLines(snapshot.paths), EscapeName(snapshot.message)});
  }
  if (!table.empty()) table.Print(output);
  output.PrintLine(Count(snapshots.size(), "snapshot"));
}

Json SnapshotsCommand::JsonOfList(const std::vector<SnapshotInfo>& snapshots, const Views& views) {
  Json list = Json::array();
  for (const SnapshotInfo& snapshot : snapshots) {
    list.push_back(JsonOfSnapshot(views.at(snapshot.id)));
  }
  return list;
}

Json SnapshotsCommand::JsonOfGroups(const std::vector<SnapshotGroup>& groups,
                                    const GroupBy& group_by, const Views& views) {
  Json list = Json::array();
  for (const SnapshotGroup& group : groups) {
    Json key = Json::object();
    if (group_by.host) PutText(key, "hostname", group.key.host);
    if (group_by.paths) PutTexts(key, "paths", group.key.paths);
    if (group_by.tags) PutTexts(key, "tags", group.key.tags);
    Json json = Json::object();
    json["group_key"] = std::move(key);
    json["snapshots"] = JsonOfList(group.snapshots, views);
    list.push_back(std::move(json));
  }
  return list;
}

StatusOr<ExitCode> SnapshotsCommand::Run(Context& context) {
  GroupBy group_by{.host = true, .paths = true, .tags = false};
  if (group_by_) {
    const StatusOr<GroupBy> parsed = ParseGroupBy(*group_by_);
    if (!parsed.ok()) return AsUsage(parsed.status(), "--group-by");
    group_by = *parsed;
  }
  std::optional<uint64_t> latest;
  if (latest_) {
    const StatusOr<uint64_t> parsed = ParseNumber(*latest_);
    if (!parsed.ok() || *parsed == 0) {
      return UsageError(absl::StrFormat("--latest takes a number from 1 on, not \"%s\"", *latest_));
    }
    latest = *parsed;
  }
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  ASSIGN_OR_RETURN(std::vector<SnapshotInfo> chosen, Chosen(context, *repository));
  ASSIGN_OR_RETURN(std::vector<SnapshotView> all, repository->Snapshots());
  Views views;
  for (SnapshotView& view : all) views.emplace(view.info.id, std::move(view));

  std::vector<SnapshotGroup> groups = GroupSnapshots(std::move(chosen), group_by);
  for (SnapshotGroup& group : groups) {
    if (latest && group.snapshots.size() > *latest) group.snapshots.resize(*latest);
    std::erase_if(group.snapshots,
                  [&](const SnapshotInfo& snapshot) { return !views.contains(snapshot.id); });
    std::reverse(group.snapshots.begin(), group.snapshots.end());
  }
  Output& output = context.output();
  if (group_by_) {
    if (output.json()) {
      output.PrintJson(JsonOfGroups(groups, group_by, views));
      return ExitCode::kDone;
    }
    for (const SnapshotGroup& group : groups) {
      output.PrintLine(output.Paint(Color::kBlue, EscapeMessage(FormatGroupKey(group.key))));
      PrintTable(output, group.snapshots, views);
      output.PrintLine("");
    }
    return ExitCode::kDone;
  }
  std::vector<SnapshotInfo> list;
  for (SnapshotGroup& group : groups) std::ranges::move(group.snapshots, std::back_inserter(list));
  std::sort(list.begin(), list.end(), IsOlder);
  if (output.json()) {
    output.PrintJson(JsonOfList(list, views));
  } else {
    PrintTable(output, list, views);
  }
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> NewSnapshotsCommand() { return std::make_unique<SnapshotsCommand>(); }

}  // namespace cairn
