// SPDX-License-Identifier: Apache-2.0
#include "core/repo/prune_rewrite.h"

#include <algorithm>
#include <memory>
#include <string>

#include "core/base/worker_pool.h"
#include "core/repo/blob_verifier.h"
#include "core/store/frame.h"

namespace cairn {
namespace {

// The footers of a batch's new packs are held in memory until a record names them: some 50 bytes a
// blob.
constexpr uint64_t kBatchBlobs = 512 * 1024;

uint32_t TargetBytes(bool node) { return node ? kNodeFrameBytes : kChunkFrameBytes; }

// One batch: workers take packs from a list until enough was written.
class BatchRewriter {
 public:
  BatchRewriter(Repository& repository, const SessionId& session, const ReachableBlobs& reachable,
                const PackRewriter::Options& options, const std::vector<PackUse>& packs,
                size_t next)
      : repository_(repository),
        reachable_(reachable),
        options_(options),
        assembler_(repository.store(), repository.keys(), repository.config(), session,
                   options.parity),
        packs_(packs),
        next_(next) {}

  StatusOr<RewriteBatch> Run();
  size_t next() const {
    MutexLock lock(mutex_);
    return next_;
  }

 private:
  // What one thread owns.
  struct Worker {
    Worker(int compression_level, const BlobHasher& hasher)
        : codec(compression_level), verifier(hasher) {}
    FrameCodecContext codec;
    BlobVerifier verifier;
    RawFrame frames[2];  // [0] chunks, [1] nodes
    Bytes raw;
  };
  // A frame of an old pack; Worker::raw holds it decoded.
  struct OldFrame {
    const FrameInfo* info = nullptr;
    Bytes stored;
    Bytes prefix;  // content of its bases
    std::vector<BlobInfo> live;
    bool whole = false;  // everything in it is live, and of one sort
  };

  void Work();
  // Null once there is nothing left to do.
  const PackUse* TakePack();
  // False if the pack is damaged.
  StatusOr<bool> CopyPack(Worker& worker, const PackUse& pack);
  StatusOr<Bytes> ReadStored(const PackUse& pack, uint32_t number, const FrameInfo& frame);
  static bool StaysAsItIs(const OldFrame& frame);
  Status DecodeOldFrame(Worker& worker, const PackUse& pack, OldFrame& frame);
  Status CopyFrame(Worker& worker, OldFrame& frame);
  StatusOr<bool> CopyDelta(Worker& worker, OldFrame& frame);
  Status Flush(Worker& worker, bool node);
  void Fail(Status status);

  Repository& repository_;
  const ReachableBlobs& reachable_;
  const PackRewriter::Options& options_;
  PackAssembler assembler_;
  const std::vector<PackUse>& packs_;

  mutable Mutex mutex_;
  size_t next_ ABSL_GUARDED_BY(mutex_);
  uint64_t taken_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t taken_blobs_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<const PackUse*> copied_ ABSL_GUARDED_BY(mutex_);
  Status failure_ ABSL_GUARDED_BY(mutex_);
};

StatusOr<RewriteBatch> BatchRewriter::Run() {
  {
    const auto threads = static_cast<int>(
        std::min(packs_.size() - next(), static_cast<size_t>(std::max(1, options_.threads))));
    WorkerPool pool(threads);
    for (int i = 0; i < threads; ++i) {
      pool.Submit([this](int) { Work(); });
    }
    pool.Wait();
  }
  MutexLock lock(mutex_);
  if (failure_.ok()) failure_ = assembler_.Flush();
  RewriteBatch batch(repository_.store());
  for (FinishedPack& pack : assembler_.TakeFinished()) {
    batch.unnamed.Add(pack.info);
    batch.packs.push_back(pack.info);
    batch.footers[pack.info.name] = std::move(pack.footer);
    if (pack.parity != nullptr) batch.parity.push_back(std::move(pack.parity));
  }
  if (!failure_.ok()) return std::move(failure_);
  RETURN_IF_ERROR(repository_.store().SyncNames());
  for (const PackUse* const pack : copied_) batch.old.push_back(*pack);
  return batch;
}

void BatchRewriter::Fail(Status status) {
  MutexLock lock(mutex_);
  if (failure_.ok()) failure_ = std::move(status);
}

const PackUse* BatchRewriter::TakePack() {
  MutexLock lock(mutex_);
  if (!failure_.ok() || next_ == packs_.size()) return nullptr;
  if (taken_bytes_ >= options_.batch_bytes || taken_blobs_ >= kBatchBlobs) return nullptr;
  taken_bytes_ += packs_[next_].live_bytes;
  taken_blobs_ += packs_[next_].blobs;
  return &packs_[next_++];
}

void BatchRewriter::Work() {
  Worker worker(repository_.config().compression_level, repository_.hasher());
  while (const PackUse* const pack = TakePack()) {
    StatusOr<bool> copied = CopyPack(worker, *pack);
    if (!copied.ok()) return Fail(std::move(copied).status());
    if (!*copied) continue;
    MutexLock lock(mutex_);
    copied_.push_back(pack);
  }
  for (const bool node : {false, true}) {
    if (Status status = Flush(worker, node); !status.ok()) return Fail(std::move(status));
  }
}

StatusOr<bool> BatchRewriter::CopyPack(Worker& worker, const PackUse& pack) {
  const auto leave = [&](const Status& status) -> StatusOr<bool> {
    if (!IsDamage(status)) return status;
    MutexLock lock(mutex_);
    if (repository_.options().warn) {
      repository_.options().warn("a damaged pack is left as it is: " +
                                 std::string(Message(status)));
    }
    return false;
  };
  const StatusOr<PackFooter> footer =
      ReadPackFooter(repository_.store(), repository_.keys(), pack.info);
  if (!footer.ok()) return leave(footer.status());
  for (uint32_t number = 0, ordinal = 0; number < footer->frames.size(); ++number) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    OldFrame frame;
    frame.info = &footer->frames[number];
    size_t blobs = 0;
    bool mixed = false;
    for (; ordinal < footer->blobs.size() && footer->blobs[ordinal].frame == number; ++ordinal) {
      const BlobInfo& blob = footer->blobs[ordinal];
      ++blobs;
      if (!reachable_.IsMarked(pack.info.name, ordinal)) continue;
      frame.live.push_back(blob);
      mixed |= IsNode(blob.ref.kind) != IsNode(frame.live.front().ref.kind);
    }
    if (frame.live.empty()) continue;
    frame.whole = frame.live.size() == blobs && !mixed;
    StatusOr<Bytes> stored = ReadStored(pack, number, *frame.info);
    if (!stored.ok()) return leave(stored.status());
    frame.stored = *std::move(stored);
    if (StaysAsItIs(frame)) {
      const bool node = IsNode(frame.live.front().ref.kind);
      SealedFrame sealed{*frame.info, std::move(frame.stored), std::move(frame.live)};
      RETURN_IF_ERROR(assembler_.Add(std::move(sealed), node));
      continue;
    }
    if (const Status decoded = DecodeOldFrame(worker, pack, frame); !decoded.ok()) {
      return leave(decoded);
    }
    RETURN_IF_ERROR(CopyFrame(worker, frame));
  }
  return true;
}

// The frame's bytes, as they were when it was made: in an encrypted repository they are opened, and
// the pack that they are copied to seals them anew, as its own.
StatusOr<Bytes> BatchRewriter::ReadStored(const PackUse& pack, uint32_t number,
                                          const FrameInfo& frame) {
  ASSIGN_OR_RETURN(Bytes stored, ReadFrame(repository_.store(), repository_.keys(), pack.info.name,
                                           number, frame));
  if (ChecksumFrame(stored) != frame.checksum) {
    return DataLoss("pack " + pack.info.name.Hex() + ": frame: checksum does not match");
  }
  return stored;
}

// Such a frame is copied without being decoded, which for a delta would mean its bases too: its
// bytes are those that were decoded and compared before they were written.
bool BatchRewriter::StaysAsItIs(const OldFrame& frame) {
  if (!frame.whole) return false;
  // Small frames come from small commits, and compress better together.
  const bool node = IsNode(frame.live.front().ref.kind);
  return !frame.info->bases.empty() || frame.info->raw_bytes >= TargetBytes(node) / 2;
}

Status BatchRewriter::DecodeOldFrame(Worker& worker, const PackUse& pack, OldFrame& frame) {
  const std::string context = "pack " + pack.info.name.Hex();
  StatusOr<Bytes> prefix = repository_.ReadPrefix(frame.info->bases);
  if (!prefix.ok()) return Annotate(prefix.status(), context);
  frame.prefix = *std::move(prefix);
  RETURN_IF_ERROR(
      Annotate(worker.codec.Decode(*frame.info, frame.stored, frame.prefix, worker.raw), context));
  const auto bytes_of = [&](const BlobInfo& blob) {
    return ByteSpan(worker.raw).subspan(blob.offset, blob.bytes);
  };
  for (const BlobInfo& blob : frame.live) worker.verifier.Add(blob.ref, bytes_of(blob));
  const std::vector<bool>& right = worker.verifier.Verify();
  for (size_t i = 0; i < frame.live.size(); ++i) {
    if (right[i]) continue;
    return Annotate(repository_.VerifyBlob(frame.live[i].ref, bytes_of(frame.live[i])), context);
  }
  return OkStatus();
}

Status BatchRewriter::CopyFrame(Worker& worker, OldFrame& frame) {
  ASSIGN_OR_RETURN(const bool copied, CopyDelta(worker, frame));
  if (copied) return OkStatus();
  for (const BlobInfo& blob : frame.live) {
    const bool to_nodes = IsNode(blob.ref.kind);
    RawFrame& open = worker.frames[to_nodes ? 1 : 0];
    if (open.raw.size() + blob.bytes > kMaxFrameBytes) RETURN_IF_ERROR(Flush(worker, to_nodes));
    open.Add(blob.ref, ByteSpan(worker.raw).subspan(blob.offset, blob.bytes));
    if (open.raw.size() >= TargetBytes(to_nodes)) RETURN_IF_ERROR(Flush(worker, to_nodes));
  }
  return OkStatus();
}

// False if it is no delta, or shall not stay one.
StatusOr<bool> BatchRewriter::CopyDelta(Worker& worker, OldFrame& frame) {
  if (frame.info->bases.empty()) return false;
  const bool node = IsNode(frame.live.front().ref.kind);
  RawFrame remains;
  for (const BlobInfo& blob : frame.live) {
    if (IsNode(blob.ref.kind) != node) return false;
    remains.Add(blob.ref, ByteSpan(worker.raw).subspan(blob.offset, blob.bytes));
  }
  if (!StaysDelta(remains.raw.size(), frame.info->raw_bytes)) return false;
  // Compared with the plain frame in any case: what it would take is not known.
  ASSIGN_OR_RETURN(SealedFrame sealed,
                   worker.codec.SealDelta(remains, {frame.info->bases, std::move(frame.prefix)},
                                          /*plain_share=*/0));
  RETURN_IF_ERROR(assembler_.Add(std::move(sealed), node));
  return true;
}

Status BatchRewriter::Flush(Worker& worker, bool node) {
  RawFrame& open = worker.frames[node ? 1 : 0];
  if (open.empty()) return OkStatus();
  ASSIGN_OR_RETURN(SealedFrame sealed, worker.codec.Seal(open));
  open.Clear();
  return assembler_.Add(std::move(sealed), node);
}

}  // namespace

UnnamedPacks::~UnnamedPacks() {
  // Where it fails, a later prune finds them.
  for (const PackInfo& pack : packs_) store_->Delete(PackObjectName(pack.name)).IgnoreError();
}

StatusOr<RewriteBatch> PackRewriter::Rewrite(const std::vector<PackUse>& packs, size_t* next) {
  if (*next >= packs.size()) return RewriteBatch(repository_.store());
  BatchRewriter batch(repository_, session_, reachable_, options_, packs, *next);
  StatusOr<RewriteBatch> result = batch.Run();
  if (result.ok()) *next = batch.next();
  return result;
}

}  // namespace cairn
