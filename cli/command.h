// SPDX-License-Identifier: Apache-2.0
// A command of the program.
#pragma once

#include <memory>
#include <vector>

#include "cli/cli11_fwd.h"
#include "cli/context.h"
#include "cli/exit_code.h"
#include "core/base/status.h"

namespace cairn {

class Command {
 public:
  virtual ~Command() = default;

  // Adds the command with its options to `app` and returns it. The options' values are kept in this
  // object, which must outlive the parsing.
  virtual CLI::App* Declare(CLI::App& app) = 0;
  virtual StatusOr<ExitCode> Run(Context& context) = 0;
  // With --json: lines with a message_type each, so that an error is one of them; else a document.
  virtual bool WritesJsonLines() const { return false; }
  // Such a command also runs on a repository whose journal is damaged, with what is known of it.
  virtual bool OnlyReads() const { return false; }
};

// Headings of `cairn --help`.
inline constexpr char kMakingGroup[] = "Making snapshots";
inline constexpr char kLookingGroup[] = "Looking into them";
inline constexpr char kKeepingGroup[] = "Choosing what is kept";
inline constexpr char kCaringGroup[] = "Caring for the repository";
inline constexpr char kProgramGroup[] = "The program itself";

// Adds a command: `summary` is its line in the list of commands, `description` follows it in the
// command's own help.
CLI::App* AddCommand(CLI::App& app, const std::string& name, const char* group,
                     const std::string& summary, const std::string& description,
                     const std::string& examples);

std::unique_ptr<Command> NewInitCommand();
std::unique_ptr<Command> NewSnapshotCommand();
std::unique_ptr<Command> NewRestoreCommand();
std::unique_ptr<Command> NewRollbackCommand();
std::unique_ptr<Command> NewSnapshotsCommand();
std::unique_ptr<Command> NewLsCommand();
std::unique_ptr<Command> NewFindCommand();
std::unique_ptr<Command> NewLogCommand();
std::unique_ptr<Command> NewCatCommand();
std::unique_ptr<Command> NewDiffCommand();
std::unique_ptr<Command> NewForgetCommand();
std::unique_ptr<Command> NewHoldCommand();
std::unique_ptr<Command> NewReleaseCommand();
std::unique_ptr<Command> NewTagCommand();
std::unique_ptr<Command> NewPruneCommand();
std::unique_ptr<Command> NewCheckCommand();
std::unique_ptr<Command> NewRepairCommand();
std::unique_ptr<Command> NewStatsCommand();
std::unique_ptr<Command> NewKeyCommand();
std::unique_ptr<Command> NewIndexCommand();
std::unique_ptr<Command> NewVersionCommand();
std::unique_ptr<Command> NewCompletionCommand();

// In the order of `cairn --help`.
std::vector<std::unique_ptr<Command>> AllCommands();

}  // namespace cairn
