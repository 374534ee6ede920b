// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_order.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <tuple>

#include "core/repo/place_finder.h"

namespace cairn {

StatusOr<const IndexPack*> ReadOrder::FindPack(IndexReader& reader, PackNumber number) {
  const auto [it, added] = packs_.try_emplace(number);
  if (added) {
    ASSIGN_OR_RETURN(std::optional<IndexPack> pack, reader.FindPack(number));
    if (!pack) return DataLoss("index: a place without its pack");
    it->second = *std::move(pack);
  }
  return &it->second;
}

StatusOr<uint32_t> ReadOrder::FindFrame(IndexReader& reader, const Address& address) {
  const auto known = numbers_.find(address);
  if (known != numbers_.end()) return known->second;
  ASSIGN_OR_RETURN(const IndexPack* const pack, FindPack(reader, address.first));
  ASSIGN_OR_RETURN(std::optional<FrameInfo> info, reader.FindFrame(address.first, address.second));
  if (!info) return DataLoss("index: a place without its frame");
  const auto number = static_cast<uint32_t>(frames_.size());
  frames_.push_back({pack->info.name, address.second, *std::move(info)});
  addresses_.push_back(address);
  numbers_[address] = number;
  return number;
}

StatusOr<ReadOrder::Spot> ReadOrder::Find(IndexReader& reader, const BlobRef& ref, uint64_t bytes) {
  ASSIGN_OR_RETURN(const PlaceList places, reader.FindBlob(ref));
  const Place* best = nullptr;
  PackState best_state = PackState::kPurged;
  for (const Place& place : places) {
    if (place.bytes != bytes) continue;
    ASSIGN_OR_RETURN(const IndexPack* const pack, FindPack(reader, place.pack));
    if (best != nullptr && pack->state >= best_state) continue;
    best = &place;
    best_state = pack->state;
  }
  Spot spot;
  if (best == nullptr) return spot;
  ASSIGN_OR_RETURN(spot.frame, FindFrame(reader, {best->pack, best->frame}));
  spot.offset = best->offset;
  return spot;
}

Status ReadOrder::Arrange(IndexReader& reader) {
  leaders_ = addresses_;
  PlaceFinder finder(reader);
  for (size_t i = 0; i < frames_.size(); ++i) {
    const std::vector<BaseId>& bases = frames_[i].info.bases;
    if (bases.empty()) continue;
    ASSIGN_OR_RETURN(const std::vector<FramedPlace> places, finder.FindBase(bases.front()));
    if (!places.empty()) leaders_[i] = {places.front().place.pack, places.front().place.frame};
  }
  std::vector<uint32_t> order(frames_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](uint32_t i) {
    return std::tuple(leaders_[i], leaders_[i] != addresses_[i], addresses_[i]);
  });
  ranks_.resize(frames_.size());
  for (uint32_t rank = 0; rank < order.size(); ++rank) ranks_[order[rank]] = rank;
  return OkStatus();
}

}  // namespace cairn
