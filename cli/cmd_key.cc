// SPDX-License-Identifier: Apache-2.0
// cairn key add, list, remove, passwd
#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/credentials.h"
#include "cli/error.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/repo/keys.h"

namespace cairn {
namespace {

constexpr size_t kMinPrefixDigits = 4;

class KeyCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override;
  StatusOr<ExitCode> Run(Context& context) override;

 private:
  StatusOr<ExitCode> Add(Context& context);
  StatusOr<ExitCode> List(Context& context);
  StatusOr<ExitCode> Remove(Context& context);
  StatusOr<ExitCode> ChangePassword(Context& context);

  void DeclareNewPassword(CLI::App& command);
  StatusOr<KeyId> FindKey(Repository& repository) const;
  void Report(Context& context, const KeyId& id, const std::string& what);

  CLI::App* add_ = nullptr;
  CLI::App* list_ = nullptr;
  CLI::App* remove_ = nullptr;
  CLI::App* passwd_ = nullptr;
  CredentialSource new_;  // its key_file is one that is made
  std::optional<std::string> cost_;
  std::optional<std::string> id_;
};

void KeyCommand::DeclareNewPassword(CLI::App& command) {
  AddText(command, "--new-password-file", "F", new_.password_file,
          "Take the new password from a file");
  AddText(command, "--new-password-command", "C", new_.password_command,
          "Take it from what a shell command prints");
  AddText(command, "--key-cost", "COST", cost_, kPasswordCostHelp);
}

CLI::App* KeyCommand::Declare(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "key", kCaringGroup, "Passwords and key files (key add, list, remove, passwd)",
      "An encrypted repository has a password or a key file for everybody who may open it. All\n"
      "give the same master key: who has had a password, and a copy of the repository's folder\n"
      "`keys`, can go on reading after the password is removed.",
      "  cairn key list\n"
      "  cairn key add --new-key-file /root/cairn.key\n"
      "  cairn key passwd\n"
      "  cairn key remove 1f3a8b2c\n");
  add_ = command->add_subcommand("add", "Add a password, or make a key file (--new-key-file)");
  DeclareNewPassword(*add_);
  AddText(*add_, "--new-key-file", "F", new_.key_file,
          "Make a key file, which must not be there yet");
  list_ = command->add_subcommand("list", "List the keys; * is the one that opened");
  remove_ = command->add_subcommand("remove", "Remove a key, but not the one that opened");
  AddArgument(*remove_, "ID", id_, "Which, by its id or the first digits of it", /*required=*/true);
  passwd_ = command->add_subcommand("passwd", "Change the password that opened");
  DeclareNewPassword(*passwd_);
  for (CLI::App* const each : {add_, list_, remove_, passwd_}) each->fallthrough();
  command->require_subcommand(1);
  return command;
}

StatusOr<ExitCode> KeyCommand::Run(Context& context) {
  if (add_->parsed()) return Add(context);
  if (list_->parsed()) return List(context);
  if (remove_->parsed()) return Remove(context);
  return ChangePassword(context);
}

void KeyCommand::Report(Context& context, const KeyId& id, const std::string& what) {
  Output& output = context.output();
  if (output.json()) {
    Json json = JsonDocument();
    json["id"] = id.Hex();
    output.PrintJson(json);
  } else if (!output.quiet()) {
    output.PrintLine(absl::StrFormat("key %s %s", id.ShortHex(), what));
  }
}

StatusOr<ExitCode> KeyCommand::Add(Context& context) {
  RETURN_IF_ERROR(CheckSource(new_, "--new-"));
  ASSIGN_OR_RETURN(const PasswordCost cost, ParsePasswordCost(cost_));
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  RETURN_IF_ERROR(KeysOf(*repository).status());
  StatusOr<Credential> credential =
      new_.key_file ? WriteKeyFile(*new_.key_file)
                    : ReadNewCredential(new_, /*from_environment=*/false, *context.stop());
  RETURN_IF_ERROR(credential.status());
  ASSIGN_OR_RETURN(const KeyId id, AddKey(*repository, *credential, cost, context.now()));
  Report(context, id, "added");
  return ExitCode::kDone;
}

StatusOr<ExitCode> KeyCommand::List(Context& context) {
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  ASSIGN_OR_RETURN(const std::vector<StoredKey> keys, KeysOf(*repository));
  Output& output = context.output();
  Json list = Json::array();
  Table table({{""}, {"ID"}, {"Kind"}, {"Created"}});
  for (const StoredKey& stored : keys) {
    if (!stored.key.ok()) {
      output.Warn(Message(stored.key.status()));
      continue;
    }
    const KeyObject& key = *stored.key;
    const bool current = stored.id == repository->opened_by();
    Json item = Json::object();
    item["id"] = stored.id.Hex();
    item["kind"] = key.kind == KeyKind::kPassword ? "password" : "key_file";
    item["created"] = FormatRfc3339(key.created);
    item["current"] = current;
    list.push_back(std::move(item));
    table.Add({current ? "*" : "", stored.id.ShortHex(), KeyKindName(key.kind),
               FormatForPeople(key.created)});
  }
  if (output.json()) {
    output.PrintJson(list);
  } else {
    table.Print(output);
  }
  return ExitCode::kDone;
}

StatusOr<KeyId> KeyCommand::FindKey(Repository& repository) const {
  if (id_->size() < kMinPrefixDigits) {
    return UsageError(
        absl::StrFormat("\"%s\" is too short: a key is named by 4 digits or more", *id_));
  }
  ASSIGN_OR_RETURN(const std::vector<StoredKey> keys, KeysOf(repository));
  const std::string prefix = absl::AsciiStrToLower(*id_);
  std::vector<KeyId> found;
  for (const StoredKey& stored : keys) {
    // By the name of the file, so that one that is damaged can be removed.
    const std::string name = stored.name.substr(stored.name.rfind('/') + 1);
    const std::optional<KeyId> id = KeyId::FromHex(name);
    if (id && name.starts_with(prefix)) found.push_back(*id);
  }
  if (found.empty()) return NotFound(absl::StrFormat("no key has an id that begins with %s", *id_));
  if (found.size() > 1) {
    return InvalidArgument(absl::StrFormat(
        "%d keys have an id that begins with %s; give more digits", found.size(), *id_));
  }
  return found.front();
}

StatusOr<ExitCode> KeyCommand::Remove(Context& context) {
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  ASSIGN_OR_RETURN(const KeyId id, FindKey(*repository));
  RETURN_IF_ERROR(RemoveKey(*repository, id));
  Report(context, id, "removed");
  return ExitCode::kDone;
}

StatusOr<ExitCode> KeyCommand::ChangePassword(Context& context) {
  RETURN_IF_ERROR(CheckSource(new_, "--new-"));
  ASSIGN_OR_RETURN(const PasswordCost cost, ParsePasswordCost(cost_));
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  ASSIGN_OR_RETURN(const std::vector<StoredKey> keys, KeysOf(*repository));
  const bool by_password = std::ranges::any_of(keys, [&](const StoredKey& stored) {
    return stored.key.ok() && stored.id == repository->opened_by() &&
           stored.key->kind == KeyKind::kPassword;
  });
  if (!by_password) {
    return FailedPrecondition(
        "a key file opened the repository, and not a password: add the new one with `cairn key "
        "add`, and remove the old one with `cairn key remove`");
  }
  ASSIGN_OR_RETURN(const Credential credential,
                   ReadNewCredential(new_, /*from_environment=*/false, *context.stop()));
  ASSIGN_OR_RETURN(const KeyId id, ReplaceKey(*repository, credential, cost, context.now()));
  Report(context, id, "has taken the place of the old password");
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> NewKeyCommand() { return std::make_unique<KeyCommand>(); }

}  // namespace cairn
