// SPDX-License-Identifier: Apache-2.0
#include "core/repo/recovered_blobs.h"

#include <algorithm>
#include <utility>

#include "core/repo/commit.h"
#include "core/tree/node.h"

namespace cairn {

RecoveredBlobs::RecoveredBlobs(Repository& repository, const SessionId& session,
                               const std::vector<BlobRef>& lacking, bool dry_run,
                               const StopFlag* stop)
    : repository_(repository),
      dry_run_(dry_run),
      stop_(stop),
      assembler_(repository.store(), repository.keys(), repository.config(), session,
                 /*parity=*/true),
      codec_(repository.config().compression_level) {
  for (const BlobRef& ref : lacking) lacking_[static_cast<int>(ref.kind)].insert(ref.id);
}

StatusOr<BlobId> RecoveredBlobs::WriteBlob(BlobKind kind, ByteSpan bytes) {
  RETURN_IF_ERROR(CheckStop(stop_));
  const BlobRef ref{kind, repository_.hasher().Hash(kind, bytes)};
  ASSIGN_OR_RETURN(const bool taken, TryTake(ref, bytes));
  if (!taken && IsNode(kind)) Hold(ref, bytes);
  return ref.id;
}

StatusOr<bool> RecoveredBlobs::TryTake(const BlobRef& ref, ByteSpan bytes) {
  MutexLock lock(mutex_);
  if (lacking_[static_cast<int>(ref.kind)].erase(ref.id) == 0) return false;
  RETURN_IF_ERROR(Take(ref, bytes));
  if (holds_ && IsNode(ref.kind)) RETURN_IF_ERROR(TakeHeldBelow(ref, bytes));
  return true;
}

Status RecoveredBlobs::Take(const BlobRef& ref, ByteSpan bytes) {
  ++found_;
  if (dry_run_) return OkStatus();
  const bool node = IsNode(ref.kind);
  RawFrame& frame = frames_[node ? 1 : 0];
  if (frame.raw.size() + bytes.size() > kMaxFrameBytes) RETURN_IF_ERROR(Flush(node));
  frame.Add(ref, bytes);
  if (frame.raw.size() >= (node ? kNodeFrameBytes : kChunkFrameBytes)) return Flush(node);
  return OkStatus();
}

Status RecoveredBlobs::TakeHeldBelow(const BlobRef& ref, ByteSpan bytes) {
  ASSIGN_OR_RETURN(std::vector<BlobRef> below, NodeReferences(ref.kind, bytes));
  while (!below.empty()) {
    const BlobRef child = below.back();
    below.pop_back();
    const auto held = held_[static_cast<int>(child.kind)].extract(child.id);
    if (held.empty()) continue;
    held_bytes_ -= held.mapped().size();
    RETURN_IF_ERROR(Take(child, held.mapped()));
    ASSIGN_OR_RETURN(const std::vector<BlobRef> next, NodeReferences(child.kind, held.mapped()));
    below.insert(below.end(), next.begin(), next.end());
  }
  return OkStatus();
}

void RecoveredBlobs::HoldNodes() {
  MutexLock lock(mutex_);
  // What is taken without being known to be lost is for parity to mend, perhaps.
  holds_ = !dry_run_;
}

void RecoveredBlobs::DropHeld() {
  MutexLock lock(mutex_);
  holds_ = false;
  held_bytes_ = 0;
  for (auto& held : held_) held.clear();
}

void RecoveredBlobs::Hold(const BlobRef& ref, ByteSpan bytes) {
  auto& held = held_[static_cast<int>(ref.kind)];
  {
    MutexLock lock(mutex_);
    if (!holds_ || held.contains(ref.id)) return;
  }
  if (repository_.ReadBlob(ref).ok()) return;
  MutexLock lock(mutex_);
  // What has no room is found again once its parent is there.
  if (held_bytes_ + bytes.size() > kMaxHeldBytes) return;
  if (held.try_emplace(ref.id, bytes.begin(), bytes.end()).second) held_bytes_ += bytes.size();
}

Status RecoveredBlobs::Flush(bool node) {
  RawFrame& frame = frames_[node ? 1 : 0];
  if (frame.empty()) return OkStatus();
  ASSIGN_OR_RETURN(SealedFrame sealed, codec_.Seal(frame));
  frame.Clear();
  return assembler_.Add(std::move(sealed), node);
}

std::vector<BlobRef> RecoveredBlobs::Lacking() const {
  MutexLock lock(mutex_);
  std::vector<BlobRef> lacking;
  for (int kind = 1; kind <= kBlobKinds; ++kind) {
    for (const BlobId& id : lacking_[kind]) lacking.push_back({static_cast<BlobKind>(kind), id});
  }
  return lacking;
}

bool RecoveredBlobs::LacksNothing() const {
  MutexLock lock(mutex_);
  return std::ranges::all_of(lacking_, &Ids::empty);
}

bool RecoveredBlobs::Lacks(BlobKind kind) const {
  MutexLock lock(mutex_);
  return !lacking_[static_cast<int>(kind)].empty();
}

bool RecoveredBlobs::LacksNodes() const {
  return Lacks(BlobKind::kTree) || Lacks(BlobKind::kList) || Lacks(BlobKind::kLinks) ||
         Lacks(BlobKind::kRoot);
}

uint64_t RecoveredBlobs::found() const {
  MutexLock lock(mutex_);
  return found_;
}

Status RecoveredBlobs::Commit() {
  {
    MutexLock lock(mutex_);
    for (const bool node : {false, true}) RETURN_IF_ERROR(Flush(node));
  }
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

}  // namespace cairn
