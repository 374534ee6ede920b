// SPDX-License-Identifier: Apache-2.0
// Brings an index up to the journal: by the records that it lacks, by the difference to a fold, or
// from nothing. docs/design.md, "Index".
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "core/base/status.h"
#include "core/index/index.h"
#include "core/store/config.h"
#include "core/store/journal.h"
#include "core/store/journal_state.h"
#include "core/store/object_store.h"
#include "core/store/pack.h"

namespace cairn {

class IndexSync {
 public:
  using KnownFooters = std::map<PackName, PackFooter>;

  // All must outlive it; `known` may be null.
  IndexSync(Index& index, Journal& journal, ObjectStore& store, const RepositoryId& repository,
            const KnownFooters* known)
      : index_(index), journal_(journal), store_(store), repository_(repository), known_(known) {}

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

  StatusOr<bool> StillStands(const JournalHead& head);
  // These return whether it was done; if not, another process has changed the index meanwhile.
  StatusOr<bool> ApplyRecord(const Record& record);
  StatusOr<bool> ApplyState(const JournalState& state);
  // In transactions of bounded size; `finish` adds the rest in the last of them.
  StatusOr<bool> AddPacks(const std::vector<PackEntry>& packs, const Basis& basis,
                          const std::function<Status(IndexWriter&)>& finish);

  Status AddRecord(const Record& record, const std::vector<IndexSnapshot>& changed,
                   IndexWriter& writer);
  StatusOr<std::vector<IndexSnapshot>> ChangedSnapshots(const RecordEntries& entries);
  StatusOr<RecordHash> PredecessorOf(const JournalHead& head);
  StatusOr<PackFooter> Footer(const PackInfo& info);

  Index& index_;
  Journal& journal_;
  ObjectStore& store_;
  const RepositoryId repository_;
  const KnownFooters* known_;
};

}  // namespace cairn
