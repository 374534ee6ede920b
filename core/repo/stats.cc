// SPDX-License-Identifier: Apache-2.0
#include "core/repo/stats.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "core/base/worker_pool.h"
#include "core/repo/mark.h"
#include "core/repo/parity_bytes.h"
#include "core/repo/verified_times.h"

namespace cairn {
namespace {

// Of the objects that stand directly in `folder`; what goes away meanwhile counts nothing.
StatusOr<uint64_t> BytesIn(ObjectStore& store, const std::string& folder) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, store.List(folder));
  uint64_t bytes = 0;
  for (const std::string& name : names) {
    if (name == "folds") continue;
    const StatusOr<uint64_t> size = store.Size(folder + "/" + name);
    if (size.status().code() == StatusCode::kNotFound) continue;
    RETURN_IF_ERROR(size.status());
    bytes += *size;
  }
  return bytes;
}

Status CountDeltas(IndexReader& reader, const IndexPack& pack, RepositoryStats& stats) {
  for (uint32_t number = 0; number < pack.frames; ++number) {
    ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame, reader.FindFrame(pack.number, number));
    if (!frame) return DataLoss("index: a pack without its frame");
    if (frame->bases.empty()) continue;
    ++stats.delta_frames;
    stats.delta_bytes += frame->stored_bytes;
  }
  return OkStatus();
}

void CountVerified(const std::optional<Timestamp>& time, const Timestamp& now, uint64_t bytes,
                   VerifiedBytes& verified) {
  if (!time) {
    verified.never += bytes;
    return;
  }
  constexpr int64_t kSecondsOfDay = 86'400;
  bool lately = false;
  for (size_t i = 0; i < verified.within.size(); ++i) {
    const int64_t since = now.seconds - VerifiedBytes::kDays[i] * kSecondsOfDay;
    if (*time < Timestamp{since, now.nanoseconds}) continue;
    verified.within[i] += bytes;
    lately = true;
  }
  if (!lately) verified.longer_ago += bytes;
}

Status CountParity(ObjectStore& store, const std::vector<PackInfo>& packs, RepositoryStats& stats) {
  for (const PackInfo& pack : packs) {
    ASSIGN_OR_RETURN(const uint64_t bytes, ParityBytesOf(store, pack));
    stats.parity_bytes += bytes;
    if (bytes > 0) ++stats.parity_files;
  }
  return OkStatus();
}

// `with_parity`: the packs that should have it.
Status CountPacks(const Repository& repository, IndexReader& reader,
                  std::vector<PackInfo>& with_parity, RepositoryStats& stats) {
  const Timestamp now = repository.options().clock->Now();
  Status failure;
  RETURN_IF_ERROR(reader.ForEachPack([&](const IndexPack& pack) {
    if (pack.state == PackState::kPurged) return true;
    if ((pack.info.content & kPackHasDeltas) != 0) failure = CountDeltas(reader, pack, stats);
    if ((pack.info.content & kPackHasParity) != 0) with_parity.push_back(pack.info);
    ++stats.packs;
    stats.frames += pack.frames;
    stats.stored_bytes += pack.info.bytes;
    CountVerified(FindVerifiedTime(reader, repository, pack.info.name, now), now, pack.info.bytes,
                  stats.verified);
    if (pack.state == PackState::kCondemned) {
      ++stats.condemned_packs;
      stats.condemned_bytes += pack.info.bytes;
    }
    return failure.ok();
  }));
  return failure;
}

Status CountBlobs(IndexReader& reader, RepositoryStats& stats) {
  BlobRef last;
  return reader.ForEachBlob([&](const BlobRef& ref, const Place& place) {
    // Places of one blob follow each other.
    if (stats.blobs > 0 && ref == last) return true;
    last = ref;
    ++stats.blobs;
    ++(IsNode(ref.kind) ? stats.nodes : stats.chunks);
    stats.unique_bytes += place.bytes;
    return true;
  });
}

// Counts what is marked in `own`.
Status CountMarked(Repository& repository, const ReachableBlobs& own, const ReachableBlobs& others,
                   SnapshotStats& stats) {
  absl::flat_hash_set<std::pair<PackNumber, uint32_t>> frames;
  ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  RETURN_IF_ERROR(reader->ForEachBlob([&](const BlobRef&, const Place& place) {
    if (!own.IsMarked(place.pack, place.ordinal)) return true;
    ++stats.blobs;
    stats.unique_bytes += place.bytes;
    if (!others.IsMarked(place.pack, place.ordinal)) stats.own_bytes += place.bytes;
    frames.emplace(place.pack, place.frame);
    return true;
  }));
  for (const auto& [pack, number] : frames) {
    ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame, reader->FindFrame(pack, number));
    if (!frame) return DataLoss("index: a place without its frame");
    stats.stored_bytes += frame->stored_bytes;
  }
  return OkStatus();
}

}  // namespace

StatusOr<RepositoryStats> StatsOfRepository(Repository& repository) {
  RepositoryStats stats;
  ASSIGN_OR_RETURN(const JournalHead head, repository.RefreshForReading());
  stats.journal_records = head.number;
  ASSIGN_OR_RETURN(const std::vector<SnapshotView> snapshots, repository.Snapshots());
  for (const SnapshotView& snapshot : snapshots) {
    ++stats.snapshots;
    if (snapshot.info.held) ++stats.held;
    stats.logical_bytes += snapshot.object.statistics.bytes;
    stats.logical_files += snapshot.object.statistics.files;
  }
  std::vector<PackInfo> with_parity;
  {
    ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
    RETURN_IF_ERROR(CountPacks(repository, *reader, with_parity, stats));
    RETURN_IF_ERROR(CountBlobs(*reader, stats));
  }
  RETURN_IF_ERROR(CountParity(repository.store(), with_parity, stats));
  ASSIGN_OR_RETURN(const uint64_t records, BytesIn(repository.store(), "journal"));
  ASSIGN_OR_RETURN(const uint64_t folds, BytesIn(repository.store(), "journal/folds"));
  stats.journal_bytes = records + folds;
  ASSIGN_OR_RETURN(stats.index_bytes, repository.index().StoredBytes());
  StatusOr<std::vector<SessionInfo>> sessions = ListLiveSessions(repository.fs());
  // Whoever may only read may not look at locks either.
  if (sessions.ok()) {
    stats.sessions = *std::move(sessions);
  } else if (sessions.status().code() != StatusCode::kPermissionDenied) {
    return sessions.status();
  }
  return stats;
}

StatusOr<SnapshotStats> StatsOfSnapshot(Repository& repository, const SnapshotId& snapshot,
                                        const StopFlag* stop) {
  RETURN_IF_ERROR(repository.RefreshForReading().status());
  ASSIGN_OR_RETURN(const std::vector<SnapshotView> views, repository.Snapshots());
  SnapshotStats stats;
  std::vector<BlobRef> own_roots;
  std::vector<BlobRef> other_roots;
  for (const SnapshotView& view : views) {
    const bool is_own = view.info.id == snapshot;
    std::vector<BlobRef>& roots = is_own ? own_roots : other_roots;
    std::ranges::copy(SnapshotReferences(view.object), std::back_inserter(roots));
    if (!is_own) continue;
    stats.files = view.object.statistics.files;
    stats.directories = view.object.statistics.directories;
    stats.others = view.object.statistics.others;
    stats.logical_bytes = view.object.statistics.bytes;
  }
  if (own_roots.empty()) {
    return NotFound("snapshot " + snapshot.Hex() + " is not there, or was forgotten");
  }

  ReachableBlobs::Options options;
  options.threads = WorkerCount(0);
  options.stop = stop;
  ASSIGN_OR_RETURN(ReachableBlobs own, ReachableBlobs::Create(repository));
  RETURN_IF_ERROR(own.Mark(own_roots, options));
  ASSIGN_OR_RETURN(ReachableBlobs others, ReachableBlobs::Create(repository));
  // What others have lost is not this snapshot's concern.
  options.missing = [](const BlobRef&, const Status&) { return OkStatus(); };
  RETURN_IF_ERROR(others.Mark(other_roots, options));
  RETURN_IF_ERROR(CountMarked(repository, own, others, stats));
  return stats;
}

}  // namespace cairn
