// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_format.h"

namespace cairn {

CLI::App* AddCommand(CLI::App& app, const std::string& name, const char* group,
                     const std::string& summary, const std::string& description,
                     const std::string& examples) {
  CLI::App* command = app.add_subcommand(name, absl::StrFormat("%s.\n%s", summary, description));
  // Options of every command may stand before or behind its name.
  command->fallthrough();
  command->group(group);
  command->footer((examples.empty() ? "" : "Examples:\n" + examples + "\n") +
                  "Options of every command (--repo, --json, --quiet, ...): cairn --help");
  return command;
}

std::vector<std::unique_ptr<Command>> AllCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(NewInitCommand());
  commands.push_back(NewSnapshotCommand());
  commands.push_back(NewRestoreCommand());
  commands.push_back(NewRollbackCommand());
  commands.push_back(NewSnapshotsCommand());
  commands.push_back(NewLsCommand());
  commands.push_back(NewFindCommand());
  commands.push_back(NewLogCommand());
  commands.push_back(NewCatCommand());
  commands.push_back(NewDiffCommand());
  commands.push_back(NewForgetCommand());
  commands.push_back(NewHoldCommand());
  commands.push_back(NewReleaseCommand());
  commands.push_back(NewTagCommand());
  commands.push_back(NewPruneCommand());
  commands.push_back(NewCheckCommand());
  commands.push_back(NewRepairCommand());
  commands.push_back(NewStatsCommand());
  commands.push_back(NewKeyCommand());
  commands.push_back(NewIndexCommand());
  commands.push_back(NewVersionCommand());
  commands.push_back(NewCompletionCommand());
  return commands;
}

}  // namespace cairn
