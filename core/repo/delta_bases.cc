// SPDX-License-Identifier: Apache-2.0
#include "core/repo/delta_bases.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/base/coding.h"

namespace cairn {
namespace {

// A file of the new frame is read by decoding these, at two thirds of a millisecond for a MiB.
constexpr size_t kMaxBaseFrames = 16;
constexpr uint64_t kMaxBaseFrameBytes = 8 * kMiB;
// Together, raw, of the frames that one frame should rest on, unless it is a single one.
constexpr uint64_t kNearChunkBytes = kChunkFrameBytes;
constexpr uint64_t kNearNodeBytes = kNodeFrameBytes;
// From here on the next file may find no room.
constexpr size_t kManyBaseFrames = 12;
constexpr uint64_t kManyBaseFrameBytes = kMaxBaseFrameBytes / 4 * 3;
constexpr size_t kManyBases = kMaxFrameBases * 7 / 8;
constexpr uint64_t kManyBaseBytes = kMaxPrefixBytes / 4 * 3;

constexpr std::string_view kNotePrefix = "dependents";

Bytes PackNoteKey(const PackName& pack) {
  Bytes key;
  Encoder encoder(key);
  encoder.Raw(AsBytes(kNotePrefix));
  encoder.Raw(pack.span());
  return key;
}

Bytes NoteKey(const FrameAddress& frame) {
  Bytes key = PackNoteKey(frame.first);
  Encoder(key).Fixed32(frame.second);
  return key;
}

uint32_t DecodeCount(const std::optional<Bytes>& note) {
  if (!note) return 0;
  Decoder decoder(*note);
  const uint32_t count = decoder.Fixed32();
  return decoder.Finish("count of dependents").ok() ? count : 0;
}

// What may serve in place of some blobs that were replaced.
class CandidateFinder {
 public:
  CandidateFinder(IndexReader& reader, const DependentCounts& counts)
      : reader_(reader), finder_(reader), counts_(counts) {}

  Status AddReplaced(const BlobRef& ref) {
    if (known_.contains(BaseIdOf(ref.id))) return OkStatus();
    ASSIGN_OR_RETURN(const std::vector<FramedPlace> places, finder_.Find(ref));
    const FramedPlace* delta = nullptr;
    for (const FramedPlace& place : places) {
      if (place.pack.state != PackState::kLive) break;
      if (place.is_plain()) return AddPlace(place);
      if (delta == nullptr) delta = &place;
    }
    known_.insert(BaseIdOf(ref.id));
    return delta == nullptr ? OkStatus() : AddBasesOf(*delta);
  }

  std::vector<BaseChooser::Candidate> Take() { return std::move(found_); }

 private:
  // Bases stand in the order of what is based on them, and are of about the same length together:
  // so those of one blob are found where it stands among its neighbours.
  Status AddBasesOf(const FramedPlace& place) {
    const std::vector<BaseId>& bases = place.frame.bases;
    const size_t slack = 2 + bases.size() / 8;
    const uint64_t raw = std::max<uint64_t>(place.frame.raw_bytes, 1);
    const size_t first = place.place.offset * bases.size() / raw;
    const size_t last = (uint64_t{place.place.offset} + place.place.bytes) * bases.size() / raw;
    for (size_t i = first - std::min(first, slack); i < std::min(bases.size(), last + slack); ++i) {
      if (known_.contains(bases[i])) continue;
      ASSIGN_OR_RETURN(const std::vector<FramedPlace> found, finder_.FindBase(bases[i]));
      if (found.empty() || found.front().pack.state != PackState::kLive) continue;
      RETURN_IF_ERROR(AddPlace(found.front()));
    }
    return OkStatus();
  }

  Status AddPlace(const FramedPlace& place) {
    const BaseId base = BaseIdOf(place.ref.id);
    if (place.place.bytes == 0 || !known_.insert(base).second) return OkStatus();
    const FrameAddress frame(place.pack.info.name, place.place.frame);
    if (found_.empty() || found_.back().frame != frame) {
      ASSIGN_OR_RETURN(const uint32_t remembered, DependentCounts::Remembered(reader_, frame));
      if (!counts_.HasRoom(frame, remembered)) return OkStatus();
    }
    found_.push_back({.base = base,
                      .bytes = place.place.bytes,
                      .frame = frame,
                      .frame_stored_bytes = place.frame.stored_bytes,
                      .frame_raw_bytes = place.frame.raw_bytes});
    return OkStatus();
  }

  IndexReader& reader_;
  PlaceFinder finder_;
  const DependentCounts& counts_;
  std::vector<BaseChooser::Candidate> found_;
  absl::flat_hash_set<BaseId> known_;  // found, or of no use
};

}  // namespace

StatusOr<uint32_t> DependentCounts::Remembered(IndexReader& reader, const FrameAddress& frame) {
  ASSIGN_OR_RETURN(const std::optional<Bytes> note, reader.FindNote(NoteKey(frame)));
  return DecodeCount(note);
}

bool DependentCounts::HasRoom(const FrameAddress& frame, uint32_t remembered) const {
  MutexLock lock(mutex_);
  const auto added = added_.find(frame);
  return remembered + (added == added_.end() ? 0 : added->second) < kMax;
}

void DependentCounts::Add(const std::set<FrameAddress>& frames) {
  MutexLock lock(mutex_);
  for (const FrameAddress& frame : frames) ++added_[frame];
}

Status DependentCounts::Remember(Index& index) {
  absl::flat_hash_map<FrameAddress, uint32_t> added;
  {
    MutexLock lock(mutex_);
    added = std::exchange(added_, {});
  }
  if (added.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const auto writer, index.Write());
  for (const auto& [frame, count] : added) {
    const Bytes key = NoteKey(frame);
    ASSIGN_OR_RETURN(const std::optional<Bytes> note, writer->FindNote(key));
    Bytes value;
    Encoder(value).Fixed32(DecodeCount(note) + count);
    RETURN_IF_ERROR(writer->PutNote(key, value));
  }
  return writer->Commit();
}

Status DependentCounts::Forget(IndexWriter& writer, const PackName& pack) {
  return writer.RemoveNotes(PackNoteKey(pack));
}

BaseChooser::BaseChooser(Repository& repository, const DependentCounts& counts, bool node)
    : repository_(repository),
      counts_(counts),
      near_bytes_(node ? kNearNodeBytes : kNearChunkBytes) {}

bool BaseChooser::AreNear(std::span<const Candidate> candidates) const {
  if (chosen_.frames.empty()) return true;
  std::set<FrameAddress> more;
  uint64_t raw_bytes = chosen_.raw_bytes;
  for (const Candidate& candidate : candidates) {
    if (chosen_.frames.contains(candidate.frame) || !more.insert(candidate.frame).second) continue;
    raw_bytes += candidate.frame_raw_bytes;
  }
  return more.empty() || raw_bytes <= near_bytes_;
}

StatusOr<std::vector<BaseChooser::Candidate>> BaseChooser::Find(
    std::span<const BlobRef> replaced) const {
  if (replaced.empty()) return std::vector<Candidate>();
  ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  CandidateFinder finder(*reader, counts_);
  for (const BlobRef& ref : replaced) RETURN_IF_ERROR(finder.AddReplaced(ref));
  return finder.Take();
}

void BaseChooser::Add(std::span<const Candidate> candidates) {
  for (const Candidate& candidate : candidates) {
    if (known_.contains(candidate.base) || chosen_.bases.size() == kMaxFrameBases ||
        candidate.bytes > kMaxPrefixBytes - bytes_) {
      continue;
    }
    if (!chosen_.frames.contains(candidate.frame)) {
      if (chosen_.frames.size() == kMaxBaseFrames ||
          candidate.frame_raw_bytes >
              kMaxBaseFrameBytes - std::min(chosen_.raw_bytes, kMaxBaseFrameBytes)) {
        continue;
      }
      chosen_.frames.insert(candidate.frame);
      chosen_.packs.insert(candidate.frame.first);
      chosen_.stored_bytes += candidate.frame_stored_bytes;
      chosen_.raw_bytes += candidate.frame_raw_bytes;
    }
    known_.insert(candidate.base);
    chosen_.bases.push_back(candidate.base);
    bytes_ += candidate.bytes;
  }
}

bool BaseChooser::IsNearlyFull() const {
  return chosen_.frames.size() >= kManyBaseFrames || chosen_.raw_bytes >= kManyBaseFrameBytes ||
         chosen_.bases.size() >= kManyBases || bytes_ >= kManyBaseBytes;
}

ChosenBases BaseChooser::Take() {
  bytes_ = 0;
  known_.clear();
  return std::exchange(chosen_, {});
}

}  // namespace cairn
