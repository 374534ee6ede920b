// SPDX-License-Identifier: Apache-2.0
// The journal: the one order of all that happens to a repository. Record n+1 is named by its number
// and the hash of record n, so it has one possible place, and who places it there first has
// committed. Everything else of cairn's safety follows from this (docs/design.md, "Journal").
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/store/journal_state.h"
#include "core/store/object_store.h"
#include "core/store/record.h"

namespace cairn {

// "journal/<20 decimal digits>-<16 hex digits>" of the record that follows `head`.
std::string RecordName(const JournalHead& head);

// Thread-safe: it holds no state but the store. Cost: NextRecord is one open while there is none.
class Journal {
 public:
  // `store` must outlive the journal.
  Journal(ObjectStore& store, RepositoryKeys keys);

  // The record after `head`, or nothing if `head` is the newest that stands singly. Where the
  // answer is nothing, a fold may still have passed it: see NewestFold.
  StatusOr<std::optional<Record>> NextRecord(const JournalHead& head);

  // Number of the newest fold, 0 if there is none. To be asked after NextRecord, never before: a
  // fold made in between would hide the records that it holds.
  StatusOr<uint64_t> NewestFold();
  // The state that the fold of `number` holds. NOT_FOUND if it has gone meanwhile.
  StatusOr<JournalState> ReadFold(uint64_t number, std::string* damage);

  // The state at the head: the newest fold and every record after it. Looks for a successor before
  // it looks at folds, and again after, so that a fold made meanwhile hides nothing. DATA_LOSS if a
  // record is missing before one that is there.
  StatusOr<JournalState> ReadState();
  // Brings `state` to the head. If a fold has passed it, the state is read anew. After an error the
  // state is that of some record.
  Status CatchUp(JournalState& state);

  // Places the record that follows `head`. ABORTED if another record stands there already, or a
  // fold has passed the number: catch up, check again, try again. OK only when the record and its
  // name are durable. After any other error the record may stand there or not; the caller must
  // not acknowledge, and may learn the truth by reading (the nonce tells one's own record).
  StatusOr<Record> Append(const JournalHead& head, const RecordEntries& entries);

  struct FoldPolicy {
    uint64_t min_records = 1024;  // fold only when more stand singly,
    uint64_t ratio = 10;          // and they are more than 1/ratio of the last fold's,
    uint64_t keep_single = 256;   // and leave the newest of them alone
  };
  // Makes a fold if the policy says so, durably, and then removes older folds and the records that
  // it covers. Safe at any time beside any other process. `state` may be older than the head.
  Status FoldIfDue(const JournalState& state, const FoldPolicy& policy);
  Status FoldIfDue(const JournalState& state) { return FoldIfDue(state, FoldPolicy{}); }

  // For check: every record that stands singly and every fold, as (name, damage or error), sound
  // ones too; and as "journal" whether they follow each other.
  struct Finding {
    std::string name;
    Status status;
    std::string damage;
  };
  StatusOr<std::vector<Finding>> Verify();

  // What can be had of a journal that ReadState fails on: for looking at it, and for reading beside
  // the damage. Nobody appends to it. UNIMPLEMENTED if something is of a newer version.
  struct Remains {
    JournalState sound;          // after the last record that can be reached in order
    std::vector<Record> beyond;  // sound in themselves, ascending; something before them is lost
    uint64_t last_number = 0;    // of all that are there, readable or not
  };
  StatusOr<Remains> ReadRemains();

 private:
  // The newest fold, if its number is not below `number`.
  StatusOr<std::optional<JournalState>> FoldReaching(uint64_t number);
  // The state after record `number`, from the fold of number `fold` (0: from the beginning) on.
  // Nothing if another process has made a newer fold meanwhile.
  StatusOr<std::optional<JournalState>> StateAt(uint64_t number, uint64_t fold);
  // ABORTED, and the record removed, if a fold holds another record of its number.
  Status WithdrawIfFolded(const Record& record, const std::string& name);

  ObjectStore& store_;
  const RepositoryKeys keys_;
};

}  // namespace cairn
