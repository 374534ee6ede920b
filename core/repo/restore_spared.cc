// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_spared.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace cairn {
namespace {

// Of the repository's id in a configuration (docs/format.md, "Twin objects").
constexpr off_t kRepositoryIdOffset = 16;

// The first bytes of a regular file; fewer, or none, if there are no more.
Bytes ReadStart(TargetDirectory& directory, const std::string& name, size_t bytes, off_t offset) {
  const StatusOr<Descriptor> file = directory.OpenForRead(name);
  if (!file.ok()) return {};
  Bytes start(bytes);
  const ssize_t got = ::pread(file->get(), start.data(), start.size(), offset);
  start.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  return start;
}

bool IsThere(TargetDirectory& directory, const std::string& name) {
  const auto status = directory.Stat(name);
  return status.ok() && status->has_value();
}

}  // namespace

StatusOr<SparedPaths> SparedPaths::Load(BlobSource& source, const SnapshotObject& object) {
  SparedPaths spared;
  ASSIGN_OR_RETURN(const Bytes rules, ReadLongList(object.excludes, source));
  ASSIGN_OR_RETURN(spared.rules_, ParseRules(AsText(rules)));
  for (const LongList* list : {&object.errors, &object.skipped}) {
    ASSIGN_OR_RETURN(const Bytes bytes, ReadLongList(*list, source));
    ASSIGN_OR_RETURN(std::vector<PathNote> notes, DecodePathNotes(bytes));
    if (notes.size() >= kMaxPathNotes) {
      return FailedPrecondition("the snapshot left out more than it lists");
    }
    for (PathNote& note : notes) spared.noted_.insert(std::move(note.path));
  }
  return spared;
}

StatusOr<bool> SparedPaths::LeavesOut(TargetDirectory& directory, const std::string& name,
                                      const std::string& path, const FileStatus& status) const {
  const bool is_directory = status.type == EntryType::kDirectory;
  if (IsNoted(path) || rules_.excludes.Matches(path, is_directory)) return true;
  if (status.type == EntryType::kFile && rules_.exclude_larger_than &&
      status.size > *rules_.exclude_larger_than) {
    return true;
  }
  const std::vector<std::string>& marks = rules_.exclude_if_present;
  if (!is_directory || (!rules_.exclude_caches && marks.empty())) return false;
  ASSIGN_OR_RETURN(const auto child, directory.ExistingDirectory(name));
  const auto is_there = [&](const std::string& mark) { return IsThere(*child, mark); };
  if (std::any_of(marks.begin(), marks.end(), is_there)) return true;
  return rules_.exclude_caches &&
         AsText(ReadStart(*child, kCacheTagName, kCacheTag.size(), 0)) == kCacheTag;
}

bool HoldsRepository(TargetDirectory& directory, const RepositoryId& repository) {
  if (!IsThere(directory, "config") || !IsThere(directory, "journal")) return false;
  return std::ranges::equal(
      ReadStart(directory, "config", RepositoryId::kBytes, kRepositoryIdOffset), repository.bytes);
}

}  // namespace cairn
