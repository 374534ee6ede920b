// SPDX-License-Identifier: Apache-2.0
// cairn init
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/credentials.h"
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
        "to that directory can use it, also at the same time. With --encrypt, nobody can read it,\n"
        "or change it unseen, without its password or a key file; without them all is lost.",
        "  cairn init -r /mnt/disk/cairn\n"
        "  cairn init -r /mnt/disk/cairn --encrypt\n"
        "  cairn init -r /mnt/disk/cairn --encrypt --new-key-file /root/cairn.key\n");
    AddText(*command, "--compression", "LEVEL", compression_,
            "fastest, fast, default, better or best,\nor a level of zstd: 1 to 19, -1 to -7");
    AddFlag(*command, "--encrypt", encrypt_, "Encrypt everything, with a password or a key file");
    AddText(*command, "--new-key-file", "F", new_key_file_,
            "Make a key file, which must not be there yet,\nand let it open the repository");
    AddText(*command, "--key-cost", "COST", cost_, kPasswordCostHelp);
    return command;
  }

  StatusOr<ExitCode> Run(Context& context) override {
    RETURN_IF_ERROR(CheckArguments(context));
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
      json["encrypted"] = encrypt_;
      output.PrintJson(json);
    } else if (!output.quiet()) {
      output.PrintLine(absl::StrFormat("%srepository %s made at %s", encrypt_ ? "encrypted " : "",
                                       config.id.ShortHex(),
                                       EscapeName(context.repository_name())));
      if (encrypt_) {
        output.PrintLine(
            "Keep its password or key file: without it nobody can read what is stored.");
      }
    }
    return ExitCode::kDone;
  }

 private:
  Status CheckArguments(const Context& context) const {
    ASSIGN_OR_RETURN(const bool given, IsCredentialGiven(context.options().credential));
    if (!encrypt_ && (given || new_key_file_ || cost_)) {
      return UsageError(
          "a password or a key is given for a repository that is not to be encrypted: say "
          "--encrypt, or leave it out");
    }
    if (new_key_file_ && context.options().credential.named()) {
      return UsageError("--new-key-file makes a key; name it alone, or one that there is");
    }
    return ParsePasswordCost(cost_).status();
  }

  Status CreateIn(Context& context, FileSystem& fs, const RepositoryConfig& config) const {
    if (!encrypt_) return Repository::Create(fs, config);
    ASSIGN_OR_RETURN(const PasswordCost cost, ParsePasswordCost(cost_));
    StatusOr<Credential> credential =
        new_key_file_ ? WriteKeyFile(*new_key_file_)
                      : ReadNewCredential(context.options().credential, /*from_environment=*/true,
                                          *context.stop());
    RETURN_IF_ERROR(credential.status());
    return Repository::CreateEncrypted(fs, config, *credential, cost);
  }

  Status Create(Context& context, const RepositoryConfig& config) const {
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
      if (entry == "lost+found" || entry == "tmp" || entry == kKeyFolder) continue;
      return FailedPrecondition(absl::StrFormat(
          "%s is not empty (it holds \"%s\"); name a new directory, or an empty one", name, entry));
    }
    RETURN_IF_ERROR(RemoveLeftKeys(*fs));
    const Status made = CreateIn(context, *fs, config);
    if (made.code() == StatusCode::kInvalidArgument) return made;
    RETURN_IF_ERROR(Annotate(made, absl::StrFormat("making a repository at %s", name)));
    // The repository is there, and works without it: prune makes up for it.
    if (const Status status = EnsureReserve(*fs); !status.ok()) {
      context.output().Warn(Message(status));
    }
    return OkStatus();
  }

  // Of an `init` that was cut short: nothing was sealed with what they hold.
  static Status RemoveLeftKeys(FileSystem& fs) {
    const StatusOr<std::vector<std::string>> names = fs.List(kKeyFolder);
    if (names.status().code() == StatusCode::kNotFound) return OkStatus();
    RETURN_IF_ERROR(names.status());
    for (const std::string& each : *names) {
      RETURN_IF_ERROR(fs.Unlink(std::string(kKeyFolder) + "/" + each));
    }
    return fs.SyncDirectory(kKeyFolder);
  }

  std::optional<std::string> compression_;
  std::optional<std::string> new_key_file_;
  std::optional<std::string> cost_;
  bool encrypt_ = false;
};

}  // namespace

std::unique_ptr<Command> NewInitCommand() { return std::make_unique<InitCommand>(); }

}  // namespace cairn
