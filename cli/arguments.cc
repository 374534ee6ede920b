// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <sstream>
#include <string_view>

namespace cairn {
namespace {

// In front of an argument that CLI11 must not look into. One that begins with it gets another.
constexpr char kShield = '\x01';

std::string Shielded(std::string_view argument) { return kShield + std::string(argument); }

bool NeedsShield(std::string_view argument) {
  if (argument.empty()) return false;
  return argument.front() == kShield || argument == "++" ||
         (argument.front() == '[' && argument.back() == ']');
}

CLI::Option* Configure(CLI::Option* option, const std::string& value) {
  // The name of an argument by its place is its value's already.
  return option->type_name(value);
}

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    std::string text = make_usage(app, std::move(name)) + "\n" + app->get_description() + "\n";
    text += make_positionals(app);
    text += make_subcommands(app, mode);
    text += make_groups(app, mode);
    if (const std::string footer = make_footer(app); !footer.empty()) text += "\n" + footer;
    return text;
  }

  std::string make_groups(const CLI::App* app, CLI::AppFormatMode mode) const {
    std::string text = CLI::Formatter::make_groups(app, mode);
    for (size_t at; (at = text.find("\n\n\n")) != std::string::npos;) text.erase(at, 1);
    return text;
  }

  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::ostringstream text;
    text << "Usage: " << name << (app->get_parent() == nullptr ? " [OPTION...]" : "");
    if (app->get_parent() != nullptr) text << " [OPTION...]";
    for (const CLI::Option* option : app->get_options(
             [](const CLI::Option* candidate) { return candidate->get_positional(); })) {
      text << " " << make_option_usage(option);
    }
    if (!app->get_subcommands({}).empty()) text << " COMMAND";
    text << "\n";
    return text.str();
  }

  std::string make_subcommand(const CLI::App* command) const override {
    const std::string description = command->get_description();
    std::string name = command->get_name();
    for (const std::string& alias : command->get_aliases()) name += ", " + alias;
    std::ostringstream text;
    CLI::detail::format_help(text, name, description.substr(0, description.find('\n')),
                             column_width_);
    return text.str();
  }

  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_positional() || option->get_type_size() == 0) return "";
    const std::string value = option->get_type_name();
    return value.empty() ? "" : " " + value;
  }
};

}  // namespace

std::vector<std::string> PrepareArguments(int argc, char** argv) {
  std::vector<std::string> prepared;
  bool options_ended = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (options_ended) {
      prepared.push_back(Shielded(argument));
    } else if (argument == "--") {
      options_ended = true;
    } else if (argument.size() > 3 && argument.substr(0, 2) == "--" && argument.back() == '=' &&
               argument.find('=') == argument.size() - 1) {
      prepared.emplace_back(argument.substr(0, argument.size() - 1));
      prepared.emplace_back();
    } else {
      prepared.push_back(NeedsShield(argument) ? Shielded(argument) : std::string(argument));
    }
  }
  return prepared;
}

std::string OriginalArgument(const std::string& argument) {
  return !argument.empty() && argument.front() == kShield ? argument.substr(1) : argument;
}

CLI::Option* AddText(CLI::App& app, const std::string& name, const std::string& value,
                     std::optional<std::string>& variable, const std::string& help) {
  const CLI::callback_t take = [&variable](const CLI::results_t& results) {
    variable = OriginalArgument(results.back());
    return true;
  };
  return Configure(app.add_option(name, take, help), value)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

CLI::Option* AddList(CLI::App& app, const std::string& name, const std::string& value,
                     std::vector<std::string>& variable, const std::string& help) {
  const CLI::callback_t take = [&variable](const CLI::results_t& results) {
    variable.clear();
    for (const std::string& result : results) variable.push_back(OriginalArgument(result));
    return true;
  };
  return Configure(app.add_option(name, take, help), value)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

CLI::Option* AddFlag(CLI::App& app, const std::string& name, bool& variable,
                     const std::string& help) {
  return app.add_flag(name, variable, help);
}

CLI::Option* AddArgument(CLI::App& app, const std::string& name,
                         std::optional<std::string>& variable, const std::string& help,
                         bool required) {
  return AddText(app, name, "", variable, help)->required(required);
}

CLI::Option* AddArguments(CLI::App& app, const std::string& name,
                          std::vector<std::string>& variable, const std::string& help,
                          bool required) {
  return AddList(app, name, "", variable, help)
      ->expected(required ? 1 : 0, CLI::detail::expected_max_vector_size)
      ->allow_extra_args()
      ->required(required);
}

std::shared_ptr<CLI::Formatter> MakeHelpFormatter() {
  auto formatter = std::make_shared<HelpFormatter>();
  formatter->label("Positionals", "Arguments");
  formatter->column_width(34);
  return formatter;
}

}  // namespace cairn
