// SPDX-License-Identifier: Apache-2.0
// Passwords and key files: where they are read from.
#pragma once

#include <optional>
#include <string>

#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/store/key_object.h"

namespace cairn {

inline constexpr char kPasswordVariable[] = "CAIRN_PASSWORD";

// As they were named; at most one of them.
struct CredentialSource {
  std::optional<std::string> password_file;
  std::optional<std::string> password_command;
  std::optional<std::string> key_file;

  bool named() const { return password_file || password_command || key_file; }
};

// UsageError if more than one is named; `prefix` is that of the options ("--", "--new-").
Status CheckSource(const CredentialSource& source, const char* prefix);

// Whether the command line or CAIRN_PASSWORD gives one. UsageError if that is set and empty.
StatusOr<bool> IsCredentialGiven(const CredentialSource& source);

// What `source` names, else CAIRN_PASSWORD, else asked on the terminal. No core is dumped from then
// on. UNAUTHENTICATED if there is none of them.
StatusOr<Credential> ReadCredential(const CredentialSource& source, const StopFlag& stop);

// For a new key: what `source` names, else (only with `from_environment`) CAIRN_PASSWORD, else a
// password asked for twice.
StatusOr<Credential> ReadNewCredential(const CredentialSource& source, bool from_environment,
                                       const StopFlag& stop);

// Writes a new random key to `path`, durably, which must not be there; only its owner can read it.
StatusOr<Credential> WriteKeyFile(const std::string& path);

// --key-cost: "low", "default", "high".
StatusOr<PasswordCost> ParsePasswordCost(const std::optional<std::string>& word);
inline constexpr char kPasswordCostHelp[] =
    "What a guess at the password costs in memory:\nlow (19 MiB), default (256 MiB), high (1 GiB)";

}  // namespace cairn
