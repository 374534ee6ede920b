// SPDX-License-Identifier: Apache-2.0
#include "core/repo/blob_writer.h"

#include <utility>

namespace cairn {

BlobWriter::BlobWriter(Repository& repository, const SessionId& session, const JournalHead& start,
                       const Options& options)
    : repository_(repository),
      options_(options),
      assembler_(repository.store(), repository.config(), session),
      commit_(repository, session, start) {}

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
  MutexLock lock(codecs_mutex_);
  if (codecs_.empty()) return std::make_unique<FrameCodecContext>(options_.compression_level);
  std::unique_ptr<FrameCodecContext> codec = std::move(codecs_.back());
  codecs_.pop_back();
  return codec;
}

void BlobWriter::ReturnCodec(std::unique_ptr<FrameCodecContext> codec) {
  MutexLock lock(codecs_mutex_);
  codecs_.push_back(std::move(codec));
}

StatusOr<bool> BlobWriter::FindOrClaim(const BlobRef& ref) {
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
  // Own blobs leave the set only after the index has them, so one that is in neither is new.
  std::optional<PackName> live_pack;
  {
    ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
    ASSIGN_OR_RETURN(const PlaceList places, reader->FindBlob(ref));
    for (const Place& place : places) {
      ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader->FindPack(place.pack));
      if (!pack || pack->state != PackState::kLive) continue;
      live_pack = pack->info.name;
      break;
    }
  }
  if (live_pack) {
    MutexLock lock(used_mutex_);
    used_packs_.insert(*live_pack);
    return true;
  }
  MutexLock lock(shard.mutex);
  return !shard.ids.insert(ref.id).second;
}

StatusOr<BlobId> BlobWriter::WriteBlob(BlobKind kind, ByteSpan bytes) {
  RETURN_IF_ERROR(Failure());
  if (bytes.size() > kMaxBlobBytes) return InvalidArgument("a blob is over 4 MiB");
  const BlobRef ref{kind, repository_.hasher().Hash(kind, bytes)};
  ASSIGN_OR_RETURN(const bool found, FindOrClaim(ref));
  if (found) return ref.id;
  ++blobs_added_;
  raw_bytes_added_ += bytes.size();
  if (options_.dry_run) return ref.id;

  const bool node = IsNode(kind);
  const uint32_t target = node ? kNodeFrameBytes : kChunkFrameBytes;
  RawFrame full;
  {
    MutexLock lock(shared_frames_mutex_);
    RawFrame& frame = shared_frames_[node ? 1 : 0];
    if (frame.raw.size() + bytes.size() > kMaxFrameBytes) full = std::exchange(frame, {});
    frame.Add(ref, bytes);
    if (full.empty() && frame.raw.size() >= target) full = std::exchange(frame, {});
  }
  if (!full.empty()) RETURN_IF_ERROR(SealAndAdd(full, node));
  return ref.id;
}

Status BlobWriter::SealAndAdd(const RawFrame& frame, bool node) {
  if (frame.empty()) return OkStatus();
  std::unique_ptr<FrameCodecContext> codec = BorrowCodec();
  StatusOr<SealedFrame> sealed = codec->Seal(frame, repository_.hasher());
  ReturnCodec(std::move(codec));
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

Status BlobWriter::Lane::BeginWholeFile(uint64_t bytes) {
  if (frame_.raw.size() + bytes <= kChunkFrameBytes) return OkStatus();
  return Flush();
}

StatusOr<BlobId> BlobWriter::Lane::AddChunk(ByteSpan chunk) {
  RETURN_IF_ERROR(writer_.Failure());
  const BlobRef ref{BlobKind::kChunk, writer_.repository_.hasher().Hash(BlobKind::kChunk, chunk)};
  ASSIGN_OR_RETURN(const bool found, writer_.FindOrClaim(ref));
  if (found) return ref.id;
  ++writer_.blobs_added_;
  writer_.raw_bytes_added_ += chunk.size();
  if (!writer_.options_.dry_run) frame_.Add(ref, chunk);
  return ref.id;
}

Status BlobWriter::Lane::Flush() {
  const Status status = writer_.SealAndAdd(frame_, /*node=*/false);
  frame_.Clear();
  return status;
}

Status BlobWriter::Lane::FlushBeside() {
  if (frame_.raw.size() < kChunkFrameBytes) return OkStatus();
  BlobWriter& writer = writer_;
  const uint64_t bytes = frame_.raw.size();
  if (writer.options_.pool == nullptr || writer.beside_bytes_ + bytes > kBesideBytes) {
    return Flush();
  }
  writer.beside_bytes_ += bytes;
  // The error, if any, is kept by the writer and met by its next call.
  writer.options_.pool->Submit([&writer, bytes, frame = std::exchange(frame_, {})](int) {
    (void)writer.SealAndAdd(frame, /*node=*/false);
    writer.beside_bytes_ -= bytes;
  });
  return OkStatus();
}

Status BlobWriter::Flush() {
  RETURN_IF_ERROR(Failure());
  for (const bool node : {false, true}) {
    RawFrame frame;
    {
      MutexLock lock(shared_frames_mutex_);
      frame = std::exchange(shared_frames_[node ? 1 : 0], {});
    }
    RETURN_IF_ERROR(SealAndAdd(frame, node));
  }
  RETURN_IF_ERROR(assembler_.Flush());
  return repository_.store().SyncNames();
}

Status BlobWriter::NamePacks() {
  RETURN_IF_ERROR(repository_.store().SyncNames());
  return Commit({}, std::nullopt, std::nullopt).status();
}

StatusOr<JournalHead> BlobWriter::Commit(std::vector<SnapshotEntry> snapshots,
                                         std::optional<SnapshotId> base,
                                         std::optional<BlobRef> root) {
  MutexLock lock(commit_mutex_);
  for (FinishedPack& pack : assembler_.TakeFinished()) {
    unnamed_footers_[pack.info.name] = std::move(pack.footer);
    unnamed_packs_.push_back(pack.info);
  }
  RecordEntries entries;
  entries.packs = unnamed_packs_;
  entries.snapshots = std::move(snapshots);
  if (entries.empty()) return commit_.head();
  // Finished after the names were synced by the caller, perhaps.
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
  const Repository::KnownFooters named = std::exchange(unnamed_footers_, {});
  // The record is what counts: an index that lags costs the next process some time.
  if (!repository_.Refresh(&named).ok()) return head;
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
