// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_place.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "core/repo/restore_filter.h"
#include "core/repo/root_builder.h"
#include "core/repo/snapshot_object.h"
#include "core/tree/reader.h"

namespace cairn {
namespace {

bool IsBelow(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         (directory == "/" || path[directory.size()] == '/');
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// The directories below `from`, which may be "/", down to and without `path`.
std::vector<RestoreStart::Step> StepsTo(const std::string& from, const std::string& path) {
  std::vector<RestoreStart::Step> steps;
  size_t at = from == "/" ? 1 : from.size() + 1;
  for (size_t end = path.find('/', at); end != std::string::npos; end = path.find('/', at)) {
    steps.push_back({path.substr(at, end - at), path.substr(0, end)});
    at = end + 1;
  }
  return steps;
}

Entry TopOf(const Root& root) {
  if (const Entry* entry = std::get_if<Entry>(&root.top)) return *entry;
  Entry entry;
  entry.type = EntryType::kPartialDirectory;
  entry.node = std::get<BlobId>(root.top);
  return entry;
}

// What of the snapshot is meant. `above` is set to the directory that stands for the target: the
// steps from it to the entry are made below the target.
Status FindEntry(Repository& repository, const SnapshotView& snapshot, const std::string& path,
                 RestoreStart& start, std::string* above) {
  ASSIGN_OR_RETURN(const Root root, ReadRoot(repository, snapshot.object.root));
  start.links = root.links;
  const std::string top = TopPath(snapshot.object);
  if (path.empty() || IsBelow(top, path)) {
    start.top = TopOf(root);
    start.path = top;
    *above = path.empty() ? "/" : path;
    return OkStatus();
  }
  if (path != top && !IsBelow(path, top)) {
    return NotFound(path + " is not in the snapshot, which holds " + top);
  }
  start.path = path;
  start.link_path = PathBelow(top, path);
  ASSIGN_OR_RETURN(start.top, FindPath(repository, root, start.link_path));
  *above = IsAnyDirectory(start.top.type) ? path : ParentOf(path);
  return OkStatus();
}

Status CheckPlace(const RestorePlace& place) {
  if (place.in_place != place.target.empty()) {
    return InvalidArgument("a restore goes either to a target or back in place");
  }
  const std::string& path = place.path;
  const bool clean = path.empty() || path == "/" ||
                     (path[0] == '/' && path.back() != '/' && path.find("//") == std::string::npos);
  return clean ? OkStatus() : InvalidArgument(path + " is no absolute, clean path");
}

}  // namespace

StatusOr<std::shared_ptr<TargetDirectory>> OpenRestoreTarget(const std::string& path,
                                                             bool dry_run) {
  if (!dry_run) return OpenTarget(path);
  StatusOr<std::shared_ptr<TargetDirectory>> opened = OpenExistingTarget(path);
  if (opened.status().code() == StatusCode::kNotFound) return nullptr;
  return opened;
}

StatusOr<RestoreStart> FindRestoreStart(Repository& repository, const SnapshotView& snapshot,
                                        const RestorePlace& place, bool dry_run) {
  RETURN_IF_ERROR(CheckPlace(place));
  RestoreStart start;
  start.in_place = place.in_place;
  std::string above;
  RETURN_IF_ERROR(FindEntry(repository, snapshot, place.path, start, &above));
  start.top.name = NameOf(start.path);
  // A source at "/" has no name, and what is restored at its own place needs none.
  const bool partial_top = start.top.type == EntryType::kPartialDirectory;
  start.is_directory_itself =
      start.path == "/" || (place.in_place ? partial_top : above == start.path);
  std::string directory = place.target;
  if (place.in_place) {
    directory = start.is_directory_itself ? start.path : ParentOf(start.path);
  } else if (!start.is_directory_itself) {
    start.steps = StepsTo(above, start.path);
  }
  if (start.is_directory_itself) start.top.name.clear();

  StatusOr<std::shared_ptr<TargetDirectory>> existing = OpenRestoreTarget(directory, true);
  RETURN_IF_ERROR(existing.status());
  start.is_fresh = *existing == nullptr;
  if (*existing != nullptr && start.is_directory_itself && !place.in_place) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, (*existing)->List());
    start.is_fresh = names.empty();
  }
  start.directory = *std::move(existing);
  if (start.directory == nullptr && !dry_run) {
    ASSIGN_OR_RETURN(start.directory, OpenTarget(directory));
  }
  return start;
}

}  // namespace cairn
