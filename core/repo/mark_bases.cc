// SPDX-License-Identifier: Apache-2.0
#include "core/repo/mark_bases.h"

#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "core/store/pack.h"

namespace cairn {
namespace {

// Marks what delta frames are based on, pack by pack: a base lies in a plain frame, but in a pack
// that may have delta frames too. Frames with a marked blob come first, so that it is known what
// the dead ones alone hold on to.
class BaseMarker {
 public:
  BaseMarker(MarkTable& table, const StopFlag* stop) : table_(table), stop_(stop) {}

  Status Run(const std::vector<PackName>& packs);

 private:
  struct DeadFrames {
    MarkedPack* pack = nullptr;
    std::vector<uint32_t> numbers;
  };

  Status AddPack(const PackName& name);
  // Of its live frames; the others become dead_.
  Status MarkLiveFrames(MarkedPack& pack);
  Status MarkDeadFrames(const DeadFrames& dead);
  // By frame: whether something in it is marked. Those that the result has not count as live.
  StatusOr<std::vector<bool>> FindLiveFrames(const MarkedPack& pack);
  struct Bases {
    bool whole = true;  // each is in a plain frame
    uint64_t newly_marked_bytes = 0;
  };
  StatusOr<Bases> MarkBasesOf(MarkView& view, const FrameInfo& frame);

  MarkTable& table_;
  const StopFlag* const stop_;
  std::vector<DeadFrames> dead_;
};

Status BaseMarker::Run(const std::vector<PackName>& packs) {
  for (const PackName& name : packs) RETURN_IF_ERROR(AddPack(name));
  const std::set<PackName> named(packs.begin(), packs.end());
  for (bool found = true; found;) {
    found = false;
    for (MarkedPack* const pack : table_.AllPacks()) {
      if (!pack->has_deltas || pack->bases_marked) continue;
      if (pack->marked == 0 && !named.contains(pack->name)) continue;
      RETURN_IF_ERROR(CheckStop(stop_));
      RETURN_IF_ERROR(MarkLiveFrames(*pack));
      pack->bases_marked = found = true;
    }
    if (found) continue;
    for (const DeadFrames& dead : std::exchange(dead_, {})) {
      RETURN_IF_ERROR(MarkDeadFrames(dead));
      found = true;
    }
  }
  return OkStatus();
}

// So that the table has it.
Status BaseMarker::AddPack(const PackName& name) {
  if (table_.FindByName(name) != nullptr) return OkStatus();
  ASSIGN_OR_RETURN(const auto reader, table_.index.Read());
  ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader->FindPackByName(name));
  return pack ? table_.FindPack(*reader, pack->number).status() : OkStatus();
}

Status BaseMarker::MarkLiveFrames(MarkedPack& pack) {
  ASSIGN_OR_RETURN(const std::vector<bool> live, FindLiveFrames(pack));
  MarkView view;
  ASSIGN_OR_RETURN(view.reader, table_.index.Read());
  ASSIGN_OR_RETURN(const std::optional<IndexPack> known, view.reader->FindPackByName(pack.name));
  if (!known) return OkStatus();
  DeadFrames dead{&pack, {}};
  for (uint32_t number = 0; number < known->frames; ++number) {
    ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame,
                     view.reader->FindFrame(known->number, number));
    if (!frame) return DataLoss("index: a pack without its frame");
    if (frame->bases.empty()) continue;
    if (number < live.size() && !live[number]) {
      dead.numbers.push_back(number);
      continue;
    }
    ASSIGN_OR_RETURN(const Bases bases, MarkBasesOf(view, *frame));
    if (bases.whole) continue;
    return NotFound("a base of frame " + std::to_string(number) + " of pack " + pack.name.Hex() +
                    " is in no plain frame of this repository");
  }
  if (!dead.numbers.empty()) dead_.push_back(std::move(dead));
  return OkStatus();
}

Status BaseMarker::MarkDeadFrames(const DeadFrames& dead) {
  MarkView view;
  ASSIGN_OR_RETURN(view.reader, table_.index.Read());
  ASSIGN_OR_RETURN(const std::optional<IndexPack> known,
                   view.reader->FindPackByName(dead.pack->name));
  if (!known) return OkStatus();
  for (const uint32_t number : dead.numbers) {
    ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame,
                     view.reader->FindFrame(known->number, number));
    if (!frame) return DataLoss("index: a pack without its frame");
    ASSIGN_OR_RETURN(const Bases bases, MarkBasesOf(view, *frame));
    dead.pack->pinned_bytes += bases.newly_marked_bytes;
  }
  return OkStatus();
}

StatusOr<std::vector<bool>> BaseMarker::FindLiveFrames(const MarkedPack& pack) {
  if (pack.marked == pack.blobs) return std::vector<bool>();
  std::optional<IndexPack> known;
  {
    ASSIGN_OR_RETURN(const auto reader, table_.index.Read());
    ASSIGN_OR_RETURN(known, reader->FindPackByName(pack.name));
  }
  if (!known) return std::vector<bool>();
  Repository& repository = table_.repository;
  const StatusOr<PackFooter> footer =
      ReadPackFooter(repository.store(), repository.keys(), known->info);
  // What a damaged pack has cannot be told: all of it may be needed.
  if (IsDamage(footer.status())) return std::vector<bool>();
  RETURN_IF_ERROR(footer.status());
  std::vector<bool> live(footer->frames.size());
  for (uint32_t ordinal = 0; ordinal < footer->blobs.size(); ++ordinal) {
    if (pack.IsMarked(ordinal)) live[footer->blobs[ordinal].frame] = true;
  }
  return live;
}

StatusOr<BaseMarker::Bases> BaseMarker::MarkBasesOf(MarkView& view, const FrameInfo& frame) {
  Bases bases;
  const auto rank = [](const MarkedPack& pack) {
    return std::tuple(pack.avoided, pack.state, pack.number);
  };
  for (const BaseId& base : frame.bases) {
    MarkedPack* best = nullptr;
    Place at;
    ASSIGN_OR_RETURN(const std::vector<PlacedBlob> places, view.reader->FindBase(base));
    for (const auto& [ref, place] : places) {
      ASSIGN_OR_RETURN(MarkedPack* const pack, FindPack(table_, view, place));
      if (best != nullptr && rank(*best) <= rank(*pack)) continue;
      ASSIGN_OR_RETURN(const bool is_delta, IsInDelta(view, *pack, place));
      if (is_delta) continue;
      best = pack;
      at = place;
    }
    if (best == nullptr) {
      bases.whole = false;
    } else if (best->Mark(at.ordinal)) {
      bases.newly_marked_bytes += at.bytes;
    }
  }
  return bases;
}

}  // namespace

Status MarkBasesIn(MarkTable& table, const std::vector<PackName>& packs, const StopFlag* stop) {
  return BaseMarker(table, stop).Run(packs);
}

}  // namespace cairn
