// SPDX-License-Identifier: Apache-2.0
// What a command works with: its options, its output, the repository.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/global_options.h"
#include "cli/output.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/repo/repository.h"
#include "core/repo/snapshot_selector.h"

namespace cairn {

// "0.1.0"
inline constexpr char kCairnVersion[] = CAIRN_VERSION;

struct SelectedSnapshot {
  SnapshotView view;
  std::optional<std::string> path;  // absolute
};

// Thread-compatible.
class Context {
 public:
  // All of them must outlive it. `only_reads` is what the command says of itself.
  Context(const GlobalOptions& options, Output& output, const StopFlag& stop, bool only_reads)
      : options_(options), output_(output), stop_(stop), only_reads_(only_reads) {}

  const GlobalOptions& options() const { return options_; }
  // For opening a repository with what the command line says of passwords and keys.
  StatusOr<Credential> ReadCredential() const;
  Output& output() { return output_; }
  const StopFlag* stop() const { return &stop_; }
  Timestamp now() const { return SystemClock().Now(); }

  // Opens the repository; it stays open as long as the context. Exit code 10 if there is none.
  StatusOr<Repository*> OpenRepository();
  // The repository's directory as a file system, without looking whether there is a repository.
  // With `create` it is made where it is missing.
  StatusOr<FileSystem*> OpenDirectory(bool create);
  // After a command that was done: what is better left to the end.
  void Finish();
  // How the repository was named.
  const std::string& repository_name() const { return name_; }

  // The snapshot that `text` names. Errors of form are UsageErrors.
  StatusOr<SelectedSnapshot> Select(std::string_view text, const SnapshotFilter& filter,
                                    bool path_allowed);
  // Only what lists and rules look at; several of them, each once, in the order given.
  StatusOr<std::vector<SnapshotInfo>> SelectInfos(const std::vector<std::string>& texts,
                                                  const SnapshotFilter& filter);

 private:
  const GlobalOptions& options_;
  Output& output_;
  const StopFlag& stop_;
  const bool only_reads_;
  std::string name_;
  Status credential_failure_;
  std::unique_ptr<FileSystem> fs_;
  std::unique_ptr<Repository> repository_;
};

}  // namespace cairn
