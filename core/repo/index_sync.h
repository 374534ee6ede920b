// SPDX-License-Identifier: Apache-2.0
// Brings an index up to the journal: by the records that it lacks, by the difference to a fold, or
// from nothing. docs/design.md, "Index".
#pragma once

#include <map>

#include "core/base/status.h"
#include "core/index/index.h"
#include "core/store/config.h"
#include "core/store/journal.h"
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

 private:
  StatusOr<bool> StillStands(const JournalHead& head);
  Status ApplyRecord(const Record& record);
  Status ApplyState(const JournalState& state);
  StatusOr<RecordHash> PredecessorOf(const JournalHead& head);
  StatusOr<PackFooter> Footer(const PackInfo& info);
  Status AddPacks(const std::vector<PackEntry>& packs);

  Index& index_;
  Journal& journal_;
  ObjectStore& store_;
  const RepositoryId repository_;
  const KnownFooters* known_;
};

}  // namespace cairn
