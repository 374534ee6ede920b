// SPDX-License-Identifier: Apache-2.0
// Placing records: the one step that makes things happen. The conditions of a commit are checked
// against the very head that the record is placed after; if another record came between, they are
// checked again.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/repo/repository.h"
#include "core/store/record.h"

namespace cairn {

// Appends what `prepare` gives for the state at the head; called again for every new head until the
// record is placed. Empty entries place nothing (and the head is returned). For what is decided by
// the whole state: forget, hold, tag, prune. `state` is brought up to date on the way.
StatusOr<JournalHead> CommitWithState(
    Journal& journal, JournalState& state,
    const std::function<StatusOr<RecordEntries>(const JournalState&)>& prepare);

// What a writer found in the repository and relies on.
struct WriterClaims {
  std::set<PackName> used_packs;  // in which blobs were found, and bases of deltas
  // The live snapshot from which subtrees were taken over unread, if any, and the new root: where
  // the base is lost, the whole new tree is looked up instead.
  std::optional<SnapshotId> base;
  std::optional<BlobRef> root;
};

// Follows the journal for one writer, from its start.
class WriterCommit {
 public:
  WriterCommit(Repository& repository, const SessionId& session, const JournalHead& start)
      : repository_(repository), session_(session), head_(start) {}

  // Places `entries` (packs, snapshot) with the rescues that the claims need. ABORTED "conflict:
  // ..." if the session was ended, a pack is purged or unknown, or what a lost base held is gone:
  // the caller makes the snapshot anew, with a new session, or fails. The names of all packs in
  // `entries` must be durable.
  StatusOr<JournalHead> Place(RecordEntries entries, WriterClaims claims,
                              const Repository::KnownFooters* footers);

  const JournalHead& head() const { return head_; }

 private:
  struct Verdict {
    std::set<PackName> rescue;
    bool base_lost = false;
  };

  Status Follow();
  // Nothing if the index has moved past head_ meanwhile.
  StatusOr<std::optional<Verdict>> CheckClaims(const WriterClaims& claims);
  static Status Rescue(IndexReader& reader, const IndexPack& pack, std::set<PackName>& rescue);
  StatusOr<JournalHead> Append(const RecordEntries& entries);

  Repository& repository_;
  const SessionId session_;
  JournalHead head_;
};

}  // namespace cairn
