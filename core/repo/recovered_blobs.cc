// SPDX-License-Identifier: Apache-2.0
#include "core/repo/recovered_blobs.h"

#include <fcntl.h>

#include <utility>

#include "core/fs/source_file.h"
#include "core/repo/commit.h"
#include "core/tree/builder.h"

namespace cairn {

RecoveredBlobs::RecoveredBlobs(Repository& repository, const SessionId& session,
                               const std::vector<BlobRef>& lacking, bool dry_run)
    : repository_(repository),
      dry_run_(dry_run),
      assembler_(repository.store(), repository.keys(), repository.config(), session,
                 /*parity=*/true),
      codec_(repository.config().compression_level) {
  for (const BlobRef& ref : lacking) lacking_[static_cast<int>(ref.kind)].insert(ref.id);
}

StatusOr<BlobId> RecoveredBlobs::WriteBlob(BlobKind kind, ByteSpan bytes) {
  const BlobId id = repository_.hasher().Hash(kind, bytes);
  if (lacking_[static_cast<int>(kind)].erase(id) == 0) return id;
  ++found_;
  if (dry_run_) return id;
  const bool node = IsNode(kind);
  RawFrame& frame = frames_[node ? 1 : 0];
  if (frame.raw.size() + bytes.size() > kMaxFrameBytes) RETURN_IF_ERROR(Flush(node));
  frame.Add({kind, id}, bytes);
  if (frame.raw.size() >= (node ? kNodeFrameBytes : kChunkFrameBytes)) {
    RETURN_IF_ERROR(Flush(node));
  }
  return id;
}

Status RecoveredBlobs::Flush(bool node) {
  RawFrame& frame = frames_[node ? 1 : 0];
  if (frame.empty()) return OkStatus();
  ASSIGN_OR_RETURN(SealedFrame sealed, codec_.Seal(frame));
  frame.Clear();
  return assembler_.Add(std::move(sealed), node);
}

std::vector<BlobRef> RecoveredBlobs::Lacking() const {
  std::vector<BlobRef> lacking;
  for (int kind = 1; kind <= kBlobKinds; ++kind) {
    for (const BlobId& id : lacking_[kind]) lacking.push_back({static_cast<BlobKind>(kind), id});
  }
  return lacking;
}

Status RecoveredBlobs::Commit() {
  for (const bool node : {false, true}) RETURN_IF_ERROR(Flush(node));
  RETURN_IF_ERROR(assembler_.Flush());
  RETURN_IF_ERROR(repository_.store().SyncNames());
  std::vector<FinishedPack> packs = assembler_.TakeFinished();
  if (packs.empty()) return OkStatus();
  RecordEntries entries;
  Repository::KnownFooters footers;
  for (FinishedPack& pack : packs) {
    entries.packs.push_back(pack.info);
    footers[pack.info.name] = std::move(pack.footer);
  }
  ASSIGN_OR_RETURN(JournalState state, repository_.journal().ReadState());
  RETURN_IF_ERROR(CommitWithState(repository_.journal(), state, [&](const JournalState&) {
                    return StatusOr<RecordEntries>(entries);
                  }).status());
  for (const FinishedPack& pack : packs) {
    // Without it the pack is whole all the same.
    if (pack.parity != nullptr) pack.parity->Place().IgnoreError();
  }
  return repository_.Refresh(&footers).status();
}

Status RecoverFromFiles(Repository& repository, const std::vector<std::string>& paths,
                        const StopFlag* stop, RecoveredBlobs& blobs) {
  ASSIGN_OR_RETURN(const Chunker chunker, repository.MakeChunker());
  FileScanner scanner(chunker.options().max_size,
                      [&chunker](ByteSpan data) { return chunker.NextCut(data); });
  for (const std::string& path : paths) {
    RETURN_IF_ERROR(CheckStop(stop));
    const StatusOr<Descriptor> file = OpenFileAt(AT_FDCWD, path.c_str());
    if (!file.ok()) continue;
    ListBuilder list(blobs);
    Status stored;
    const auto visit = [&](const Piece& piece) -> Status {
      ContentItem item{.bytes = piece.bytes, .zero = piece.zero, .id = {}};
      if (!piece.zero) {
        StatusOr<BlobId> id = blobs.WriteBlob(BlobKind::kChunk, piece.data);
        if (!id.ok()) return stored = id.status();
        item.id = *id;
      }
      RETURN_IF_ERROR(CheckStop(stop));
      return list.Add(item);
    };
    const Status read = scanner
                            .ScanFile(file->get(), /*may_have_holes=*/true,
                                      /*believe_holes=*/false, visit)
                            .status();
    RETURN_IF_ERROR(stored);
    if (read.ok()) RETURN_IF_ERROR(list.Finish().status());
  }
  return OkStatus();
}

}  // namespace cairn
