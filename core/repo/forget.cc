// SPDX-License-Identifier: Apache-2.0
#include "core/repo/forget.h"

#include <functional>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/repo/commit.h"
#include "core/repo/reserve.h"
#include "core/repo/snapshot_object.h"
#include "core/store/record.h"

namespace cairn {
namespace {

using Prepare = std::function<StatusOr<RecordEntries>(const JournalState&)>;

// Places one record. `prepare` may be called again after it was, though a full disk was reported.
Status PlaceRecord(Repository& repository, const Prepare& prepare) {
  const auto place = [&]() -> Status {
    ASSIGN_OR_RETURN(JournalState state, repository.journal().ReadState());
    return CommitWithState(repository.journal(), state, prepare).status();
  };
  RETURN_IF_ERROR(WithReserve(repository.fs(), place));
  // The record is what counts; whoever comes next makes up for what fails here.
  repository.Refresh().IgnoreError();
  repository.FoldJournalIfDue().IgnoreError();
  return OkStatus();
}

StatusOr<const SnapshotRecord*> FindLive(const JournalState& state, const SnapshotId& id) {
  const auto found = state.snapshots().find(id);
  if (found == state.snapshots().end()) {
    return NotFound("snapshot " + id.Hex() + " is not there, or was forgotten");
  }
  return &found->second;
}

std::set<SnapshotId> Distinct(const std::vector<SnapshotId>& snapshots) {
  return {snapshots.begin(), snapshots.end()};
}

Status CheckTags(const std::set<std::string>& tags) {
  if (tags.size() > kMaxTags) {
    return InvalidArgument(absl::StrFormat("a snapshot has at most %d tags", kMaxTags));
  }
  for (const std::string& tag : tags) {
    if (tag.empty()) return InvalidArgument("a tag is not empty");
    if (tag.size() > kMaxTagBytes) {
      return InvalidArgument(absl::StrFormat("a tag has at most %d bytes", kMaxTagBytes));
    }
  }
  return OkStatus();
}

StatusOr<std::vector<std::string>> TagsOf(const SnapshotRecord& record) {
  if (record.tags) return *record.tags;
  StatusOr<SnapshotObject> object = DecodeSnapshotObject(record.snapshot.object);
  if (!object.ok()) return Annotate(object.status(), "snapshot " + record.snapshot.id.Hex());
  return std::move(object->tags);
}

std::set<std::string> ChangeTags(const std::vector<std::string>& old, const TagChange& change) {
  std::set<std::string> tags;
  if (!change.replace) tags.insert(old.begin(), old.end());
  for (const std::string& tag : change.remove) tags.erase(tag);
  tags.insert(change.add.begin(), change.add.end());
  return tags;
}

}  // namespace

StatusOr<ForgetResult> ForgetSnapshots(Repository& repository,
                                       const std::vector<SnapshotId>& snapshots) {
  const std::set<SnapshotId> wanted = Distinct(snapshots);
  // What one try has put into a record that may stand, the next one finds gone.
  std::set<SnapshotId> forgotten;
  std::set<SnapshotId> held;
  const auto prepare = [&](const JournalState& state) -> StatusOr<RecordEntries> {
    RecordEntries entries;
    held.clear();
    for (const SnapshotId& id : wanted) {
      const auto found = state.snapshots().find(id);
      if (found == state.snapshots().end()) continue;
      if (found->second.held) {
        held.insert(id);
        forgotten.erase(id);
      } else {
        entries.forget.push_back(id);
        forgotten.insert(id);
      }
    }
    return entries;
  };
  RETURN_IF_ERROR(PlaceRecord(repository, prepare));
  ForgetResult result;
  result.forgotten.assign(forgotten.begin(), forgotten.end());
  result.held.assign(held.begin(), held.end());
  return result;
}

Status HoldSnapshots(Repository& repository, const std::vector<SnapshotId>& snapshots, bool hold) {
  const std::set<SnapshotId> wanted = Distinct(snapshots);
  return PlaceRecord(repository, [&](const JournalState& state) -> StatusOr<RecordEntries> {
    RecordEntries entries;
    for (const SnapshotId& id : wanted) {
      ASSIGN_OR_RETURN(const SnapshotRecord* const record, FindLive(state, id));
      if (record->held == hold) continue;
      (hold ? entries.hold : entries.release).push_back(id);
    }
    return entries;
  });
}

Status TagSnapshots(Repository& repository, const std::vector<SnapshotId>& snapshots,
                    const TagChange& change) {
  const std::set<SnapshotId> wanted = Distinct(snapshots);
  return PlaceRecord(repository, [&](const JournalState& state) -> StatusOr<RecordEntries> {
    RecordEntries entries;
    for (const SnapshotId& id : wanted) {
      ASSIGN_OR_RETURN(const SnapshotRecord* const record, FindLive(state, id));
      ASSIGN_OR_RETURN(const std::vector<std::string> old, TagsOf(*record));
      const std::set<std::string> tags = ChangeTags(old, change);
      RETURN_IF_ERROR(CheckTags(tags));
      std::vector<std::string> sorted(tags.begin(), tags.end());
      if (sorted != old) entries.tags.push_back({id, std::move(sorted)});
    }
    return entries;
  });
}

}  // namespace cairn
