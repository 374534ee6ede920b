// SPDX-License-Identifier: Apache-2.0
// What a writer stores: blobs that the repository lacks, in frames, in packs, named in the journal.
// A blob counts as found only in a live pack that a record names, or among the writer's own.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "core/base/blob.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/worker_pool.h"
#include "core/fs/source_file.h"
#include "core/repo/commit.h"
#include "core/repo/delta_bases.h"
#include "core/repo/former_version.h"
#include "core/repo/lookup_filter.h"
#include "core/repo/pack_assembler.h"
#include "core/repo/repository.h"
#include "core/store/frame.h"

namespace cairn {

// Thread-safe. All methods fail after the first error of a write.
class BlobWriter : public BlobSink {
 public:
  struct Options {
    int compression_level = 3;
    bool dry_run = false;  // looks up and counts, stores nothing
    // Compresses what changed against what it was, where that pays.
    bool deltas = true;
    bool parity = true;  // for the packs that it writes
    // Where frames of one large file are compressed beside its reading. May be null.
    WorkerPool* pool = nullptr;
    // Gets every blob in place of the repository: then nothing is looked up, and nothing stored.
    // Thread-safe. May be null.
    BlobSink* instead = nullptr;
  };

  // `repository` must outlive it; `start` is the journal's head when the session began.
  BlobWriter(Repository& repository, const SessionId& session, const JournalHead& start,
             const Options& options);
  ~BlobWriter() override;

  // For nodes and the few chunks that are no file's content; they share a frame of their own.
  StatusOr<BlobId> WriteBlob(BlobKind kind, ByteSpan bytes) override {
    return WriteReplacing(kind, bytes, {});
  }

  // For the nodes of one directory: the next one stands in for those of the base snapshot that
  // were named since the last. Thread-compatible.
  class Nodes : public BlobSink {
   public:
    explicit Nodes(BlobWriter& writer) : writer_(writer) {}
    void Replace(BlobKind kind, const BlobId& id) { replaced_.push_back({kind, id}); }
    StatusOr<BlobId> WriteBlob(BlobKind kind, ByteSpan bytes) override {
      return writer_.WriteReplacing(kind, bytes, std::exchange(replaced_, {}));
    }

   private:
    BlobWriter& writer_;
    std::vector<BlobRef> replaced_;
  };

  // A frame that is put together.
  struct OpenFrame {
    RawFrame frame;
    BaseChooser bases;

    // What is in it; then it is empty.
    std::pair<RawFrame, ChosenBases> Take() { return {std::exchange(frame, {}), bases.Take()}; }
  };

  // A worker's own frame of chunks, so that a frame holds neighbours. Thread-compatible; flushed
  // before it is destroyed, or what is in it is not stored.
  class Lane {
   public:
    explicit Lane(BlobWriter& writer);
    // What follows is the content of a file; `former` is the one that it had in a snapshot, null if
    // it is new. If `whole`, it has up to kWholeFileBytes, and is not to be split over frames.
    Status BeginFile(uint64_t bytes, bool whole, const Content* former);
    // Stores those that hold data, and calls `added` for each. With `split`, what is full goes out
    // before the next piece, as by FlushBeside.
    Status AddPieces(std::span<const Piece> pieces, bool split,
                     absl::FunctionRef<Status(const ContentItem&)> added);
    // The same in two steps, to hash what several files hold together. Hash gives the ids of the
    // pieces that hold data, valid until it is called again; AddHashed takes those that it uses off
    // the front of `ids`.
    std::span<const BlobId> Hash(std::span<const Piece> pieces);
    Status AddHashed(std::span<const Piece> pieces, std::span<const BlobId>& ids, bool split,
                     absl::FunctionRef<Status(const ContentItem&)> added);
    Status EndFile();
    Status Flush();
    // Closes the file's frame if it is full, and may leave the compression to another worker.
    Status FlushBeside();

   private:
    OpenFrame& open() { return open_[former_ ? 1 : 0]; }
    Status AddChunk(const BlobId& id, ByteSpan chunk);
    Status Follow(const ContentItem& item, bool stored);
    Status AddReplaced();
    Status TryAddReplaced();
    bool IsFull() {
      return open().frame.raw.size() >= kChunkFrameBytes || open().bases.IsNearlyFull();
    }
    Status Flush(OpenFrame& open);
    Status CloseBeside(OpenFrame& open);

    BlobWriter& writer_;
    // [0] for new files, [1] for changed ones: in a common frame the new content, which has no
    // bases, would hide what a delta saves.
    OpenFrame open_[2];
    BlobBatch batch_;
    std::optional<FormerVersion> former_;
    std::vector<BlobRef> replaced_;  // not among the frame's bases yet
    size_t unbased_ = 0;             // of the frame's blobs, the first that they may belong to
    bool whole_ = true;
  };
  static constexpr uint64_t kWholeFileBytes = 512 * kKiB;

  // After every lane was flushed and no frame is being compressed: finishes all packs, ready to be
  // named in a record.
  Status Flush();
  // Places the record with the packs that are not named yet, and `snapshots`. Flush must have been
  // called. ABORTED is a conflict (commit.h).
  StatusOr<JournalHead> Commit(std::vector<SnapshotEntry> snapshots, std::optional<SnapshotId> base,
                               std::optional<BlobRef> root);

  // The first error of the repository's, if there was one; every later call returns it as well.
  Status Failure();

  uint64_t blobs_added() const { return blobs_added_; }
  uint64_t raw_bytes_added() const { return raw_bytes_added_; }
  uint64_t stored_bytes_added() const { return assembler_.stored_bytes(); }

 private:
  static constexpr int kShards = 16;
  // Work of an interrupted run is found by the next one if it was named.
  static constexpr uint64_t kNamePacksBytes = 1 * kGiB;
  // What no record names is remembered in memory: some 120 bytes a blob.
  static constexpr uint64_t kNamePacksBlobs = 128 * 1024;
  // Raw bytes of frames that wait to be compressed by others.
  static constexpr uint64_t kBesideBytes = 16 * kMiB;

  struct Shard {
    Mutex mutex;
    absl::flat_hash_set<BlobId> ids ABSL_GUARDED_BY(mutex);
  };

  StatusOr<BlobId> WriteInstead(BlobKind kind, ByteSpan bytes);
  BlobRef RefOf(BlobKind kind, ByteSpan bytes) const;
  // True if the blob is stored already, or by another thread of this writer.
  StatusOr<bool> FindOrClaim(const BlobRef& ref);
  StatusOr<bool> TryFindOrClaim(const BlobRef& ref);
  StatusOr<BlobId> WriteReplacing(BlobKind kind, ByteSpan bytes,
                                  const std::vector<BlobRef>& replaced);
  Status SealAndAdd(const RawFrame& frame, bool node, const ChosenBases& chosen);
  StatusOr<SealedFrame> Seal(const RawFrame& frame, const ChosenBases& chosen);
  Status NamePacks();
  void PlaceParity() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mutex_);
  void Fail(Status status);
  Shard& ShardOf(const BlobId& id) { return own_[id.bytes[0] % kShards]; }
  std::unique_ptr<FrameCodecContext> BorrowCodec();
  void ReturnCodec(std::unique_ptr<FrameCodecContext> codec);
  RawFrame BorrowFrame();
  void ReturnFrame(RawFrame frame);

  Repository& repository_;
  const Options options_;
  PackAssembler assembler_;

  // Blobs of this writer that no record names yet.
  Shard own_[kShards];
  LookupFilter lookup_filter_;

  DependentCounts dependents_;

  Mutex shared_frames_mutex_;
  OpenFrame shared_frames_[2] ABSL_GUARDED_BY(shared_frames_mutex_);  // [0] chunks, [1] nodes

  Mutex used_mutex_;
  std::set<PackName> used_packs_ ABSL_GUARDED_BY(used_mutex_);

  // What is lent, and comes back: the first touch of fresh memory is dear.
  Mutex spare_mutex_;
  std::vector<std::unique_ptr<FrameCodecContext>> codecs_ ABSL_GUARDED_BY(spare_mutex_);
  std::vector<RawFrame> frames_ ABSL_GUARDED_BY(spare_mutex_);

  // Held while a record is placed; others go on storing.
  Mutex commit_mutex_;
  WriterCommit commit_ ABSL_GUARDED_BY(commit_mutex_);
  Repository::KnownFooters unnamed_footers_ ABSL_GUARDED_BY(commit_mutex_);
  std::vector<PackInfo> unnamed_packs_ ABSL_GUARDED_BY(commit_mutex_);
  std::vector<std::unique_ptr<ParityWriter>> unplaced_parity_ ABSL_GUARDED_BY(commit_mutex_);

  Mutex failure_mutex_;
  Status failure_ ABSL_GUARDED_BY(failure_mutex_);
  std::atomic<bool> failed_{false};

  std::atomic<uint64_t> beside_bytes_{0};
  // Deltas of chunks [0] and of nodes [1] that did not pay, since the last that did.
  std::atomic<uint32_t> failed_deltas_[2] = {0, 0};
  std::atomic<uint64_t> blobs_added_{0};
  std::atomic<uint64_t> raw_bytes_added_{0};
};

}  // namespace cairn
