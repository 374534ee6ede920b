// SPDX-License-Identifier: Apache-2.0
#include "core/repo/mark_bases.h"

#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "core/store/pack.h"

namespace cairn {
namespace {

// Marks what delta frames are based on, pack by pack: a base lies in a plain frame, but in a pack
// that may have delta frames too.
class BaseMarker {
 public:
  BaseMarker(MarkTable& table, const StopFlag* stop) : table_(table), stop_(stop) {}

  Status Run(const std::vector<PackName>& packs);

 private:
  Status AddPack(const PackName& name);
  Status MarkPack(MarkedPack& pack);
  // False if it is in no plain frame.
  StatusOr<bool> MarkBase(MarkView& view, const BaseId& base);
  StatusOr<bool> IsFrameMarked(const MarkedPack& pack, uint32_t frame);

  MarkTable& table_;
  const StopFlag* const stop_;
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
      RETURN_IF_ERROR(MarkPack(*pack));
      pack->bases_marked = found = true;
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

Status BaseMarker::MarkPack(MarkedPack& pack) {
  std::vector<uint32_t> lacking;
  {
    MarkView view;
    ASSIGN_OR_RETURN(view.reader, table_.index.Read());
    ASSIGN_OR_RETURN(const std::optional<IndexPack> known, view.reader->FindPackByName(pack.name));
    if (!known) return OkStatus();
    for (uint32_t number = 0; number < known->frames; ++number) {
      ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame,
                       view.reader->FindFrame(known->number, number));
      if (!frame) return DataLoss("index: a pack without its frame");
      bool whole = true;
      for (const BaseId& base : frame->bases) {
        ASSIGN_OR_RETURN(const bool marked, MarkBase(view, base));
        whole = whole && marked;
      }
      if (!whole) lacking.push_back(number);
    }
  }
  for (const uint32_t number : lacking) {
    ASSIGN_OR_RETURN(const bool needed, IsFrameMarked(pack, number));
    if (!needed) continue;
    return NotFound("a base of frame " + std::to_string(number) + " of pack " + pack.name.Hex() +
                    " is in no plain frame of this repository");
  }
  return OkStatus();
}

StatusOr<bool> BaseMarker::MarkBase(MarkView& view, const BaseId& base) {
  MarkedPack* best = nullptr;
  uint32_t ordinal = 0;
  const auto rank = [](const MarkedPack& pack) {
    return std::tuple(pack.avoided, pack.state, pack.number);
  };
  ASSIGN_OR_RETURN(const std::vector<PlacedBlob> places, view.reader->FindBase(base));
  for (const auto& [ref, place] : places) {
    ASSIGN_OR_RETURN(MarkedPack* const pack, FindPack(table_, view, place));
    if (best != nullptr && rank(*best) <= rank(*pack)) continue;
    ASSIGN_OR_RETURN(const bool is_delta, IsInDelta(view, *pack, place));
    if (is_delta) continue;
    best = pack;
    ordinal = place.ordinal;
  }
  if (best != nullptr) best->Mark(ordinal);
  return best != nullptr;
}

StatusOr<bool> BaseMarker::IsFrameMarked(const MarkedPack& pack, uint32_t frame) {
  PackInfo info;
  {
    ASSIGN_OR_RETURN(const auto reader, table_.index.Read());
    ASSIGN_OR_RETURN(const std::optional<IndexPack> known, reader->FindPackByName(pack.name));
    if (!known) return false;
    info = known->info;
  }
  Repository& repository = table_.repository;
  ASSIGN_OR_RETURN(const PackFooter footer,
                   ReadPackFooter(repository.store(), repository.keys(), info));
  for (uint32_t ordinal = 0; ordinal < footer.blobs.size(); ++ordinal) {
    if (footer.blobs[ordinal].frame == frame && pack.IsMarked(ordinal)) return true;
  }
  return false;
}

}  // namespace

Status MarkBasesIn(MarkTable& table, const std::vector<PackName>& packs, const StopFlag* stop) {
  return BaseMarker(table, stop).Run(packs);
}

}  // namespace cairn
