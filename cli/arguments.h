// SPDX-License-Identifier: Apache-2.0
// Options and arguments as CLI11 should take them here: bytes as they were typed, one value to an
// option, and what stands after `--` untouched.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli11_fwd.h"

namespace cairn {

// The arguments of main without the program's name, in the form that the Add functions undo: CLI11
// would split "[a,b]", end a command at "++", take "--name=" for a name without a value, and lose
// track of `--`.
std::vector<std::string> PrepareArguments(int argc, char** argv);
// Undoes it.
std::string OriginalArgument(const std::string& argument);

// `name` as CLI11 has it ("-e,--exclude"), or a bare word for an argument by its place; `value` is
// how the help calls the value. The variables must live until the arguments are parsed. An option
// that is given again replaces its value, except for lists.
CLI::Option* AddText(CLI::App& app, const std::string& name, const std::string& value,
                     std::optional<std::string>& variable, const std::string& help);
CLI::Option* AddList(CLI::App& app, const std::string& name, const std::string& value,
                     std::vector<std::string>& variable, const std::string& help);
CLI::Option* AddFlag(CLI::App& app, const std::string& name, bool& variable,
                     const std::string& help);
// Arguments by their place: one, and one or more; none will do if `required` is false.
CLI::Option* AddArgument(CLI::App& app, const std::string& name,
                         std::optional<std::string>& variable, const std::string& help,
                         bool required);
CLI::Option* AddArguments(CLI::App& app, const std::string& name,
                          std::vector<std::string>& variable, const std::string& help,
                          bool required);

// How help looks: usage first, then what the command does, its options, and examples. In a list of
// commands the first line of a description stands alone.
std::shared_ptr<CLI::Formatter> MakeHelpFormatter();

}  // namespace cairn
