// SPDX-License-Identifier: Apache-2.0
#include "cli/context.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_format.h"
#include "cli/error.h"

namespace cairn {

StatusOr<FileSystem*> Context::OpenDirectory(bool create) {
  if (fs_ != nullptr) return fs_.get();
  ASSIGN_OR_RETURN(name_, RepositoryDirectory(options_.repository));
  ASSIGN_OR_RETURN(fs_, OpenPosixFileSystem(name_, create));
  return fs_.get();
}

StatusOr<Repository*> Context::OpenRepository() {
  if (repository_ != nullptr) return repository_.get();
  const auto missing = [&](const Status& status) {
    if (status.code() != StatusCode::kNotFound) {
      return Annotate(status, absl::StrFormat("opening the repository %s", name_));
    }
    return WithExitCode(NotFound(absl::StrFormat(
                            "there is no repository at %s\nMake one with `cairn init -r DIR`, or "
                            "name another with -r or CAIRN_REPOSITORY.",
                            name_)),
                        ExitCode::kNoRepository);
  };
  StatusOr<FileSystem*> fs = OpenDirectory(/*create=*/false);
  if (!fs.ok()) return name_.empty() ? fs.status() : missing(fs.status());

  RepositoryOptions options;
  ASSIGN_OR_RETURN(options.cache_directory, CacheDirectory());
  std::error_code error;
  options.location = std::filesystem::canonical(name_, error).native();
  options.beside_damage = only_reads_;
  ASSIGN_OR_RETURN(options.must_be_encrypted, IsCredentialGiven(options_.credential));
  options.credential = [this] {
    StatusOr<Credential> credential = ReadCredential();
    credential_failure_ = credential.status();
    return credential;
  };
  options.warn = [this](const std::string& message) { output_.Warn(message); };
  StatusOr<std::unique_ptr<Repository>> repository = Repository::Open(**fs, options);
  // As it is: where it is one of usage, it says so.
  if (!credential_failure_.ok()) return credential_failure_;
  if (!repository.ok()) return missing(repository.status());
  repository_ = *std::move(repository);
  return repository_.get();
}

StatusOr<Credential> Context::ReadCredential() const {
  return cairn::ReadCredential(options_.credential, stop_);
}

void Context::Finish() {
  if (only_reads_ || repository_ == nullptr) return;
  const StatusOr<bool> compacted = repository_->CompactIndexIfGrown();
  if (!compacted.ok()) {
    output_.Note(1, "the index was not made smaller: " + std::string(Message(compacted.status())));
  }
}

StatusOr<SelectedSnapshot> Context::Select(std::string_view text, const SnapshotFilter& filter,
                                           bool path_allowed) {
  StatusOr<SnapshotSelector> selector = ParseSnapshotSelector(text, now(), path_allowed);
  if (!selector.ok()) return WithExitCode(selector.status(), ExitCode::kUsage);
  ASSIGN_OR_RETURN(Repository * repository, OpenRepository());
  ASSIGN_OR_RETURN(const SnapshotInfo info, SelectSnapshot(*selector, *repository, filter));
  SelectedSnapshot selected;
  ASSIGN_OR_RETURN(selected.view, repository->FindSnapshot(info.id));
  selected.path = selector->path;
  return selected;
}

StatusOr<std::vector<SnapshotInfo>> Context::SelectInfos(const std::vector<std::string>& texts,
                                                         const SnapshotFilter& filter) {
  std::vector<SnapshotSelector> selectors;
  for (const std::string& text : texts) {
    StatusOr<SnapshotSelector> selector =
        ParseSnapshotSelector(text, now(), /*path_allowed=*/false);
    if (!selector.ok()) return WithExitCode(selector.status(), ExitCode::kUsage);
    selectors.push_back(*std::move(selector));
  }
  ASSIGN_OR_RETURN(Repository * repository, OpenRepository());
  std::vector<SnapshotInfo> selected;
  for (const SnapshotSelector& selector : selectors) {
    ASSIGN_OR_RETURN(SnapshotInfo info, SelectSnapshot(selector, *repository, filter));
    const bool again = std::any_of(selected.begin(), selected.end(),
                                   [&](const SnapshotInfo& other) { return other.id == info.id; });
    if (!again) selected.push_back(std::move(info));
  }
  return selected;
}

}  // namespace cairn
