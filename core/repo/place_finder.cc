// SPDX-License-Identifier: Apache-2.0
#include "core/repo/place_finder.h"

#include <algorithm>
#include <optional>

namespace cairn {
namespace {

void LiveFirst(std::vector<FramedPlace>& places) {
  std::ranges::stable_sort(places, {}, [](const FramedPlace& each) { return each.pack.state; });
}

}  // namespace

StatusOr<FramedPlace> PlaceFinder::Complete(const BlobRef& ref, const Place& place) {
  auto pack = packs_.find(place.pack);
  if (pack == packs_.end()) {
    ASSIGN_OR_RETURN(const std::optional<IndexPack> row, reader_.FindPack(place.pack));
    if (!row) return DataLoss("index: a place without its pack");
    pack = packs_.emplace(place.pack, *row).first;
  }
  auto frame = frames_.find({place.pack, place.frame});
  if (frame == frames_.end()) {
    ASSIGN_OR_RETURN(std::optional<FrameInfo> row, reader_.FindFrame(place.pack, place.frame));
    if (!row) return DataLoss("index: a place without its frame");
    frame = frames_.emplace(std::pair(place.pack, place.frame), *std::move(row)).first;
  }
  return FramedPlace{ref, place, pack->second, frame->second};
}

StatusOr<std::vector<FramedPlace>> PlaceFinder::Find(const BlobRef& ref) {
  ASSIGN_OR_RETURN(const PlaceList places, reader_.FindBlob(ref));
  std::vector<FramedPlace> found;
  for (const Place& place : places) {
    ASSIGN_OR_RETURN(found.emplace_back(), Complete(ref, place));
  }
  LiveFirst(found);
  return found;
}

StatusOr<std::vector<FramedPlace>> PlaceFinder::FindBase(const BaseId& base) {
  ASSIGN_OR_RETURN(const std::vector<PlacedBlob> places, reader_.FindBase(base));
  std::vector<FramedPlace> found;
  for (const auto& [ref, place] : places) {
    ASSIGN_OR_RETURN(FramedPlace framed, Complete(ref, place));
    if (framed.is_plain()) found.push_back(std::move(framed));
  }
  LiveFirst(found);
  return found;
}

}  // namespace cairn
