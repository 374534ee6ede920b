// SPDX-License-Identifier: Apache-2.0
// cairn log
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/filter_options.h"
#include "cli/listing.h"
#include "cli/source_paths.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/repo/browse.h"

namespace cairn {
namespace {

using Infos = std::map<SnapshotId, SnapshotInfo>;

class LogCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override {
    CLI::App* command = AddCommand(
        app, "log", kLookingGroup, "List the versions of a file or directory",
        "Every distinct version of one path, oldest first, with the snapshots that bear it. A\n"
        "relative path begins at the working directory.",
        "  cairn log /etc/fstab\n"
        "  cairn log report.odt\n");
    AddArgument(*command, "PATH", path_, "Its original path", /*required=*/true);
    filter_.Declare(*command);
    return command;
  }

  bool OnlyReads() const override { return true; }
  StatusOr<ExitCode> Run(Context& context) override;

 private:
  static void PrintTable(Output& output, const std::vector<PathVersion>& versions,
                         const Infos& infos);
  static void PrintJson(Output& output, const std::string& path,
                        const std::vector<PathVersion>& versions, const Infos& infos);

  std::optional<std::string> path_;
  FilterOptions filter_;
};

std::string SizeText(const Entry& entry) {
  return entry.type == EntryType::kFile ? FormatBytes(entry.size) : ShortTypeName(entry.type);
}

void LogCommand::PrintTable(Output& output, const std::vector<PathVersion>& versions,
                            const Infos& infos) {
  Table table({{.title = "Modified"},
               {.title = "Size", .right = true},
               {.title = "Snapshots", .right = true},
               {.title = "First"},
               {.title = ""},
               {.title = "Last"},
               {.title = ""}});
  for (const PathVersion& version : versions) {
    const SnapshotInfo& first = infos.at(version.snapshots.front());
    const SnapshotInfo& last = infos.at(version.snapshots.back());
    const bool dated = version.entry && version.entry->type != EntryType::kPartialDirectory;
    table.Add({dated ? FormatForPeople(version.entry->mtime) : "",
               version.entry ? SizeText(*version.entry) : "not there",
               absl::StrFormat("%d", version.snapshots.size()), first.id.ShortHex(),
               FormatForPeople(first.time), last.id.ShortHex(), FormatForPeople(last.time)});
  }
  table.Print(output);
}

void LogCommand::PrintJson(Output& output, const std::string& path,
                           const std::vector<PathVersion>& versions, const Infos& infos) {
  Json json = JsonDocument();
  PutText(json, "path", path);
  json["versions"] = Json::array();
  for (const PathVersion& version : versions) {
    Json item = Json::object();
    item["present"] = version.entry.has_value();
    if (version.entry) item["entry"] = JsonOfEntry(path, *version.entry);
    item["snapshots"] = Json::array();
    for (const SnapshotId& id : version.snapshots) {
      Json snapshot = Json::object();
      snapshot["id"] = id.Hex();
      snapshot["short_id"] = id.ShortHex();
      snapshot["time"] = FormatRfc3339(infos.at(id).time);
      item["snapshots"].push_back(std::move(snapshot));
    }
    json["versions"].push_back(std::move(item));
  }
  output.PrintJson(json);
}

StatusOr<ExitCode> LogCommand::Run(Context& context) {
  StatusOr<std::string> path = AbsolutePath(*path_);
  if (!path.ok()) return WithExitCode(path.status(), ExitCode::kUsage);
  ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  ASSIGN_OR_RETURN(std::vector<SnapshotView> views, repository->Snapshots());
  std::erase_if(views, [&](const SnapshotView& view) { return !MatchesFilter(view.info, filter); });
  Infos infos;
  for (const SnapshotView& view : views) infos.emplace(view.info.id, view.info);
  const size_t looked_at = views.size();
  ASSIGN_OR_RETURN(std::vector<PathVersion> versions,
                   PathHistory(*repository, std::move(views), *path));
  std::erase_if(versions, [](const PathVersion& version) { return version.snapshots.empty(); });
  const bool ever = std::any_of(versions.begin(), versions.end(), [](const PathVersion& version) {
    return version.entry.has_value();
  });
  if (!ever) {
    return NotFound(absl::StrFormat("none of %s has %s; `cairn find` looks for a name at any place",
                                    Count(looked_at, "snapshot"), *path));
  }
  if (context.output().json()) {
    PrintJson(context.output(), *path, versions, infos);
  } else {
    PrintTable(context.output(), versions, infos);
  }
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> NewLogCommand() { return std::make_unique<LogCommand>(); }

}  // namespace cairn
