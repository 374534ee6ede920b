// SPDX-License-Identifier: Apache-2.0
// Which blobs of which packs are marked: what the parts of a mark share.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/index/index.h"
#include "core/repo/repository.h"

namespace cairn {

// Which of a pack's blobs are marked. Mark and IsMarked are thread-safe.
struct MarkedPack {
  static constexpr uint32_t kWordBits = 64;

  MarkedPack(const IndexPack& pack, bool is_avoided)
      : avoided(is_avoided),
        name(pack.info.name),
        number(pack.number),
        state(pack.state),
        has_deltas((pack.info.content & kPackHasDeltas) != 0),
        blobs(pack.blobs),
        words((pack.blobs + kWordBits - 1) / kWordBits),
        bits(std::make_unique<std::atomic<uint64_t>[]>(words)) {}

  // False if it was marked before.
  bool Mark(uint32_t ordinal) {
    const uint64_t bit = uint64_t{1} << (ordinal % kWordBits);
    const uint64_t before = bits[ordinal / kWordBits].fetch_or(bit, std::memory_order_relaxed);
    if ((before & bit) != 0) return false;
    marked.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  bool IsMarked(uint32_t ordinal) const {
    if (ordinal >= blobs) return false;
    const uint64_t word = bits[ordinal / kWordBits].load(std::memory_order_relaxed);
    return (word >> (ordinal % kWordBits) & 1) != 0;
  }

  const bool avoided;
  const PackName name;
  const PackNumber number;
  const PackState state;
  const bool has_deltas;
  const uint32_t blobs;
  const uint32_t words;
  const std::unique_ptr<std::atomic<uint64_t>[]> bits;
  std::atomic<uint32_t> marked{0};
  // MarkBases alone minds these two: whether those of the frames in it are marked, and the raw
  // bytes of those that only its dead delta frames are based on.
  bool bases_marked = false;
  uint64_t pinned_bytes = 0;
  // Nodes that are marked and still to be read, as there were too many at a time. Null if none.
  // Marker's, under its mutex.
  std::unique_ptr<uint64_t[]> waiting;
};

// The packs of the index, and those that it got since.
struct MarkTable {
  MarkTable(Repository& r, const std::set<PackName>& avoid_packs)
      : repository(r), index(r.index()), avoid(avoid_packs) {}

  // The pack of this number, as the index knows it now; null if it knows none.
  StatusOr<MarkedPack*> FindPack(IndexReader& reader, PackNumber number);
  MarkedPack* FindByName(const PackName& name) const;
  std::vector<MarkedPack*> AllPacks() const;

  Repository& repository;
  // The repository may take another one, whose numbers mean other packs; this one stays.
  Index& index;
  const std::set<PackName> avoid;
  // Constant after Create.
  std::vector<std::unique_ptr<MarkedPack>> packs;
  absl::flat_hash_map<PackName, MarkedPack*> by_name;
  absl::flat_hash_map<PackNumber, MarkedPack*> by_number;

  mutable Mutex late_mutex;
  absl::flat_hash_map<PackName, std::unique_ptr<MarkedPack>> late_packs ABSL_GUARDED_BY(late_mutex);
};

// One view of the index, and what was looked up in it.
struct MarkView {
  std::unique_ptr<IndexReader> reader;
  absl::flat_hash_map<PackNumber, MarkedPack*> packs;
  // Whether frames are deltas, by pack and number.
  absl::flat_hash_map<std::pair<PackNumber, uint32_t>, bool> deltas;
};

// The pack of a place; never null.
StatusOr<MarkedPack*> FindPack(MarkTable& table, MarkView& view, const Place& place);
StatusOr<bool> IsInDelta(MarkView& view, const MarkedPack& pack, const Place& place);

}  // namespace cairn
