// SPDX-License-Identifier: Apache-2.0
#include "core/repo/blob_writer.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/base/profile.h"

namespace cairn {
namespace {

// After so many deltas in a row that did not pay, only one frame in so many tries: a file that was
// encrypted or written anew has nothing to do with its former version, and finding that out takes
// as long as compressing it several times.
constexpr uint32_t kFailedDeltas = 4;
constexpr uint32_t kTryEvery = 16;

}  // namespace

BlobWriter::BlobWriter(Repository& repository, const SessionId& session, const JournalHead& start,
                       const Options& options)
    : repository_(repository),
      options_(options),
      assembler_(repository.store(), repository.keys(), repository.config(), session,
                 options.parity),
      shared_frames_{{{}, {repository, dependents_, /*node=*/false}},
                     {{}, {repository, dependents_, /*node=*/true}}},
      commit_(repository, session, start) {
  lookup_filter_.Follow(repository.index(), {}).IgnoreError();
}

BlobWriter::~BlobWriter() = default;

void BlobWriter::Fail(Status status) {
  MutexLock lock(failure_mutex_);
  if (failure_.ok()) failure_ = std::move(status);
  failed_ = true;
}

Status BlobWriter::Failure() {
  if (!failed_) return OkStatus();
  MutexLock lock(failure_mutex_);
  // A new error with its text: copies of one Status do not cross threads.
  return MakeError(failure_.code(), std::string(Message(failure_)));
}

std::unique_ptr<FrameCodecContext> BlobWriter::BorrowCodec() {
  MutexLock lock(spare_mutex_);
  if (codecs_.empty()) return std::make_unique<FrameCodecContext>(options_.compression_level);
  std::unique_ptr<FrameCodecContext> codec = std::move(codecs_.back());
  codecs_.pop_back();
  return codec;
}

void BlobWriter::ReturnCodec(std::unique_ptr<FrameCodecContext> codec) {
  MutexLock lock(spare_mutex_);
  codecs_.push_back(std::move(codec));
}

RawFrame BlobWriter::BorrowFrame() {
  MutexLock lock(spare_mutex_);
  if (frames_.empty()) return {};
  RawFrame frame = std::move(frames_.back());
  frames_.pop_back();
  return frame;
}

void BlobWriter::ReturnFrame(RawFrame frame) {
  frame.Clear();
  MutexLock lock(spare_mutex_);
  frames_.push_back(std::move(frame));
}

StatusOr<BlobId> BlobWriter::WriteInstead(BlobKind kind, ByteSpan bytes) {
  StatusOr<BlobId> id = options_.instead->WriteBlob(kind, bytes);
  if (id.ok()) return id;
  Fail(std::move(id).status());
  return Failure();
}

BlobRef BlobWriter::RefOf(BlobKind kind, ByteSpan bytes) const {
  const StageTimer timer(Stage::kHash);
  return {kind, repository_.hasher().Hash(kind, bytes)};
}

StatusOr<bool> BlobWriter::FindOrClaim(const BlobRef& ref) {
  const StageTimer timer(Stage::kFind);
  StatusOr<bool> found = TryFindOrClaim(ref);
  if (found.ok()) return found;
  Fail(std::move(found).status());
  return Failure();
}

StatusOr<bool> BlobWriter::TryFindOrClaim(const BlobRef& ref) {
  Shard& shard = ShardOf(ref.id);
  {
    MutexLock lock(shard.mutex);
    if (shard.ids.contains(ref.id)) return true;
  }
  // Own blobs leave the set only after index and filter have them: one that is in neither is new.
  std::optional<PackName> live_pack;
  if (lookup_filter_.MayHave(ref.id)) {
    ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
    ASSIGN_OR_RETURN(const PlaceList places, reader->FindBlob(ref));
    for (const Place& place : places) {
      ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader->FindPack(place.pack));
      if (!pack || pack->state != PackState::kLive) continue;
      live_pack = pack->info.name;
      break;
    }
    if (!live_pack) lookup_filter_.CountMiss();
  }
  if (live_pack) {
    MutexLock lock(used_mutex_);
    used_packs_.insert(*live_pack);
    return true;
  }
  MutexLock lock(shard.mutex);
  return !shard.ids.insert(ref.id).second;
}

StatusOr<BlobId> BlobWriter::WriteReplacing(BlobKind kind, ByteSpan bytes,
                                            const std::vector<BlobRef>& replaced) {
  RETURN_IF_ERROR(Failure());
  if (bytes.size() > kMaxBlobBytes) return InvalidArgument("a blob is over 4 MiB");
  if (options_.instead != nullptr) return WriteInstead(kind, bytes);
  const BlobRef ref = RefOf(kind, bytes);
  ASSIGN_OR_RETURN(const bool found, FindOrClaim(ref));
  if (found) return ref.id;
  ++blobs_added_;
  raw_bytes_added_ += bytes.size();
  if (options_.dry_run) return ref.id;

  const bool node = IsNode(kind);
  const uint32_t target = node ? kNodeFrameBytes : kChunkFrameBytes;
  RawFrame full;
  ChosenBases chosen;
  Status status;
  {
    MutexLock lock(shared_frames_mutex_);
    OpenFrame& open = shared_frames_[node ? 1 : 0];
    std::vector<BaseChooser::Candidate> candidates;
    if (options_.deltas) {
      StatusOr<std::vector<BaseChooser::Candidate>> usable = open.bases.Find(replaced);
      if (usable.ok()) candidates = *std::move(usable);
      status = std::move(usable).status();
    }
    const bool fits = open.frame.raw.size() + bytes.size() <= kMaxFrameBytes;
    if (!fits || !open.bases.AreNear(candidates)) std::tie(full, chosen) = open.Take();
    open.frame.Add(ref, bytes);
    open.bases.Add(candidates);
    const bool enough = open.frame.raw.size() >= target || open.bases.IsNearlyFull();
    if (full.empty() && enough) std::tie(full, chosen) = open.Take();
  }
  if (!status.ok()) {
    Fail(std::move(status));
    return Failure();
  }
  if (!full.empty()) RETURN_IF_ERROR(SealAndAdd(full, node, chosen));
  return ref.id;
}

StatusOr<SealedFrame> BlobWriter::Seal(const RawFrame& frame, const ChosenBases& chosen) {
  std::atomic<uint32_t>& failed = failed_deltas_[IsNode(frame.blobs.front().ref.kind) ? 1 : 0];
  const auto is_hopeful = [&] {
    return failed < kFailedDeltas || failed.fetch_add(1) % kTryEvery == 0;
  };
  FramePrefix prefix;
  if (!chosen.bases.empty() && is_hopeful()) {
    // Bases that cannot be read serve nobody; the frame does without.
    if (StatusOr<Bytes> bytes = repository_.ReadPrefix(chosen.bases); bytes.ok()) {
      prefix = {chosen.bases, *std::move(bytes)};
    }
  }
  const double plain_share = static_cast<double>(chosen.stored_bytes) /
                             static_cast<double>(std::max<uint64_t>(chosen.raw_bytes, 1));
  std::unique_ptr<FrameCodecContext> codec = BorrowCodec();
  StatusOr<SealedFrame> sealed = codec->SealDelta(frame, prefix, plain_share);
  ReturnCodec(std::move(codec));
  if (!sealed.ok() || prefix.bases.empty()) return sealed;
  if (sealed->info.bases.empty()) {
    ++failed;
  } else {
    failed = 0;
    dependents_.Add(chosen.frames);
    MutexLock lock(used_mutex_);
    used_packs_.insert(chosen.packs.begin(), chosen.packs.end());
  }
  return sealed;
}

Status BlobWriter::SealAndAdd(const RawFrame& frame, bool node, const ChosenBases& chosen) {
  if (frame.empty()) return OkStatus();
  StatusOr<SealedFrame> sealed = Seal(frame, chosen);
  Status status = sealed.ok() ? assembler_.Add(*std::move(sealed), node) : sealed.status();
  if (status.ok() && (assembler_.finished_bytes() >= kNamePacksBytes ||
                      assembler_.finished_blobs() >= kNamePacksBlobs)) {
    status = NamePacks();
  }
  if (!status.ok()) {
    Fail(std::move(status));
    return Failure();
  }
  return OkStatus();
}

BlobWriter::Lane::Lane(BlobWriter& writer)
    : writer_(writer),
      open_{{{}, {writer.repository_, writer.dependents_, /*node=*/false}},
            {{}, {writer.repository_, writer.dependents_, /*node=*/false}}},
      batch_(writer.repository_.hasher()) {}

Status BlobWriter::Lane::BeginFile(uint64_t bytes, bool whole, const Content* former) {
  former_.reset();
  if (former != nullptr && writer_.options_.deltas && !writer_.options_.dry_run) {
    former_.emplace(writer_.repository_, *former);
  }
  whole_ = whole;
  const bool fits = !whole || open().frame.raw.size() + bytes <= kChunkFrameBytes;
  if (!fits || open().bases.IsNearlyFull()) RETURN_IF_ERROR(Flush(open()));
  unbased_ = open().frame.blobs.size();
  return OkStatus();
}

Status BlobWriter::Lane::AddPieces(std::span<const Piece> pieces, bool split,
                                   absl::FunctionRef<Status(const ContentItem&)> added) {
  std::span<const BlobId> ids = Hash(pieces);
  return AddHashed(pieces, ids, split, added);
}

Status BlobWriter::Lane::AddHashed(std::span<const Piece> pieces, std::span<const BlobId>& ids,
                                   bool split,
                                   absl::FunctionRef<Status(const ContentItem&)> added) {
  for (const Piece& piece : pieces) {
    ContentItem item{.bytes = piece.bytes, .zero = piece.zero, .id = {}};
    if (piece.zero) {
      RETURN_IF_ERROR(Follow(item, /*stored=*/false));
    } else if (writer_.options_.instead != nullptr) {
      RETURN_IF_ERROR(writer_.Failure());
      ASSIGN_OR_RETURN(item.id, writer_.WriteInstead(BlobKind::kChunk, piece.data));
    } else {
      item.id = ids.front();
      ids = ids.subspan(1);
      RETURN_IF_ERROR(AddChunk(item.id, piece.data));
      if (split) RETURN_IF_ERROR(FlushBeside());
    }
    RETURN_IF_ERROR(added(item));
  }
  return OkStatus();
}

std::span<const BlobId> BlobWriter::Lane::Hash(std::span<const Piece> pieces) {
  if (writer_.options_.instead != nullptr) return {};  // which hashes itself
  const StageTimer timer(Stage::kHash);
  for (const Piece& piece : pieces) {
    if (!piece.zero) batch_.Add(BlobKind::kChunk, piece.data);
  }
  return batch_.Hash();
}

Status BlobWriter::Lane::AddChunk(const BlobId& id, ByteSpan chunk) {
  RETURN_IF_ERROR(writer_.Failure());
  const BlobRef ref{BlobKind::kChunk, id};
  ASSIGN_OR_RETURN(const bool found, writer_.FindOrClaim(ref));
  if (!found) {
    ++writer_.blobs_added_;
    writer_.raw_bytes_added_ += chunk.size();
    if (!writer_.options_.dry_run) open().frame.Add(ref, chunk);
  }
  return Follow({.bytes = chunk.size(), .zero = false, .id = id}, !found);
}

Status BlobWriter::Lane::Follow(const ContentItem& item, bool stored) {
  if (!former_) return OkStatus();
  former_->Follow(item, stored, replaced_);
  // Of a file that is not to be split, all bases are looked at together.
  return whole_ ? OkStatus() : AddReplaced();
}

Status BlobWriter::Lane::EndFile() {
  if (!former_) return OkStatus();
  former_->EndFile(replaced_);
  return AddReplaced();
}

Status BlobWriter::Lane::AddReplaced() {
  Status status = TryAddReplaced();
  if (status.ok()) return status;
  writer_.Fail(std::move(status));
  return writer_.Failure();
}

// What has these bases goes on in a frame of its own if they are far from those that are there.
Status BlobWriter::Lane::TryAddReplaced() {
  if (replaced_.empty()) return OkStatus();
  OpenFrame& open = this->open();
  ASSIGN_OR_RETURN(const auto candidates, open.bases.Find(replaced_));
  replaced_.clear();
  if (unbased_ > 0 && !open.bases.AreNear(candidates)) {
    RawFrame rest = open.frame.TakeTail(unbased_);
    RETURN_IF_ERROR(whole_ ? Flush(open) : CloseBeside(open));
    open.frame = std::move(rest);
  }
  open.bases.Add(candidates);
  unbased_ = open.frame.blobs.size();
  return OkStatus();
}

Status BlobWriter::Lane::Flush(OpenFrame& open) {
  const Status status = writer_.SealAndAdd(open.frame, /*node=*/false, open.bases.Take());
  open.frame.Clear();
  return status;
}

Status BlobWriter::Lane::Flush() {
  for (OpenFrame& open : open_) RETURN_IF_ERROR(Flush(open));
  return OkStatus();
}

Status BlobWriter::Lane::FlushBeside() {
  if (!IsFull()) return OkStatus();
  if (former_) {
    former_->EndFrame(replaced_);
    RETURN_IF_ERROR(AddReplaced());
    if (!IsFull()) return OkStatus();
  }
  unbased_ = 0;
  return CloseBeside(open());
}

Status BlobWriter::Lane::CloseBeside(OpenFrame& open) {
  BlobWriter& writer = writer_;
  const uint64_t bytes = open.frame.raw.size();
  if (writer.options_.pool == nullptr || writer.beside_bytes_ + bytes > kBesideBytes) {
    return Flush(open);
  }
  writer.beside_bytes_ += bytes;
  // The error, if any, is kept by the writer and met by its next call.
  writer.options_.pool->Submit([&writer, bytes,
                                frame = std::exchange(open.frame, writer.BorrowFrame()),
                                chosen = open.bases.Take()](int) mutable {
    (void)writer.SealAndAdd(frame, /*node=*/false, chosen);
    writer.ReturnFrame(std::move(frame));
    writer.beside_bytes_ -= bytes;
  });
  return OkStatus();
}

Status BlobWriter::Flush() {
  RETURN_IF_ERROR(Failure());
  for (const bool node : {false, true}) {
    RawFrame frame;
    ChosenBases chosen;
    {
      MutexLock lock(shared_frames_mutex_);
      OpenFrame& open = shared_frames_[node ? 1 : 0];
      std::tie(frame, chosen) = open.Take();
    }
    RETURN_IF_ERROR(SealAndAdd(frame, node, chosen));
  }
  return assembler_.Flush();
}

Status BlobWriter::NamePacks() { return Commit({}, std::nullopt, std::nullopt).status(); }

// The record stands, whatever becomes of parity.
void BlobWriter::PlaceParity() {
  for (const std::unique_ptr<ParityWriter>& parity : std::exchange(unplaced_parity_, {})) {
    const Status placed = parity->Place();
    if (!placed.ok() && repository_.options().warn) {
      repository_.options().warn("a pack is left without parity, which `cairn repair` makes: " +
                                 std::string(Message(placed)));
    }
  }
}

StatusOr<JournalHead> BlobWriter::Commit(std::vector<SnapshotEntry> snapshots,
                                         std::optional<SnapshotId> base,
                                         std::optional<BlobRef> root) {
  MutexLock lock(commit_mutex_);
  for (FinishedPack& pack : assembler_.TakeFinished()) {
    unnamed_footers_[pack.info.name] = std::move(pack.footer);
    unnamed_packs_.push_back(pack.info);
    if (pack.parity != nullptr) unplaced_parity_.push_back(std::move(pack.parity));
  }
  RecordEntries entries;
  entries.packs = unnamed_packs_;
  entries.snapshots = std::move(snapshots);
  if (entries.empty()) return commit_.head();
  // Nothing that a power cut could still take may be named.
  RETURN_IF_ERROR(repository_.store().SyncNames());
  WriterClaims claims;
  {
    MutexLock used_lock(used_mutex_);
    claims.used_packs = used_packs_;
  }
  claims.base = base;
  claims.root = root;
  ASSIGN_OR_RETURN(const JournalHead head,
                   commit_.Place(std::move(entries), std::move(claims), &unnamed_footers_));
  unnamed_packs_.clear();
  PlaceParity();
  const Repository::KnownFooters named = std::exchange(unnamed_footers_, {});
  // The record is what counts: an index that lags costs the next process some time.
  if (!repository_.Refresh(&named).ok()) return head;
  dependents_.Remember(repository_.index()).IgnoreError();
  lookup_filter_.Follow(repository_.index(), named).IgnoreError();
  for (const auto& [name, footer] : named) {
    for (const BlobInfo& blob : footer.blobs) {
      Shard& shard = ShardOf(blob.ref.id);
      MutexLock shard_lock(shard.mutex);
      shard.ids.erase(blob.ref.id);
    }
  }
  return head;
}

}  // namespace cairn
