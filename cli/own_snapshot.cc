// SPDX-License-Identifier: Apache-2.0
#include "cli/own_snapshot.h"

#include <pwd.h>
#include <unistd.h>

#include <array>

#include "absl/strings/str_format.h"
#include "cli/error.h"
#include "cli/source_paths.h"
#include "cli/text.h"

namespace cairn {
namespace {

std::string HostName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

std::string UserName() {
  const passwd* user = ::getpwuid(::geteuid());
  return user != nullptr ? user->pw_name : absl::StrFormat("%d", ::geteuid());
}

}  // namespace

SnapshotLabels OwnLabels() {
  SnapshotLabels labels;
  labels.host = HostName();
  labels.user = UserName();
  labels.uid = ::geteuid();
  labels.gid = ::getegid();
  labels.program = absl::StrFormat("cairn %s", kCairnVersion);
  return labels;
}

Status LeaveOutOwnFiles(Context& context, const Repository& repository,
                        const std::vector<std::string>& sources, PatternList& excludes) {
  StatusOr<std::vector<std::string>> places = PlacesWithin(sources, context.repository_name());
  if (!places.ok()) {
    return UsageError(
        absl::StrFormat("%s, the repository; it cannot hold itself", Message(places.status())));
  }
  const std::string index =
      repository.options().cache_directory + "/" + repository.config().id.Hex();
  // A source in the index's directory was named on purpose.
  for (std::string& place : PlacesWithin(sources, index).value_or(std::vector<std::string>())) {
    places->push_back(std::move(place));
  }
  for (const std::string& place : *places) {
    context.output().Note(1, absl::StrFormat("leaving out cairn's own %s", EscapeName(place)));
    RETURN_IF_ERROR(excludes.Add(PatternOfPath(place)));
  }
  return OkStatus();
}

}  // namespace cairn
