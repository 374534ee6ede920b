// SPDX-License-Identifier: Apache-2.0
#include "core/repo/base_places.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace cairn {

StatusOr<std::vector<FramedPlace>> FindFramedPlaces(IndexReader& reader, const BlobRef& ref) {
  ASSIGN_OR_RETURN(const PlaceList places, reader.FindBlob(ref));
  std::vector<FramedPlace> found;
  for (const Place& place : places) {
    ASSIGN_OR_RETURN(std::optional<IndexPack> pack, reader.FindPack(place.pack));
    ASSIGN_OR_RETURN(std::optional<FrameInfo> frame, reader.FindFrame(place.pack, place.frame));
    if (!pack || !frame) return DataLoss("index: a place without its pack or frame");
    found.push_back({ref, place, *std::move(pack), *std::move(frame)});
  }
  std::ranges::stable_sort(found, {}, [](const FramedPlace& each) { return each.pack.state; });
  return found;
}

StatusOr<std::vector<FramedPlace>> FindBasePlaces(IndexReader& reader, const BaseId& base) {
  ASSIGN_OR_RETURN(const std::vector<BlobRef> refs, reader.FindBase(base));
  std::vector<FramedPlace> found;
  for (const BlobRef& ref : refs) {
    ASSIGN_OR_RETURN(std::vector<FramedPlace> places, FindFramedPlaces(reader, ref));
    std::ranges::copy_if(std::move(places), std::back_inserter(found), &FramedPlace::is_plain);
  }
  return found;
}

}  // namespace cairn
