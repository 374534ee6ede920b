// SPDX-License-Identifier: Apache-2.0
#include "core/repo/repository.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/index/lmdb_index.h"
#include "core/index/memory_index.h"
#include "core/repo/index_sync.h"
#include "core/store/frame.h"

namespace cairn {
namespace {

constexpr int kReadAttempts = 3;

// The index is at fault, not the repository: it can be done without.
bool IsIndexTrouble(const Status& status) {
  switch (status.code()) {
    case StatusCode::kResourceExhausted:
    case StatusCode::kPermissionDenied:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kUnavailable:
    case StatusCode::kNotFound:
      return true;
    default:
      return false;
  }
}

StatusOr<SnapshotView> ViewOf(const IndexSnapshot& snapshot) {
  SnapshotView view;
  ASSIGN_OR_RETURN(view.object, DecodeSnapshotObject(snapshot.object));
  view.info = InfoOf(snapshot.id, snapshot.record, snapshot.held, snapshot.tags, view.object);
  return view;
}

// Decoding needs no level. One for each thread, as its buffers are worth keeping.
FrameCodecContext& ThreadDecoder() {
  static thread_local FrameCodecContext context(/*compression_level=*/1);
  return context;
}

}  // namespace

Repository::Repository(FileSystem& fs, const RepositoryOptions& options)
    : fs_(fs),
      options_(options),
      store_(NewLocalObjectStore(fs)),
      frames_(options.frame_cache_bytes) {}

Repository::~Repository() = default;

Status Repository::Create(FileSystem& fs, const RepositoryConfig& config) {
  const std::unique_ptr<ObjectStore> store = NewLocalObjectStore(fs);
  return WriteConfig(*store, config);
}

StatusOr<std::unique_ptr<Repository>> Repository::Open(FileSystem& fs,
                                                       const RepositoryOptions& options) {
  std::unique_ptr<Repository> repository(new Repository(fs, options));
  ASSIGN_OR_RETURN(repository->config_, ReadConfig(*repository->store_));
  repository->journal_ = std::make_unique<Journal>(*repository->store_, repository->config_.id);
  RETURN_IF_ERROR(repository->OpenIndex());
  RETURN_IF_ERROR(repository->Refresh().status());
  return repository;
}

Status Repository::OpenIndex() {
  if (options_.cache_directory.empty()) {
    index_ = NewMemoryIndex();
    index_in_memory_ = true;
    return OkStatus();
  }
  LmdbIndexOptions options;
  options.directory = options_.cache_directory + "/" + config_.id.Hex();
  options.repository = config_.id;
  StatusOr<std::unique_ptr<Index>> index = OpenLmdbIndex(options);
  if (index.ok()) {
    index_ = *std::move(index);
  } else if (IsIndexTrouble(index.status())) {
    UseMemoryIndex(index.status());
  } else {
    return Annotate(index.status(), "opening the index");
  }
  return OkStatus();
}

void Repository::UseMemoryIndex(const Status& why) {
  if (options_.warn) {
    options_.warn("the index cannot be used, and is kept in memory for this run: " +
                  std::string(Message(why)));
  }
  former_index_ = std::move(index_);
  index_ = NewMemoryIndex();
  index_in_memory_ = true;
}

// Number of the newest record that this user's index has seen; 0 if that is not known.
uint64_t Repository::SeenRecords() {
  const StatusOr<std::unique_ptr<IndexReader>> reader = index_->Read();
  if (!reader.ok()) return 0;
  const StatusOr<IndexHead> head = (*reader)->Head();
  return head.ok() ? head->number : 0;
}

StatusOr<JournalHead> Repository::Refresh(const KnownFooters* footers) {
  MutexLock lock(refresh_mutex_);
  const uint64_t seen = SeenRecords();
  StatusOr<JournalHead> head = IndexSync(*index_, *journal_, *store_, config_.id, footers).Run();
  if (head.ok()) {
    if (head->number < seen && options_.warn) {
      options_.warn("the journal ends at record " + std::to_string(head->number) + ", but record " +
                    std::to_string(seen) +
                    " has been seen: an older state of the repository was put in its place, or "
                    "its newest records were removed");
    }
    return head;
  }
  if (head.status().code() == StatusCode::kDataLoss && !index_in_memory_) {
    // A damaged index row; if it is the repository that is damaged, this fails in the same way.
    head = IndexSync(*index_, *journal_, *store_, config_.id, footers).Rebuild();
  }
  if (!head.ok() && !index_in_memory_ && IsIndexTrouble(head.status())) {
    UseMemoryIndex(head.status());
    head = IndexSync(*index_, *journal_, *store_, config_.id, footers).Run();
  }
  return head;
}

Status Repository::RebuildIndex() {
  MutexLock lock(refresh_mutex_);
  return IndexSync(*index_, *journal_, *store_, config_.id, nullptr).Rebuild().status();
}

Status Repository::FoldJournalIfDue() {
  const Journal::FoldPolicy policy;
  ASSIGN_OR_RETURN(const JournalHead head, Refresh());
  ASSIGN_OR_RETURN(const uint64_t fold, journal_->NewestFold());
  // Looked at before the whole state is read: most commits have nothing to fold.
  if (head.number - std::min(head.number, fold) <= policy.min_records) return OkStatus();
  ASSIGN_OR_RETURN(const JournalState state, journal_->ReadState());
  return journal_->FoldIfDue(state, policy);
}

Status Repository::VerifyBlob(const BlobRef& ref, ByteSpan bytes) const {
  if (hasher_.Hash(ref.kind, bytes) == ref.id) return OkStatus();
  return DataLoss(std::string(BlobKindName(ref.kind)) + " " + ref.id.Hex() +
                  ": its bytes do not have its hash");
}

StatusOr<std::vector<BlobLocation>> Repository::Locate(const BlobRef& ref) {
  std::vector<BlobLocation> locations;
  ASSIGN_OR_RETURN(const auto reader, index_->Read());
  ASSIGN_OR_RETURN(const PlaceList places, reader->FindBlob(ref));
  for (const Place& place : places) {
    ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader->FindPack(place.pack));
    ASSIGN_OR_RETURN(std::optional<FrameInfo> frame, reader->FindFrame(place.pack, place.frame));
    if (!pack || !frame) return DataLoss("index: a place without its pack or frame");
    locations.push_back(
        {pack->info.name, pack->state, *std::move(frame), place.frame, place.offset, place.bytes});
  }
  std::stable_sort(locations.begin(), locations.end(),
                   [](const BlobLocation& a, const BlobLocation& b) { return a.state < b.state; });
  return locations;
}

StatusOr<FrameCache::Frame> Repository::ReadFrame(const PackName& pack, uint32_t frame_number,
                                                  const FrameInfo& frame) {
  if (FrameCache::Frame cached = frames_.Find(pack, frame_number)) return cached;
  ASSIGN_OR_RETURN(const Bytes stored, cairn::ReadFrame(*store_, pack, frame));
  auto raw = std::make_shared<Bytes>();
  if (Status status = ThreadDecoder().Decode(frame, stored, *raw); !status.ok()) {
    return Annotate(status, "frame " + std::to_string(frame_number) + " of pack " + pack.Hex());
  }
  frames_.Insert(pack, frame_number, raw);
  return FrameCache::Frame(std::move(raw));
}

StatusOr<Bytes> Repository::ReadBlobOnce(const BlobRef& ref) {
  ASSIGN_OR_RETURN(const std::vector<BlobLocation> locations, Locate(ref));
  Status first = NotFound(std::string(BlobKindName(ref.kind)) + " " + ref.id.Hex() +
                          " is in no pack of this repository");
  bool tried = false;
  for (const BlobLocation& location : locations) {
    StatusOr<FrameCache::Frame> frame =
        ReadFrame(location.pack, location.frame_number, location.frame);
    Status status = frame.ok() ? OkStatus() : frame.status();
    if (status.ok() && uint64_t{location.offset} + location.bytes > (*frame)->size()) {
      status = DataLoss("blob " + ref.id.Hex() + " lies outside of its frame");
    }
    if (status.ok()) {
      const ByteSpan bytes = ByteSpan(**frame).subspan(location.offset, location.bytes);
      status = VerifyBlob(ref, bytes);
      if (status.ok()) return Bytes(bytes.begin(), bytes.end());
    }
    if (!tried) first = std::move(status);
    tried = true;
  }
  return first;
}

StatusOr<Bytes> Repository::ReadBlob(const BlobRef& ref) {
  StatusOr<Bytes> bytes = ReadBlobOnce(ref);
  // Prune may have moved it to another pack since the index was brought up to date.
  for (int attempt = 1; attempt < kReadAttempts; ++attempt) {
    if (bytes.ok() || bytes.status().code() != StatusCode::kNotFound) break;
    RETURN_IF_ERROR(Refresh().status());
    bytes = ReadBlobOnce(ref);
  }
  return bytes;
}

StatusOr<std::vector<SnapshotView>> Repository::Snapshots() {
  std::vector<SnapshotView> views;
  Status failure;
  {
    ASSIGN_OR_RETURN(const auto reader, index_->Read());
    RETURN_IF_ERROR(reader->ForEachSnapshot([&](const IndexSnapshot& snapshot) {
      StatusOr<SnapshotView> view = ViewOf(snapshot);
      if (view.ok()) {
        views.push_back(*std::move(view));
      } else {
        failure = Annotate(view.status(), "snapshot " + snapshot.id.Hex());
      }
      return failure.ok();
    }));
  }
  RETURN_IF_ERROR(failure);
  std::sort(views.begin(), views.end(), [](const SnapshotView& a, const SnapshotView& b) {
    return a.info.record < b.info.record;
  });
  return views;
}

StatusOr<std::vector<SnapshotInfo>> Repository::SnapshotInfos() {
  ASSIGN_OR_RETURN(std::vector<SnapshotView> views, Snapshots());
  std::vector<SnapshotInfo> infos;
  for (SnapshotView& view : views) infos.push_back(std::move(view.info));
  return infos;
}

StatusOr<SnapshotView> Repository::FindSnapshot(const SnapshotId& id) {
  std::optional<IndexSnapshot> snapshot;
  {
    ASSIGN_OR_RETURN(const auto reader, index_->Read());
    ASSIGN_OR_RETURN(snapshot, reader->FindSnapshot(id));
  }
  if (!snapshot) return NotFound("snapshot " + id.Hex() + " is not there, or was forgotten");
  return ViewOf(*snapshot);
}

}  // namespace cairn
