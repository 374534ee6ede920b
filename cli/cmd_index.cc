// SPDX-License-Identifier: Apache-2.0
// cairn index rebuild
#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/text.h"

namespace cairn {
namespace {

// Takes the index away without opening it: a damaged one can end the process that looks into it.
// Who has it open keeps it.
Status RemoveIndex(FileSystem& fs, const std::string& cache_directory) {
  const std::unique_ptr<ObjectStore> store = NewLocalObjectStore(fs);
  ASSIGN_OR_RETURN(const RepositoryClaim claim, IdentifyRepository(*store));
  const std::filesystem::path directory = std::filesystem::path(cache_directory) / claim.id.Hex();
  const std::filesystem::path aside = directory.string() + ".removed";
  std::error_code error;
  std::filesystem::remove_all(aside, error);
  std::filesystem::rename(directory, aside, error);
  if (error == std::errc::no_such_file_or_directory) return OkStatus();
  if (!error) std::filesystem::remove_all(aside, error);
  if (!error) return OkStatus();
  return ErrnoError(error.value(), "removing the index", directory.string());
}

class IndexCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override {
    CLI::App* command = AddCommand(
        app, "index", kCaringGroup, "Make the index anew (index rebuild)",
        "The index is what cairn has worked out from the repository. It lies in the user's cache,\n"
        "not in the repository, and nothing is lost with it: `index rebuild` makes it anew, "
        "should\n"
        "it be damaged.",
        "  cairn index rebuild\n");
    CLI::App* rebuild = command->add_subcommand("rebuild", "Throw the index away and make it anew");
    rebuild->fallthrough();
    command->require_subcommand(1);
    return command;
  }

  StatusOr<ExitCode> Run(Context& context) override {
    StatusOr<FileSystem*> fs = context.OpenDirectory(/*create=*/false);
    ASSIGN_OR_RETURN(const std::string cache, CacheDirectory());
    if (fs.ok()) {
      const Status removed = RemoveIndex(**fs, cache);
      // Where there is no repository OpenRepository says so.
      if (!removed.ok() && removed.code() != StatusCode::kNotFound) return removed;
    }
    ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
    ASSIGN_OR_RETURN(const std::vector<SnapshotInfo> snapshots, repository->SnapshotInfos());
    Output& output = context.output();
    if (output.json()) {
      Json json = JsonDocument();
      json["repository"] = repository->config().id.Hex();
      json["snapshots"] = snapshots.size();
      output.PrintJson(json);
    } else if (!output.quiet()) {
      output.PrintLine(absl::StrFormat("index made anew in %s: %s", EscapeName(cache),
                                       Count(snapshots.size(), "snapshot")));
    }
    return ExitCode::kDone;
  }
};

}  // namespace

std::unique_ptr<Command> NewIndexCommand() { return std::make_unique<IndexCommand>(); }

}  // namespace cairn
