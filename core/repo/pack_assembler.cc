// SPDX-License-Identifier: Apache-2.0
#include "core/repo/pack_assembler.h"

#include <utility>

#include "core/base/profile.h"

namespace cairn {
namespace {

uint8_t ContentOf(const SealedFrame& frame, bool node) {
  return static_cast<uint8_t>((node ? kPackHasNodes : kPackHasChunks) |
                              (frame.info.bases.empty() ? 0 : kPackHasDeltas));
}

}  // namespace

Status PackAssembler::Add(SealedFrame frame, bool node) {
  const StageTimer timer(Stage::kStore);
  std::vector<std::unique_ptr<PackWriter>> full;
  {
    MutexLock lock(mutex_);
    stored_bytes_ += frame.stored.size();
    if (!spilled_) {
      small_bytes_ += frame.stored.size();
      small_.emplace_back(std::move(frame), node);
      if (small_bytes_ < kSmallCommitBytes) return OkStatus();
      RETURN_IF_ERROR(SpillSmall());
    } else {
      RETURN_IF_ERROR(AddToOpenPack(frame, node));
    }
    full = std::exchange(full_, {});
  }
  // Syncing takes long; others go on with new packs meanwhile.
  for (std::unique_ptr<PackWriter>& writer : full) RETURN_IF_ERROR(FinishPack(std::move(writer)));
  return OkStatus();
}

Status PackAssembler::SpillSmall() {
  spilled_ = true;
  for (const auto& [frame, node] : std::exchange(small_, {})) {
    RETURN_IF_ERROR(AddToOpenPack(frame, node));
  }
  return OkStatus();
}

StatusOr<std::unique_ptr<PackWriter>> PackAssembler::NewPack(uint8_t content) {
  const auto with_parity = static_cast<uint8_t>(content | (parity_ ? kPackHasParity : 0));
  return PackWriter::Create(store_, keys_, session_, with_parity);
}

Status PackAssembler::AddToOpenPack(const SealedFrame& frame, bool node) {
  const uint8_t content = ContentOf(frame, node);
  std::unique_ptr<PackWriter>& writer = open_[content];
  if (writer == nullptr) {
    ASSIGN_OR_RETURN(writer, NewPack(content));
  }
  RETURN_IF_ERROR(writer->Add(frame).status());
  if (writer->bytes() >= config_.pack_target_bytes ||
      writer->footer().blobs.size() >= kMaxPackBlobs) {
    full_.push_back(std::move(writer));
  }
  return OkStatus();
}

Status PackAssembler::FinishPack(std::unique_ptr<PackWriter> writer) {
  const StageTimer timer(Stage::kSync);
  ASSIGN_OR_RETURN(const PackInfo info, writer->Finish());
  MutexLock lock(mutex_);
  finished_bytes_ += info.bytes;
  finished_blobs_ += writer->footer().blobs.size();
  finished_.push_back({info, writer->TakeFooter(), writer->TakeParity()});
  return OkStatus();
}

Status PackAssembler::Flush() {
  std::vector<std::unique_ptr<PackWriter>> writers;
  {
    MutexLock lock(mutex_);
    if (!small_.empty()) {
      uint8_t content = 0;
      for (const auto& [frame, node] : small_) content |= ContentOf(frame, node);
      ASSIGN_OR_RETURN(auto writer, NewPack(content));
      for (const auto& [frame, node] : std::exchange(small_, {})) {
        RETURN_IF_ERROR(writer->Add(frame).status());
      }
      small_bytes_ = 0;
      writers.push_back(std::move(writer));
    }
    for (std::unique_ptr<PackWriter>& writer : std::exchange(full_, {})) {
      writers.push_back(std::move(writer));
    }
    for (auto& [content, writer] : std::exchange(open_, {})) {
      if (writer != nullptr) writers.push_back(std::move(writer));
    }
  }
  for (std::unique_ptr<PackWriter>& writer : writers) {
    RETURN_IF_ERROR(FinishPack(std::move(writer)));
  }
  return OkStatus();
}

std::vector<FinishedPack> PackAssembler::TakeFinished() {
  MutexLock lock(mutex_);
  finished_bytes_ = 0;
  finished_blobs_ = 0;
  return std::exchange(finished_, {});
}

uint64_t PackAssembler::stored_bytes() const {
  MutexLock lock(mutex_);
  return stored_bytes_;
}

uint64_t PackAssembler::finished_bytes() const {
  MutexLock lock(mutex_);
  return finished_bytes_;
}

uint64_t PackAssembler::finished_blobs() const {
  MutexLock lock(mutex_);
  return finished_blobs_;
}

}  // namespace cairn
