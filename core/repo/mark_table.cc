// SPDX-License-Identifier: Apache-2.0
#include "core/repo/mark_table.h"

#include <optional>
#include <utility>

namespace cairn {

MarkedPack* MarkTable::FindByName(const PackName& name) const {
  if (const auto found = by_name.find(name); found != by_name.end()) return found->second;
  MutexLock lock(late_mutex);
  const auto late = late_packs.find(name);
  return late == late_packs.end() ? nullptr : late->second.get();
}

std::vector<MarkedPack*> MarkTable::AllPacks() const {
  std::vector<MarkedPack*> all;
  for (const auto& pack : packs) all.push_back(pack.get());
  MutexLock lock(late_mutex);
  for (const auto& [name, pack] : late_packs) all.push_back(pack.get());
  return all;
}

StatusOr<MarkedPack*> MarkTable::FindPack(IndexReader& reader, PackNumber number) {
  ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader.FindPack(number));
  if (!pack) return nullptr;
  // By name, as another process may have built the index anew, with other numbers.
  if (MarkedPack* const known = FindByName(pack->info.name)) {
    if (known->blobs != pack->blobs) {
      return DataLoss("index: pack " + pack->info.name.Hex() + " has another number of blobs");
    }
    return known;
  }
  MutexLock lock(late_mutex);
  std::unique_ptr<MarkedPack>& late = late_packs[pack->info.name];
  if (late == nullptr) {
    late = std::make_unique<MarkedPack>(*pack, avoid.contains(pack->info.name));
  }
  return late.get();
}

StatusOr<MarkedPack*> FindPack(MarkTable& table, MarkView& view, const Place& place) {
  auto found = view.packs.find(place.pack);
  if (found == view.packs.end()) {
    ASSIGN_OR_RETURN(MarkedPack* const pack, table.FindPack(*view.reader, place.pack));
    found = view.packs.emplace(place.pack, pack).first;
  }
  if (found->second == nullptr || place.ordinal >= found->second->blobs) {
    return DataLoss("index: a blob's place is in no pack");
  }
  return found->second;
}

StatusOr<bool> IsInDelta(MarkView& view, const MarkedPack& pack, const Place& place) {
  if (!pack.has_deltas) return false;
  const std::pair key(place.pack, place.frame);
  if (const auto known = view.deltas.find(key); known != view.deltas.end()) return known->second;
  ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame,
                   view.reader->FindFrame(place.pack, place.frame));
  if (!frame) return DataLoss("index: a place without its frame");
  return view.deltas[key] = !frame->bases.empty();
}

}  // namespace cairn
