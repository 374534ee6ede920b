// SPDX-License-Identifier: Apache-2.0
#include "cli/global_options.h"

#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/error.h"
#include "cli/text.h"

namespace cairn {
namespace {

constexpr char kGroup[] = "Options of every command";
constexpr uint64_t kMaxThreads = 256;

// The words of `--color` and `--progress`.
StatusOr<ProgressMode> ParseWhen(const char* option, const std::optional<std::string>& word) {
  if (!word || *word == "auto") return ProgressMode::kAuto;
  if (*word == "always") return ProgressMode::kAlways;
  if (*word == "never") return ProgressMode::kNever;
  return UsageError(
      absl::StrFormat("%s takes auto, always or never, and not \"%s\"", option, *word));
}

// Nothing if it is not set. A variable that is set to nothing is a slip in a script, which should
// not end in some other repository.
StatusOr<std::optional<std::string>> Environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::optional<std::string>();
  if (*value == '\0') {
    return UsageError(absl::StrFormat("%s is set, but empty; give it a value or unset it", name));
  }
  return std::optional<std::string>(value);
}

StatusOr<std::string> HomeDirectory() {
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') return home;
  // Services often run without HOME.
  if (const passwd* user = ::getpwuid(::geteuid()); user != nullptr && user->pw_dir[0] == '/') {
    return user->pw_dir;
  }
  return UsageError("there is no home directory to look in: HOME is not set to an absolute path");
}

// ${VARIABLE:-~/FALLBACK}/cairn
StatusOr<std::string> XdgDirectory(const char* variable, const char* fallback) {
  if (const char* base = std::getenv(variable); base != nullptr && *base != '\0') {
    if (*base != '/') {
      return UsageError(
          absl::StrFormat("%s is \"%s\", but must be an absolute path", variable, base));
    }
    return absl::StrFormat("%s/cairn", base);
  }
  ASSIGN_OR_RETURN(const std::string home, HomeDirectory());
  return absl::StrFormat("%s/%s/cairn", home, fallback);
}

bool WantsColor(ProgressMode mode, int descriptor) {
  if (mode != ProgressMode::kAuto) return mode == ProgressMode::kAlways;
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return (no_color == nullptr || *no_color == '\0') && ::isatty(descriptor) == 1 &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

}  // namespace

void AddGlobalOptions(CLI::App& app, GlobalArguments& arguments) {
  AddText(app, "-r,--repo", "REPO", arguments.repository,
          "The repository's directory; else $CAIRN_REPOSITORY,\nelse ~/.local/share/cairn")
      ->group(kGroup);
  AddText(app, "--password-file", "F", arguments.credential.password_file,
          "Take the repository's password from a file;\nelse from $CAIRN_PASSWORD, else it is "
          "asked for")
      ->group(kGroup);
  AddText(app, "--password-command", "C", arguments.credential.password_command,
          "Take it from what a shell command prints")
      ->group(kGroup);
  AddText(app, "--key-file", "F", arguments.credential.key_file,
          "Open the repository by a key file")
      ->group(kGroup);
  AddFlag(app, "--json", arguments.json, "Write JSON to standard output, and nothing else")
      ->group(kGroup);
  AddFlag(app, "-q,--quiet", arguments.quiet, "No progress, no summaries")->group(kGroup);
  app.add_flag("-v,--verbose", arguments.verbose, "Say more; -vv says most")->group(kGroup);
  AddText(app, "--threads", "N", arguments.threads, "Work with N threads")->group(kGroup);
  AddText(app, "--color", "WHEN", arguments.color, "Colours: auto, always or never")->group(kGroup);
  AddText(app, "--progress", "WHEN", arguments.progress, "Progress: auto, always or never")
      ->group(kGroup);
  AddFlag(app, "--profile", arguments.profile, "Say at the end where the time went")->group(kGroup);
  AddFlag(app, "--version", arguments.version, "Print the version")->group(kGroup);
}

StatusOr<GlobalOptions> ResolveGlobalOptions(const GlobalArguments& arguments) {
  GlobalOptions options;
  options.repository = arguments.repository;
  RETURN_IF_ERROR(CheckSource(arguments.credential, "--"));
  options.credential = arguments.credential;
  if (arguments.quiet && arguments.verbose > 0) {
    return UsageError("-q and -v contradict each other");
  }
  if (arguments.threads) {
    const StatusOr<uint64_t> threads = ParseNumber(*arguments.threads);
    if (!threads.ok() || *threads < 1 || *threads > kMaxThreads) {
      return UsageError(absl::StrFormat("--threads takes a number from 1 to %d, and not \"%s\"",
                                        kMaxThreads, *arguments.threads));
    }
    options.threads = static_cast<int>(*threads);
  }
  ASSIGN_OR_RETURN(options.progress, ParseWhen("--progress", arguments.progress));
  ASSIGN_OR_RETURN(const ProgressMode color, ParseWhen("--color", arguments.color));
  options.profile = arguments.profile;
  options.output.json = arguments.json;
  options.output.verbosity = arguments.quiet ? -1 : arguments.verbose;
  options.output.color_results = !arguments.json && WantsColor(color, STDOUT_FILENO);
  options.output.color_messages = WantsColor(color, STDERR_FILENO);
  return options;
}

StatusOr<std::string> RepositoryDirectory(const std::optional<std::string>& option) {
  std::optional<std::string> named = option;
  if (!named) {
    ASSIGN_OR_RETURN(named, Environment("CAIRN_REPOSITORY"));
  }
  if (!named) return XdgDirectory("XDG_DATA_HOME", ".local/share");
  if (named->empty()) return UsageError("the repository's name is empty");
  for (const std::string_view scheme : {"s3:", "sftp:"}) {
    if (std::string_view(*named).substr(0, scheme.size()) == scheme) {
      return UsageError(
          absl::StrFormat("%s: repositories over %s are not available yet; name a local directory "
                          "(./%s, if that is "
                          "one)",
                          *named, scheme.substr(0, scheme.size() - 1), *named));
    }
  }
  return *named;
}

StatusOr<std::string> CacheDirectory() {
  ASSIGN_OR_RETURN(const std::optional<std::string> named, Environment("CAIRN_CACHE_DIR"));
  if (!named) return XdgDirectory("XDG_CACHE_HOME", ".cache");
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(*named, error);
  if (error) {
    return UsageError(absl::StrFormat("CAIRN_CACHE_DIR is \"%s\": %s", *named, error.message()));
  }
  return path.string();
}

}  // namespace cairn
