// SPDX-License-Identifier: Apache-2.0
// cairn init
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/text.h"
#include "core/base/random.h"
#include "core/repo/reserve.h"

namespace cairn {
namespace {

StatusOr<int> ParseCompression(const std::string& text) {
  constexpr std::pair<const char*, int> kNames[] = {
      {"fastest", -5}, {"fast", 1}, {"default", 3}, {"better", 9}, {"best", 19}};
  for (const auto& [name, level] : kNames) {
    if (text == name) return level;
  }
  int level = 0;
  if (!absl::SimpleAtoi(text, &level) || level == 0 || level < -7 || level > 19) {
    return UsageError(absl::StrFormat(
        "--compression takes fastest, fast, default, better or best, or a level of zstd: 1 to 19, "
        "or -1 to -7 for its fast modes; not \"%s\"",
        text));
  }
  return level;
}

class InitCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override {
    CLI::App* command = AddCommand(
        app, "init", kMakingGroup, "Make a new repository",
        "Makes the directory, if need be, and an empty repository in it. Everybody who can write\n"
        "to that directory can use it, also at the same time.",
        "  cairn init -r /mnt/disk/cairn\n"
        "  cairn init -r /mnt/disk/cairn --compression better\n");
    AddText(*command, "--compression", "LEVEL", compression_,
            "fastest, fast, default, better or best,\nor a level of zstd: 1 to 19, -1 to -7");
    AddFlag(*command, "--encrypt", encrypt_, "Not available yet")->group("");
    return command;
  }

  StatusOr<ExitCode> Run(Context& context) override {
    if (encrypt_) {
      return UsageError(
          "encrypted repositories are not available yet, and nothing was made; until they are, "
          "keep "
          "the repository on an encrypted file system");
    }
    RepositoryConfig config;
    if (compression_) {
      ASSIGN_OR_RETURN(config.compression_level, ParseCompression(*compression_));
    }
    FillRandom(config.id.bytes);
    config.created = context.now();
    RETURN_IF_ERROR(Create(context, config));

    Output& output = context.output();
    if (output.json()) {
      Json json = JsonMessage("initialized");
      json["id"] = config.id.Hex();
      PutText(json, "repository", context.repository_name());
      json["compression_level"] = config.compression_level;
      output.PrintJson(json);
    } else if (!output.quiet()) {
      output.PrintLine(absl::StrFormat("repository %s made at %s", config.id.ShortHex(),
                                       EscapeName(context.repository_name())));
    }
    return ExitCode::kDone;
  }

 private:
  static Status Create(Context& context, const RepositoryConfig& config) {
    ASSIGN_OR_RETURN(FileSystem * fs, context.OpenDirectory(/*create=*/true));
    const std::string& name = context.repository_name();
    ASSIGN_OR_RETURN(const std::vector<std::string> entries, fs->List(""));
    for (const std::string& entry : entries) {
      if (entry == kConfigName) {
        return AlreadyExists(absl::StrFormat(
            "there is a repository at %s already; `cairn snapshot -r %s PATH` uses it", name,
            name));
      }
    }
    for (const std::string& entry : entries) {
      // What a new file system has, and what an `init` that was cut short left.
      if (entry == "lost+found" || entry == "tmp") continue;
      return FailedPrecondition(absl::StrFormat(
          "%s is not empty (it holds \"%s\"); name a new directory, or an empty one", name, entry));
    }
    RETURN_IF_ERROR(Annotate(Repository::Create(*fs, config),
                             absl::StrFormat("making a repository at %s", name)));
    // The repository is there, and works without it: prune makes up for it.
    if (const Status status = EnsureReserve(*fs); !status.ok()) {
      context.output().Warn(Message(status));
    }
    return OkStatus();
  }

  std::optional<std::string> compression_;
  bool encrypt_ = false;
};

}  // namespace

std::unique_ptr<Command> NewInitCommand() { return std::make_unique<InitCommand>(); }

}  // namespace cairn
