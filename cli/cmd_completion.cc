// SPDX-License-Identifier: Apache-2.0
// cairn completion
#include <CLI/CLI.hpp>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/text.h"

namespace cairn {
namespace {

struct Described {
  std::string name;  // "--exclude", "-e", "snapshot"
  std::string help;  // one line
};

std::string FirstLine(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  if (!line.empty() && line.back() == '.') line.pop_back();
  return line;
}

std::vector<Described> OptionsOf(const CLI::App& app) {
  std::vector<Described> options;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() || option->get_group().empty()) continue;
    const std::string help = FirstLine(option->get_description());
    for (const std::string& name : option->get_lnames()) options.push_back({"--" + name, help});
    for (const std::string& name : option->get_snames()) options.push_back({"-" + name, help});
  }
  return options;
}

std::vector<Described> CommandsOf(const CLI::App& app) {
  std::vector<Described> commands;
  for (const CLI::App* command : app.get_subcommands({})) {
    const std::string help = FirstLine(command->get_description());
    commands.push_back({command->get_name(), help});
    for (const std::string& alias : command->get_aliases()) commands.push_back({alias, help});
  }
  return commands;
}

std::string Names(const std::vector<Described>& all) {
  return absl::StrJoin(all, " ",
                       [](std::string* out, const Described& item) { out->append(item.name); });
}

constexpr char kCompletion[] = "completion";
constexpr std::array kShells = {"bash", "zsh", "fish"};

// What follows a command: the words that it takes besides options, where they are known.
std::vector<Described> WordsAfter(const CLI::App& command) {
  if (command.get_name() != kCompletion) return CommandsOf(command);
  std::vector<Described> shells;
  for (const char* shell : kShells) shells.push_back({shell, ""});
  return shells;
}

// As a pattern of `case`: options that are followed by a value of their own.
std::string OptionsWithValue(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() || option->get_type_size() == 0) continue;
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return absl::StrJoin(names, "|");
}

std::string PatternOf(const CLI::App& command) {
  std::vector<std::string> names = command.get_aliases();
  names.insert(names.begin(), command.get_name());
  return absl::StrJoin(names, "|");
}

std::string BashScript(const CLI::App& root) {
  std::string cases;
  for (const CLI::App* command : root.get_subcommands({})) {
    cases += absl::StrFormat("    %s) words='%s' choices='%s' ;;\n", PatternOf(*command),
                             Names(OptionsOf(*command)), Names(WordsAfter(*command)));
  }
  return absl::StrFormat(
      R"(# bash completion for cairn
_cairn() {
  local current=${COMP_WORDS[COMP_CWORD]} command= words= choices= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      %s) ((i++)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  case $command in
    '') choices='%s' ;;
%s  esac
  COMPREPLY=()
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words %s" -- "$current")
  elif [[ -n $choices ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
  fi
  if [[ ${#COMPREPLY[@]} -eq 0 ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -F _cairn cairn
)",
      OptionsWithValue(root), Names(CommandsOf(root)), cases, Names(OptionsOf(root)));
}

std::string ZshItems(const std::vector<Described>& all) {
  return absl::StrJoin(all, " ", [](std::string* out, const Described& item) {
    absl::StrAppendFormat(out, "'%s:%s'", item.name,
                          EscapeSingleQuotes(absl::StrReplaceAll(item.help, {{":", "\\:"}})));
  });
}

std::string ZshScript(const CLI::App& root) {
  std::string cases;
  for (const CLI::App* command : root.get_subcommands({})) {
    cases += absl::StrFormat("    %s) options+=(%s); choices=(%s) ;;\n", PatternOf(*command),
                             ZshItems(OptionsOf(*command)), ZshItems(WordsAfter(*command)));
  }
  return absl::StrFormat(
      R"(#compdef cairn
_cairn() {
  local -a options choices
  local command= current=$words[CURRENT] i
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      %s) ((i++)) ;;
      -*) ;;
      *) command=$words[i]; break ;;
    esac
  done
  options=(%s)
  choices=()
  case $command in
    '') choices=(%s) ;;
%s  esac
  if [[ $current == -* ]]; then
    _describe -o option options
  elif (( $#choices )); then
    _describe command choices
  else
    _files
  fi
}
compdef _cairn cairn
)",
      OptionsWithValue(root), ZshItems(OptionsOf(root)), ZshItems(CommandsOf(root)), cases);
}

void AppendFish(std::string& out, const std::string& condition, const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() || option->get_group().empty()) continue;
    absl::StrAppendFormat(&out, "complete -c cairn -n '%s'", condition);
    for (const std::string& name : option->get_lnames())
      absl::StrAppendFormat(&out, " -l %s", name);
    for (const std::string& name : option->get_snames())
      absl::StrAppendFormat(&out, " -s %s", name);
    if (option->get_type_size() != 0) out += " -r";
    absl::StrAppendFormat(&out, " -d '%s'\n",
                          EscapeSingleQuotes(FirstLine(option->get_description())));
  }
}

std::string FishScript(const CLI::App& root) {
  std::string out = "# fish completion for cairn\n";
  const std::vector<Described> commands = CommandsOf(root);
  for (const Described& command : commands) {
    absl::StrAppendFormat(&out, "complete -c cairn -f -n __fish_use_subcommand -a %s -d '%s'\n",
                          command.name, EscapeSingleQuotes(command.help));
  }
  AppendFish(out, "true", root);
  for (const CLI::App* command : root.get_subcommands({})) {
    std::string condition = "__fish_seen_subcommand_from " + command->get_name();
    for (const std::string& alias : command->get_aliases()) condition += " " + alias;
    AppendFish(out, condition, *command);
    for (const Described& word : WordsAfter(*command)) {
      absl::StrAppendFormat(&out, "complete -c cairn -f -n '%s' -a %s\n", condition, word.name);
    }
  }
  return out;
}

class CompletionCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override {
    root_ = &app;
    CLI::App* command =
        AddCommand(app, kCompletion, kProgramGroup, "Print a script that completes commands",
                   "For bash, zsh or fish, from the options that this program has.",
                   "  cairn completion bash > ~/.local/share/bash-completion/completions/cairn\n"
                   "  cairn completion zsh > ~/.zfunc/_cairn\n"
                   "  cairn completion fish > ~/.config/fish/completions/cairn.fish\n");
    AddArgument(*command, "SHELL", shell_, "bash, zsh or fish", /*required=*/true);
    return command;
  }

  StatusOr<ExitCode> Run(Context& context) override {
    Output& output = context.output();
    if (output.json()) return UsageError("completion prints a script, not JSON");
    if (shell_ == "bash") {
      output.Print(BashScript(*root_));
    } else if (shell_ == "zsh") {
      output.Print(ZshScript(*root_));
    } else if (shell_ == "fish") {
      output.Print(FishScript(*root_));
    } else {
      return UsageError(
          absl::StrFormat("there is completion for bash, zsh and fish, not for \"%s\"", *shell_));
    }
    return ExitCode::kDone;
  }

 private:
  const CLI::App* root_ = nullptr;
  std::optional<std::string> shell_;
};

}  // namespace

std::unique_ptr<Command> NewCompletionCommand() { return std::make_unique<CompletionCommand>(); }

}  // namespace cairn
