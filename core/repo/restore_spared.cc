// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_spared.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/repo/source_rules.h"

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

Status SparedPaths::AddRule(std::string_view line) {
  constexpr std::string_view kIfPresent = "# if-present ";
  constexpr std::string_view kLargerThan = "# larger-than ";
  if (line.empty() || line == "# one-file-system") return OkStatus();
  if (line == "# caches") {
    caches_ = true;
  } else if (line.starts_with(kIfPresent)) {
    if_present_.emplace_back(line.substr(kIfPresent.size()));
  } else if (line.starts_with(kLargerThan)) {
    line.remove_prefix(kLargerThan.size());
    uint64_t limit = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), limit);
    if (error != std::errc() || end != line.data() + line.size()) {
      return InvalidArgument("the snapshot's rules name no size: " + std::string(line));
    }
    larger_than_ = limit;
  } else if (line.starts_with("# ")) {
    return InvalidArgument("the snapshot was made by a rule that is not known: " +
                           std::string(line));
  } else {
    return excludes_.Add(line);
  }
  return OkStatus();
}

StatusOr<SparedPaths> SparedPaths::Load(BlobSource& source, const SnapshotObject& object) {
  SparedPaths spared;
  ASSIGN_OR_RETURN(const Bytes rules, ReadLongList(object.excludes, source));
  for (std::string_view rest = AsText(rules); !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    RETURN_IF_ERROR(spared.AddRule(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
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
  if (IsNoted(path) || excludes_.Matches(path, is_directory)) return true;
  if (status.type == EntryType::kFile && larger_than_ && status.size > *larger_than_) return true;
  if (!is_directory || (!caches_ && if_present_.empty())) return false;
  ASSIGN_OR_RETURN(const auto child, directory.ExistingDirectory(name));
  const auto is_there = [&](const std::string& mark) { return IsThere(*child, mark); };
  if (std::any_of(if_present_.begin(), if_present_.end(), is_there)) return true;
  return caches_ && AsText(ReadStart(*child, kCacheTagName, kCacheTag.size(), 0)) == kCacheTag;
}

bool HoldsRepository(TargetDirectory& directory, const RepositoryId& repository) {
  if (!IsThere(directory, "config") || !IsThere(directory, "journal")) return false;
  return std::ranges::equal(
      ReadStart(directory, "config", RepositoryId::kBytes, kRepositoryIdOffset), repository.bytes);
}

}  // namespace cairn
