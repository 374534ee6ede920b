// SPDX-License-Identifier: Apache-2.0
// The options that every command takes, and what the environment says in their place.
#pragma once

#include <optional>
#include <string>

#include "cli/cli11_fwd.h"
#include "cli/credentials.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "core/base/status.h"

namespace cairn {

// As they were typed.
struct GlobalArguments {
  std::optional<std::string> repository;
  CredentialSource credential;
  bool json = false;
  bool quiet = false;
  int verbose = 0;
  std::optional<std::string> threads;
  std::optional<std::string> color;
  std::optional<std::string> progress;
  bool profile = false;
  bool version = false;
};

void AddGlobalOptions(CLI::App& app, GlobalArguments& arguments);

// As they are meant.
struct GlobalOptions {
  std::optional<std::string> repository;
  CredentialSource credential;
  int threads = 0;  // 0: as many as fit the machine
  ProgressMode progress = ProgressMode::kAuto;
  bool profile = false;
  Output::Settings output;
};

// The errors are UsageErrors.
StatusOr<GlobalOptions> ResolveGlobalOptions(const GlobalArguments& arguments);

// The directory of the repository: `option`, else CAIRN_REPOSITORY, else
// ${XDG_DATA_HOME:-~/.local/share}/cairn.
StatusOr<std::string> RepositoryDirectory(const std::optional<std::string>& option);
// CAIRN_CACHE_DIR, else ${XDG_CACHE_HOME:-~/.cache}/cairn; absolute.
StatusOr<std::string> CacheDirectory();

}  // namespace cairn
