// SPDX-License-Identifier: Apache-2.0
#include "core/repo/prune_plan.h"

#include <algorithm>
#include <bit>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "core/repo/pack_assembler.h"
#include "core/repo/prune_rewrite.h"

namespace cairn {
namespace {

// Fewer do no harm, and to merge them costs reading and writing them, by every prune a few more.
constexpr size_t kManySmallPacks = 16;
// A guess of how well blobs compress in plain frames.
constexpr uint64_t kPlainRatio = 3;
// As PackAssembler does: so much goes into one mixed pack.
constexpr uint64_t kMixedPackBytes = 1 * kMiB;

// Stored bytes of all frames of a pack; nothing if the index does not know it.
StatusOr<uint64_t> StoredBytes(IndexReader& reader, const PackName& name) {
  ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader.FindPackByName(name));
  if (!pack || pack->frames == 0) return 0;
  ASSIGN_OR_RETURN(const std::optional<FrameInfo> last,
                   reader.FindFrame(pack->number, pack->frames - 1));
  if (!last) return DataLoss("index: pack " + name.Hex() + " lacks its last frame");
  return last->offset + last->stored_bytes - kPackHeaderBytes;
}

void MeasureByFooter(const PackFooter& footer, const ReachableBlobs& reachable, PackUse& use) {
  use.stored_bytes = 0;
  std::vector<uint64_t> live_raw(footer.frames.size());
  for (uint32_t i = 0; i < footer.blobs.size(); ++i) {
    const BlobInfo& blob = footer.blobs[i];
    // A blob of no bytes keeps its frame as well.
    if (reachable.IsMarked(use.info.name, i)) {
      live_raw[blob.frame] += std::max<uint32_t>(blob.bytes, 1);
    }
  }
  for (size_t i = 0; i < footer.frames.size(); ++i) {
    const FrameInfo& frame = footer.frames[i];
    const bool is_delta = !frame.bases.empty();
    use.stored_bytes += frame.stored_bytes;
    if (live_raw[i] == 0) continue;
    use.live_bytes += frame.stored_bytes;
    const uint64_t raw = std::max<uint64_t>(frame.raw_bytes, 1);
    const uint64_t live = std::min(live_raw[i], raw);
    use.rewritten_bytes += is_delta && !StaysDelta(live, frame.raw_bytes)
                               ? live / kPlainRatio
                               : frame.stored_bytes * live / raw;
  }
}

// Of a pack some of which is wasted.
double WastedShare(const PackUse& pack) {
  return static_cast<double>(pack.wasted_bytes()) /
         static_cast<double>(pack.stored_bytes + pack.pinned_bytes);
}

bool HasLargerWastedShare(const PackUse& a, const PackUse& b) {
  const double share_a = WastedShare(a);
  const double share_b = WastedShare(b);
  return std::tuple(share_b, b.wasted_bytes(), a.info.name) <
         std::tuple(share_a, a.wasted_bytes(), b.info.name);
}

// Decides on packs one by one, within the limit on what is rewritten.
class Chooser {
 public:
  Chooser(const std::vector<PackUse>& packs, const PruneOptions& options)
      : packs_(packs), options_(options), chosen_(packs.size(), false) {}

  PrunePlan Run(uint64_t pack_target_bytes) {
    for (size_t i = 0; i < packs_.size(); ++i) {
      const PackUse& pack = packs_[i];
      plan_.used_bytes += pack.live_bytes;
      plan_.unused_bytes += pack.unused_bytes();
      if (pack.left_alone) continue;
      if (pack.live_bytes == 0) {
        plan_.drop.push_back(pack);
      } else {
        kept_.push_back(i);
      }
    }
    ChooseWorst();
    ChooseSmall(pack_target_bytes);
    for (const size_t i : kept_) {
      if (chosen_[i]) plan_.rewrite.push_back(packs_[i]);
    }
    return std::move(plan_);
  }

 private:
  bool Choose(size_t i) {
    const uint64_t bytes = packs_[i].info.bytes;
    if (options_.max_repack_bytes && bytes > *options_.max_repack_bytes - chosen_bytes_) {
      return false;
    }
    chosen_bytes_ += bytes;
    chosen_[i] = true;
    return true;
  }

  bool IsWithinLimit(uint64_t wasted, uint64_t all) const {
    if (options_.max_unused_bytes) return wasted <= *options_.max_unused_bytes;
    return static_cast<double>(wasted) <= options_.max_unused_share * static_cast<double>(all);
  }

  void ChooseWorst() {
    std::vector<size_t> order;
    uint64_t all = plan_.used_bytes;
    uint64_t wasted = 0;
    for (const size_t i : kept_) {
      all += packs_[i].unused_bytes();
      wasted += packs_[i].wasted_bytes();
      if (packs_[i].wasted_bytes() > 0) order.push_back(i);
    }
    std::ranges::sort(
        order, [&](size_t a, size_t b) { return HasLargerWastedShare(packs_[a], packs_[b]); });
    for (const size_t i : order) {
      if (IsWithinLimit(wasted, all)) return;
      if (Choose(i)) wasted -= packs_[i].wasted_bytes();
    }
  }

  void ChooseSmall(uint64_t target_bytes) {
    std::vector<size_t> small;
    uint64_t bytes = 0;
    uint64_t blobs = 0;
    uint8_t content = 0;
    for (const size_t i : kept_) {
      if (chosen_[i] || packs_[i].info.bytes >= target_bytes / 4) continue;
      if (packs_[i].blobs >= PackAssembler::kMaxPackBlobs / 4) continue;
      small.push_back(i);
      blobs += packs_[i].blobs;
      bytes += packs_[i].info.bytes;
      content |= packs_[i].info.content;
    }
    if (small.size() < kManySmallPacks && bytes < target_bytes) return;
    // Chunks, deltas and nodes come out in packs of their own, which may be small again: without a
    // gain the same packs would be merged by every prune.
    const int sorts = std::popcount(
        static_cast<uint8_t>(content & (kPackHasChunks | kPackHasNodes | kPackHasDeltas)));
    const uint64_t result = bytes / std::max<uint64_t>(target_bytes, 1) +
                            blobs / PackAssembler::kMaxPackBlobs +
                            (bytes >= kMixedPackBytes ? static_cast<uint64_t>(sorts) : 1);
    if (small.size() < 2 * result) return;
    for (const size_t i : small) Choose(i);
  }

  const std::vector<PackUse>& packs_;
  const PruneOptions& options_;
  std::vector<bool> chosen_;
  std::vector<size_t> kept_;  // those that hold something live
  uint64_t chosen_bytes_ = 0;
  PrunePlan plan_;
};

}  // namespace

StatusOr<std::vector<PackUse>> MeasurePacks(Repository& repository, const JournalState& state,
                                            const ReachableBlobs& reachable,
                                            const std::set<SessionId>& alive,
                                            const StopFlag* stop) {
  std::map<PackName, ReachableBlobs::PackMarks> marks;
  for (const auto& pack : reachable.MarkedPacks()) marks[pack.name] = pack;

  std::vector<PackUse> packs;
  std::vector<size_t> partly;
  {
    ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
    for (const auto& [name, entry] : state.packs()) {
      if (entry.state != PackState::kLive) continue;
      PackUse use{.info = entry.info, .named_at = entry.named_at};
      ASSIGN_OR_RETURN(use.stored_bytes, StoredBytes(*reader, name));
      use.left_alone = alive.contains(entry.info.session);
      const auto found = marks.find(name);
      if (found != marks.end()) {
        use.blobs = found->second.blobs;
        use.pinned_bytes = found->second.pinned_bytes / kPlainRatio;
      }
      if (use.left_alone || (found != marks.end() && found->second.marked == found->second.blobs)) {
        use.live_bytes = use.rewritten_bytes = use.stored_bytes;
      } else if (found != marks.end()) {
        partly.push_back(packs.size());
      }
      packs.push_back(std::move(use));
    }
  }
  for (const size_t i : partly) {
    RETURN_IF_ERROR(CheckStop(stop));
    PackUse& use = packs[i];
    const StatusOr<PackFooter> footer =
        ReadPackFooter(repository.store(), repository.keys(), use.info);
    if (footer.ok()) {
      MeasureByFooter(*footer, reachable, use);
    } else if (IsDamage(footer.status())) {
      use.left_alone = true;
      use.live_bytes = use.rewritten_bytes = use.stored_bytes;
      if (repository.options().warn) {
        repository.options().warn("a damaged pack is left as it is: " +
                                  std::string(Message(footer.status())));
      }
    } else {
      return footer.status();
    }
  }
  std::ranges::sort(packs, {},
                    [](const PackUse& use) { return std::tuple(use.named_at, use.info.name); });
  return packs;
}

PrunePlan ChoosePacks(const std::vector<PackUse>& packs, const PruneOptions& options,
                      uint64_t pack_target_bytes) {
  return Chooser(packs, options).Run(pack_target_bytes);
}

PrunePlan ReplacePacks(const std::vector<PackUse>& packs, const std::set<PackName>& replace) {
  PrunePlan plan;
  for (const PackUse& pack : packs) {
    plan.used_bytes += pack.live_bytes;
    plan.unused_bytes += pack.unused_bytes();
    if (pack.left_alone || !replace.contains(pack.info.name)) continue;
    (pack.live_bytes == 0 ? plan.drop : plan.rewrite).push_back(pack);
  }
  return plan;
}

}  // namespace cairn
