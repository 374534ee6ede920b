// SPDX-License-Identifier: Apache-2.0
// Brings an index up to the journal: by the records that it lacks, by the difference to a fold, or
// from nothing. docs/design.md, "Index".
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/index/index.h"
#include "core/repo/place_sorter.h"
#include "core/store/config.h"
#include "core/store/journal.h"
#include "core/store/journal_state.h"
#include "core/store/object_store.h"
#include "core/store/pack.h"

namespace cairn {

class IndexSync {
 public:
  using KnownFooters = std::map<PackName, PackFooter>;

  // What bounds the memory. Of the table of blobs, whose ids are random, each row that is added may
  // change a page of 4 KiB of its own, which is held until the commit.
  struct Limits {
    // More blobs than these are sorted first, and added in several transactions.
    size_t unsorted_blobs = 4096;
    // Rows in each of these at most.
    size_t rows_per_transaction = 65'536;
    size_t sort_memory_bytes = 8 * kMiB;
  };

  // All must outlive it; `known` may be null.
  IndexSync(Index& index, Journal& journal, ObjectStore& store, const RepositoryKeys& keys,
            const KnownFooters* known)
      : IndexSync(index, journal, store, keys, known, Limits()) {}
  IndexSync(Index& index, Journal& journal, ObjectStore& store, const RepositoryKeys& keys,
            const KnownFooters* known, const Limits& limits)
      : index_(index),
        journal_(journal),
        store_(store),
        keys_(keys),
        known_(known),
        limits_(limits) {}

  // Returns the head that the index mirrors now. O(1) if there is nothing new.
  StatusOr<JournalHead> Run();
  // Whatever the index says: from nothing.
  StatusOr<JournalHead> Rebuild();
  // Gives an empty index all that `state` has, and no head: for a journal that cannot be followed.
  Status Fill(const JournalState& state);

 private:
  // What a change of several transactions builds on. Another process may come between any two.
  struct Basis {
    IndexHead head;
    Bytes filling;  // random, set by whoever empties the index
    friend bool operator==(const Basis&, const Basis&) = default;
  };
  template <typename View>
  static StatusOr<Basis> BasisOf(View& view);
  // Null if another process has changed the index since.
  StatusOr<std::unique_ptr<IndexWriter>> WriteOn(const Basis& basis);

  // What a pack has; a view where it is known.
  class Footer {
   public:
    explicit Footer(const PackFooter* known) : known_(known) {}
    explicit Footer(PackFooter read) : read_(std::move(read)) {}
    const PackFooter& operator*() const { return known_ != nullptr ? *known_ : read_; }
    const PackFooter* operator->() const { return &**this; }
    // Frees the memory of its blobs, if it is its own.
    void ForgetBlobs() { read_.blobs = {}; }

   private:
    const PackFooter* known_ = nullptr;
    PackFooter read_;
  };
  StatusOr<Footer> ReadFooter(const PackInfo& info);

  // The index's head, and the hash of the record before it where that is noted.
  struct KnownHead {
    JournalHead head;
    std::optional<RecordHash> predecessor;
  };
  StatusOr<KnownHead> ReadHead();
  // Whether the head's own record is there, and the same. False says little: it may be folded.
  StatusOr<bool> StillStands(const KnownHead& known);
  // These return whether it was done; if not, another process has changed the index meanwhile.
  StatusOr<bool> ApplyRecord(const Record& record);
  StatusOr<bool> ApplyState(const JournalState& state);
  StatusOr<bool> RemovePacks(const std::vector<PackName>& names, const Basis& basis);
  // In transactions of bounded size; `finish` adds the rest in the last of them. What of it an
  // earlier call began with, in this process or another, is completed.
  using Finish = std::function<Status(IndexWriter&)>;
  StatusOr<bool> AddPacks(const std::vector<PackEntry>& packs, const Basis& basis,
                          const Finish& finish);
  // `footers` are those of the first packs.
  StatusOr<bool> AddManyPacks(const std::vector<PackEntry>& packs, std::vector<Footer> footers,
                              const Basis& basis, const Finish& finish);
  // Adds packs without places, which go to `places`, each with its pack's position in `packs`.
  // Gives the packs' numbers; none to those that are complete.
  using PackNumbers = std::vector<std::optional<PackNumber>>;
  StatusOr<bool> BeginPacks(const std::vector<PackEntry>& packs, std::vector<Footer> footers,
                            const Basis& basis, PlaceSorter& places, PackNumbers& numbers);
  StatusOr<bool> AddPlaces(PlaceSorter& places, const PackNumbers& numbers, const Basis& basis);

  Status AddRecord(const Record& record, const std::vector<IndexSnapshot>& changed,
                   IndexWriter& writer);
  StatusOr<std::vector<IndexSnapshot>> ChangedSnapshots(const RecordEntries& entries);
  StatusOr<RecordHash> PredecessorOf(const JournalHead& head);

  Index& index_;
  Journal& journal_;
  ObjectStore& store_;
  const RepositoryKeys keys_;
  const KnownFooters* known_;
  const Limits limits_;
};

}  // namespace cairn
