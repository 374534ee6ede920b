// SPDX-License-Identifier: Apache-2.0
// What is known of a repository whose configuration or journal is damaged in both copies: enough to
// look at it, and to read what is left. Nothing is ever written on these grounds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/index/index.h"
#include "core/store/journal.h"
#include "core/store/journal_state.h"
#include "core/store/object_store.h"

namespace cairn {

struct Salvage {
  // The records up to the loss; then, in place of what is lost, the packs that stand in the store
  // and that no readable record names, and what the index remembers; then the records after it, as
  // far as they make sense. What is found so can be trusted: blobs and snapshots are read by their
  // hashes. What cannot be known is what was forgotten, held or tagged by a lost record.
  JournalState state;
  uint64_t sound_to = 0;         // the last record that can be reached in order
  uint64_t last_number = 0;      // the newest one that is there, readable or not
  uint64_t lost_records = 0;     // of those between
  uint64_t found_packs = 0;      // that no readable record names
  uint64_t found_snapshots = 0;  // that only the index remembers

  // For people: what is known, up to where, and what to do.
  std::string Describe() const;
};

// `index` is what a process remembers of an earlier head; it is read, and may be null. Errors are
// those of I/O, and UNIMPLEMENTED for what a newer version wrote.
StatusOr<Salvage> SalvageJournal(Journal& journal, ObjectStore& store, const RepositoryKeys& keys,
                                 Index* index);

// Whose repository this is, by its records and folds, or else its packs: `expected` if any of them
// says so, else the id that most of them bear. NOT_FOUND if there is none that can be read. Reads
// the whole journal.
StatusOr<RepositoryId> FindRepositoryId(ObjectStore& store, const RepositoryKeys& keys,
                                        const std::optional<RepositoryId>& expected);

}  // namespace cairn
