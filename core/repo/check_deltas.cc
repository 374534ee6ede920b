// SPDX-License-Identifier: Apache-2.0
// The part of PackCheck that looks at delta frames: it comes once the index is known to be right,
// since that is what finds their bases.
#include <algorithm>
#include <memory>
#include <vector>

#include "core/base/worker_pool.h"
#include "core/repo/base_places.h"
#include "core/repo/check_packs.h"

namespace cairn {

Status PackCheck::CheckDeltas(Index& index) {
  RETURN_IF_ERROR(CheckBases(index));
  const auto threads = static_cast<size_t>(WorkerCount(options_.threads));
  std::vector<FrameCodecContext> codecs;
  std::vector<std::unique_ptr<CheckedBlobs>> blobs;
  for (size_t i = 0; i < threads; ++i) {
    codecs.emplace_back(/*compression_level=*/1);
    blobs.push_back(std::make_unique<CheckedBlobs>(index, repository_.store(), repository_.hasher(),
                                                   damage_, findings_));
  }
  WorkerPool pool(static_cast<int>(threads));
  for (const Pack& pack : packs_) {
    const PackInfo& info = pack.entry->info;
    if (!pack.read || (info.content & kPackHasDeltas) == 0) continue;
    pool.Submit([this, &info, &codecs, &blobs](int worker) {
      const auto i = static_cast<size_t>(worker);
      const StatusOr<PackFooter> footer =
          ReadPackFooter(repository_.store(), info, repository_.config().id);
      // Else it was found before.
      Status status =
          footer.ok() ? ReadFrames(info, *footer, codecs[i], blobs[i].get()) : OkStatus();
      MutexLock lock(failure_mutex_);
      if (failure_.ok()) failure_ = std::move(status);
    });
  }
  pool.Wait();
  MutexLock lock(failure_mutex_);
  return std::move(failure_);
}

// Every base has a place in a plain frame that is not known to be damaged; of a frame in a live
// pack, in a live pack.
Status PackCheck::CheckBases(Index& index) {
  std::vector<IndexPack> packs;
  {
    ASSIGN_OR_RETURN(const auto reader, index.Read());
    RETURN_IF_ERROR(reader->ForEachPack([&](const IndexPack& pack) {
      if ((pack.info.content & kPackHasDeltas) != 0 && pack.state != PackState::kPurged) {
        packs.push_back(pack);
      }
      return true;
    }));
  }
  for (const IndexPack& pack : packs) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    ASSIGN_OR_RETURN(const auto reader, index.Read());
    for (uint32_t number = 0; number < pack.frames; ++number) {
      ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame,
                       reader->FindFrame(pack.number, number));
      // Another process has taken the pack out of the index.
      if (!frame) break;
      for (const BaseId& base : frame->bases) {
        ASSIGN_OR_RETURN(const std::vector<FramedPlace> places, FindBasePlaces(*reader, base));
        const bool found = std::ranges::any_of(places, [&](const FramedPlace& at) {
          return at.pack.state <= pack.state && !damage_.HasPlace(at.pack.info.name, at.place);
        });
        if (found) continue;
        const size_t finding = findings_.Add(
            {FrameObject(pack.info.name, number),
             "its base " + HexEncode(base) +
                 (places.empty() ? " is in no plain frame" : " is damaged, or will be removed")});
        damage_.AddFrame(pack.info.name, number, finding);
        break;
      }
    }
  }
  return OkStatus();
}

}  // namespace cairn
