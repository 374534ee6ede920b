// SPDX-License-Identifier: Apache-2.0
// What a repository is after a record: the sum of all records up to it.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/pack.h"
#include "core/store/record.h"

namespace cairn {

// The end of the journal as somebody has seen it. Number 0 with a hash of zeros: before record 1.
struct JournalHead {
  uint64_t number = 0;
  RecordHash hash;
  friend bool operator==(const JournalHead&, const JournalHead&) = default;
};

// The first 8 bytes of a record's hash: what its successor is named by, and what a fold keeps of
// it.
using RecordShortHash = std::array<uint8_t, 8>;
RecordShortHash ShortHash(const RecordHash& hash);

struct PackEntry {
  PackInfo info;
  PackState state = PackState::kLive;
  uint64_t named_at = 0;  // record that named it
  uint64_t since = 0;     // record that put it into `state`
  friend bool operator==(const PackEntry&, const PackEntry&) = default;
};

struct SnapshotRecord {
  SnapshotEntry snapshot;
  uint64_t record = 0;  // that made it
  bool held = false;
  std::optional<std::vector<std::string>> tags;  // if set, instead of the object's own
  friend bool operator==(const SnapshotRecord&, const SnapshotRecord&) = default;
};

// Thread-compatible. Memory: proportional to packs and live snapshots.
class JournalState {
 public:
  // Applies record head().number + 1, the whole of it or, after an error, nothing. Entries that
  // make no sense (a pack condemned that is not there, a purged one rescued) are DATA_LOSS: no
  // correct writer makes them. Forgetting, holding or tagging a snapshot that is gone already is
  // not an error and does nothing. INTERNAL if the record is not the next one.
  Status Apply(const Record& record);

  // For a journal that lost records before this one: what of it makes sense takes effect, the rest
  // is left out, and the head moves to it; short_hashes() stays that of the records before the
  // loss. What becomes of it is for reading only.
  void ApplyBeyondLoss(const Record& record);

  // Whether Apply would take a record of these entries: what a writer asks before it places one,
  // for a record that makes no sense would stop everybody.
  Status CheckEntries(const RecordEntries& entries) const;

  const JournalHead& head() const { return head_; }
  const std::map<PackName, PackEntry>& packs() const { return packs_; }
  // Live snapshots, by id.
  const std::map<SnapshotId, SnapshotRecord>& snapshots() const { return snapshots_; }
  // Ended sessions that still have packs which are not swept, and those ended since the last fold.
  // So what is not here may have been ended before a fold: a writer whose head a fold has passed
  // did not see all records since its start, and counts as ended.
  const std::set<SessionId>& ended() const { return ended_; }
  // Of every record, from record 1.
  const std::vector<RecordShortHash>& short_hashes() const { return short_hashes_; }

  const PackEntry* FindPack(const PackName& name) const;
  bool IsEnded(const SessionId& session) const { return ended_.contains(session); }

  friend bool operator==(const JournalState&, const JournalState&) = default;

 private:
  friend Bytes EncodeFold(const JournalState& state);
  friend StatusOr<JournalState> DecodeFold(const RepositoryKeys& keys, ByteSpan payload,
                                           const JournalHead& head);

  // REQUIRES: CheckEntries takes them.
  void TakeEffect(const RecordEntries& entries, uint64_t number);

  JournalHead head_;
  std::map<PackName, PackEntry> packs_;
  std::map<SnapshotId, SnapshotRecord> snapshots_;
  std::set<SessionId> ended_;
  std::vector<RecordShortHash> short_hashes_;
};

// Payload of a fold (docs/format.md, "Folds"). Ended sessions are kept only while a pack of theirs
// stands in the state. DATA_LOSS if anything in it is wrong; `head` is what the fold is named by.
Bytes EncodeFold(const JournalState& state);
StatusOr<JournalState> DecodeFold(const RepositoryKeys& keys, ByteSpan payload,
                                  const JournalHead& head);
// The feature flags that a fold of it has.
uint32_t FeaturesOf(const JournalState& state);

}  // namespace cairn
