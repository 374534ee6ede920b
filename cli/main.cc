// SPDX-License-Identifier: Apache-2.0
// Reads the arguments, runs the command they name, and turns its result into an exit code.
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/context.h"
#include "cli/error.h"
#include "cli/global_options.h"
#include "cli/output.h"
#include "cli/profile_report.h"
#include "cli/signals.h"
#include "core/base/profile.h"

namespace cairn {
namespace {

constexpr char kDescription[] =
    "cairn keeps snapshots of directories in a repository, where equal content is stored once.";

constexpr char kFooter[] =
    "Snapshots are named by `latest`, `latest~2` (two before), an id or its first digits, or\n"
    "`@TIME`, the state as of that time; SNAPSHOT:PATH is a file or folder in one.\n"
    "`cairn COMMAND --help` tells of one command, and `man cairn` of everything.";

struct Declared {
  std::unique_ptr<Command> command;
  CLI::App* app = nullptr;
};

std::vector<Declared> Declare(CLI::App& app, GlobalArguments& globals) {
  app.formatter(MakeHelpFormatter());
  app.footer(kFooter);
  app.set_help_flag("-h,--help", "Print this help")->group("Options of every command");
  app.require_subcommand(0, 1);
  AddGlobalOptions(app, globals);
  std::vector<Declared> declared;
  for (std::unique_ptr<Command>& command : AllCommands()) {
    CLI::App* subcommand = command->Declare(app);
    declared.push_back({std::move(command), subcommand});
  }
  return declared;
}

// The message of a parse error, with the arguments as they were typed.
std::string ParseMessage(const CLI::ParseError& error) {
  std::string message = error.what();
  std::erase(message, '\x01');
  return message;
}

// `cairn version` under its other name.
void RequestVersion(std::vector<Declared>& declared, Declared*& chosen) {
  for (Declared& candidate : declared) {
    if (candidate.app->get_name() == "version") chosen = &candidate;
  }
}

ExitCode RunCommand(Command& command, const GlobalOptions& options, const StopFlag& stop) {
  Output output(options.output);
  const auto start = std::chrono::steady_clock::now();
  if (options.profile) Profile::Start();
  const absl::Cleanup report = [&] {
    if (options.profile) std::cerr << ProfileReport(std::chrono::steady_clock::now() - start);
  };
  Context context(options, output, stop, command.OnlyReads());
  const StatusOr<ExitCode> result = command.Run(context);
  Status status = result.status();
  if (status.ok()) context.Finish();
  if (!status.ok() && output.json() && command.WritesJsonLines()) {
    Json json = JsonOfProblem("", Message(status));
    json["code"] = static_cast<int>(ExitCodeOf(status));
    output.PrintJson(json);
  }
  if (const Status written = output.Finish(); status.ok()) status = written;
  if (status.ok()) return *result;
  output.Error(Message(status));
  return ExitCodeOf(status);
}

ExitCode Main(int argc, char** argv) {
  const StopFlag& stop = InstallSignalHandlers();
  CLI::App app(kDescription, "cairn");
  GlobalArguments globals;
  std::vector<Declared> declared = Declare(app, globals);

  Output early({});
  std::vector<std::string> arguments = PrepareArguments(argc, argv);
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::Success& success) {  // --help
    early.Print(app.help());
    const Status written = early.Finish();
    if (!written.ok()) early.Error(Message(written));
    return ExitCodeOf(written);
  } catch (const CLI::ParseError& error) {
    early.Error(ParseMessage(error) +
                "\n`cairn --help` and `cairn COMMAND --help` say what there is.");
    return ExitCode::kUsage;
  }

  Declared* chosen = nullptr;
  for (Declared& candidate : declared) {
    if (candidate.app->parsed()) chosen = &candidate;
  }
  if (globals.version) RequestVersion(declared, chosen);
  if (chosen == nullptr) {
    std::cerr << app.help();
    return ExitCode::kUsage;
  }
  const StatusOr<GlobalOptions> options = ResolveGlobalOptions(globals);
  if (!options.ok()) {
    early.Error(Message(options.status()));
    return ExitCodeOf(options.status());
  }
  return RunCommand(*chosen->command, *options, stop);
}

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  // An arena of malloc for every thread keeps what each of them once used: a tenth of a large
  // first snapshot's memory. Most allocations are served from the threads' own caches anyway.
  (void)mallopt(M_ARENA_MAX, 2);
  return static_cast<int>(cairn::Main(argc, argv));
}
