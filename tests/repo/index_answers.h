// SPDX-License-Identifier: Apache-2.0
// All that an index answers, to compare one with another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/index/index.h"

namespace cairn::testing {

// Packs by name: their numbers are the index's own.
struct Answers {
  IndexHead head;
  std::map<PackName, std::tuple<PackInfo, PackState, std::vector<FrameInfo>>> packs;
  std::set<std::tuple<BlobKind, BlobId, PackName, uint32_t, uint32_t, uint32_t, uint32_t>> places;
  std::map<SnapshotId, IndexSnapshot> snapshots;
  friend bool operator==(const Answers&, const Answers&) = default;
};

inline StatusOr<Answers> AnswersOf(Index& index) {
  Answers answers;
  ASSIGN_OR_RETURN(const auto reader, index.Read());
  ASSIGN_OR_RETURN(answers.head, reader->Head());
  std::vector<IndexPack> packs;
  RETURN_IF_ERROR(reader->ForEachPack([&](const IndexPack& pack) {
    packs.push_back(pack);
    return true;
  }));
  std::map<PackNumber, PackName> names;
  for (const IndexPack& pack : packs) {
    names[pack.number] = pack.info.name;
    std::vector<FrameInfo> frames;
    for (uint32_t i = 0; i < pack.frames; ++i) {
      ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame, reader->FindFrame(pack.number, i));
      if (!frame) return DataLoss("a frame is missing");
      frames.push_back(*frame);
    }
    answers.packs[pack.info.name] = {pack.info, pack.state, std::move(frames)};
  }
  std::vector<std::pair<BlobRef, Place>> places;
  RETURN_IF_ERROR(reader->ForEachBlob([&](const BlobRef& ref, const Place& place) {
    places.emplace_back(ref, place);
    return true;
  }));
  for (const auto& [ref, place] : places) {
    answers.places.insert({ref.kind, ref.id, names.at(place.pack), place.ordinal, place.frame,
                           place.offset, place.bytes});
    ASSIGN_OR_RETURN(const PlaceList found, reader->FindBlob(ref));
    if (std::ranges::find(found, place) == found.end()) return DataLoss("a blob is not found");
  }
  RETURN_IF_ERROR(reader->ForEachSnapshot([&](const IndexSnapshot& snapshot) {
    answers.snapshots[snapshot.id] = snapshot;
    return true;
  }));
  size_t by_time = 0;
  RETURN_IF_ERROR(reader->ForEachSnapshotBefore(kEndOfTime, [&](const IndexSnapshot&) {
    ++by_time;
    return true;
  }));
  if (by_time != answers.snapshots.size()) return DataLoss("a snapshot is not found by its time");
  return answers;
}

}  // namespace cairn::testing
