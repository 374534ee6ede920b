// SPDX-License-Identifier: Apache-2.0
// The part of Repository that finds snapshots in the index.
#include <utility>

#include "core/repo/repository.h"

namespace cairn {
namespace {

using ViewVisitor = absl::FunctionRef<bool(SnapshotView)>;

StatusOr<SnapshotView> ViewOf(const IndexSnapshot& snapshot) {
  SnapshotView view;
  ASSIGN_OR_RETURN(view.object, DecodeSnapshotObject(snapshot.object));
  view.info = InfoOf(snapshot.id, snapshot.record, snapshot.held, snapshot.tags, view.object);
  return view;
}

// `walk` takes a reader and a visitor. Ends where `visit` returns false, or a view cannot be had.
template <typename Walk>
Status VisitViews(Index& index, Walk walk, ViewVisitor visit) {
  Status failure;
  ASSIGN_OR_RETURN(const auto reader, index.Read());
  RETURN_IF_ERROR(walk(*reader, [&](const IndexSnapshot& snapshot) {
    StatusOr<SnapshotView> view = ViewOf(snapshot);
    if (view.ok()) return visit(*std::move(view));
    failure = Annotate(view.status(), "snapshot " + snapshot.id.Hex());
    return false;
  }));
  return failure;
}

Status VisitAll(Index& index, ViewVisitor visit) {
  return VisitViews(
      index, [](IndexReader& reader, const auto& each) { return reader.ForEachSnapshot(each); },
      visit);
}

Status VisitBefore(Index& index, const Timestamp& latest, ViewVisitor visit) {
  return VisitViews(
      index,
      [&](IndexReader& reader, const auto& each) {
        return reader.ForEachSnapshotBefore(latest, each);
      },
      visit);
}

}  // namespace

StatusOr<std::vector<SnapshotView>> Repository::Snapshots() {
  std::vector<SnapshotView> views;
  RETURN_IF_ERROR(VisitAll(index(), [&](SnapshotView view) {
    views.push_back(std::move(view));
    return true;
  }));
  return views;
}

StatusOr<std::vector<SnapshotInfo>> Repository::SnapshotInfos() {
  std::vector<SnapshotInfo> infos;
  RETURN_IF_ERROR(VisitAll(index(), [&](SnapshotView view) {
    infos.push_back(std::move(view.info));
    return true;
  }));
  return infos;
}

StatusOr<SnapshotView> Repository::FindSnapshot(const SnapshotId& id) {
  std::optional<IndexSnapshot> snapshot;
  {
    ASSIGN_OR_RETURN(const auto reader, index().Read());
    ASSIGN_OR_RETURN(snapshot, reader->FindSnapshot(id));
  }
  if (!snapshot) return NotFound("snapshot " + id.Hex() + " is not there, or was forgotten");
  return ViewOf(*snapshot);
}

StatusOr<std::optional<SnapshotView>> Repository::FindNewestSnapshot(Visitor matches) {
  std::optional<SnapshotView> newest;
  RETURN_IF_ERROR(VisitBefore(index(), kEndOfTime, [&](SnapshotView view) {
    if (matches(view.info)) newest = std::move(view);
    return !newest;
  }));
  return newest;
}

Status Repository::ForEachSnapshotBefore(const Timestamp& latest, Visitor visit) {
  return VisitBefore(index(), latest, [&](const SnapshotView& view) { return visit(view.info); });
}

Status Repository::ForEachSnapshotFrom(const SnapshotId& first, Visitor visit) {
  return VisitViews(
      index(),
      [&](IndexReader& reader, const auto& each) {
        return reader.ForEachSnapshotFrom(first, each);
      },
      [&](const SnapshotView& view) { return visit(view.info); });
}

}  // namespace cairn
