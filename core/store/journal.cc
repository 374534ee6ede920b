// SPDX-License-Identifier: Apache-2.0
#include "core/store/journal.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/random.h"
#include "core/store/journal_names.h"
#include "core/store/twin_file.h"

namespace cairn {
namespace {

// A fold that was listed is gone when a newer one has come, after hundreds of records: so often in
// a row only where a listing shows what is not there.
constexpr int kFoldAttempts = 10;

}  // namespace

Journal::Journal(ObjectStore& store, RepositoryKeys keys) : store_(store), keys_(std::move(keys)) {}

StatusOr<std::optional<Record>> Journal::NextRecord(const JournalHead& head) {
  const std::string name = RecordName(head);
  const StatusOr<Bytes> file = ReadTwinFile(store_, name, kMaxRecordFileBytes);
  if (absl::IsNotFound(file.status())) return std::optional<Record>();
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(Record record, DecodeRecord(keys_, *file, name));
  if (record.number != head.number + 1 || record.predecessor != head.hash) {
    return DataLoss(name + ": the record in it belongs to another place");
  }
  return std::optional<Record>(std::move(record));
}

StatusOr<uint64_t> Journal::NewestFold() {
  // A folder that changes while it is listed may show neither the fold that goes nor the one that
  // comes. No fold lasts so short that this happens twice in a row with equal results.
  ASSIGN_OR_RETURN(std::vector<uint64_t> folds, ListFolds(store_));
  for (;;) {
    ASSIGN_OR_RETURN(std::vector<uint64_t> again, ListFolds(store_));
    if (again == folds) break;
    folds = std::move(again);
  }
  return folds.empty() ? 0 : folds.back();
}

StatusOr<JournalState> Journal::ReadFold(uint64_t number, std::string* damage) {
  const std::string name = FoldName(number);
  ASSIGN_OR_RETURN(const Bytes file, ReadTwinFile(store_, name, kMaxFoldFileBytes));
  ASSIGN_OR_RETURN(DecodedTwin decoded, DecodeTwin(keys_, kFoldMagic, file, name));
  if (decoded.twin.repository != keys_.id()) {
    return DataLoss(name + " belongs to another repository");
  }
  if (decoded.twin.number != number) return DataLoss(name + ": the fold in it has another number");
  StatusOr<JournalState> state =
      DecodeFold(keys_, decoded.twin.payload, {.number = number, .hash = decoded.twin.predecessor});
  if (!state.ok()) return Annotate(state.status(), name);
  if (decoded.twin.features != FeaturesOf(*state)) {
    return DataLoss(name + ": its feature flags contradict its packs");
  }
  if (damage != nullptr) *damage = std::move(decoded.damage);
  return state;
}

StatusOr<std::optional<JournalState>> Journal::FoldReaching(uint64_t number) {
  for (int attempt = 1;; ++attempt) {
    ASSIGN_OR_RETURN(const uint64_t fold, NewestFold());
    if (fold == 0 || fold < number) return std::optional<JournalState>();
    StatusOr<JournalState> state = ReadFold(fold, nullptr);
    if (state.ok()) return std::optional<JournalState>(*std::move(state));
    if (!absl::IsNotFound(state.status()) || attempt == kFoldAttempts) return state.status();
  }
}

Status Journal::CatchUp(JournalState& state) {
  for (;;) {
    for (;;) {
      ASSIGN_OR_RETURN(const std::optional<Record> next, NextRecord(state.head()));
      if (!next) break;
      RETURN_IF_ERROR(state.Apply(*next));
    }
    // The successor may be absent because it was folded away: hence folds after successors, never
    // before, or a fold made in between would hide what it holds.
    ASSIGN_OR_RETURN(std::optional<JournalState> fold, FoldReaching(state.head().number));
    if (!fold || fold->head() == state.head()) return OkStatus();
    state = *std::move(fold);
  }
}

StatusOr<JournalState> Journal::ReadState() {
  JournalState state;
  RETURN_IF_ERROR(CatchUp(state));
  // A record stands only after its predecessor did. So what is listed now is reached after another
  // look, unless something before it is gone, and then nobody may append there.
  ASSIGN_OR_RETURN(const std::vector<ListedRecord> records, ListRecords(store_));
  if (records.empty() || records.back().parts.number <= state.head().number) return state;
  RETURN_IF_ERROR(CatchUp(state));
  if (records.back().parts.number <= state.head().number) return state;
  return DataLoss(absl::StrFormat("%s is missing, though %s is there", RecordName(state.head()),
                                  records.back().name));
}

StatusOr<Record> Journal::Append(const JournalHead& head, const RecordEntries& entries) {
  Record record;
  record.number = head.number + 1;
  record.predecessor = head.hash;
  record.entries = entries;
  FillRandom(record.nonce);
  const Bytes file = EncodeRecord(keys_, record);
  const std::string name = RecordName(head);
  // A record that nobody can read would stop everybody.
  if (file.size() > kMaxRecordFileBytes) return InvalidArgument(name + ": too large for a record");
  const StatusOr<Record> decoded = DecodeRecord(keys_, file, name);
  if (!decoded.ok() || decoded->entries != entries) {
    return InvalidArgument(absl::StrFormat("%s: entries that cannot be read back: %s", name,
                                           decoded.status().ToString()));
  }

  const Status placed = store_.PutIfAbsent(name, file, nullptr);
  if (placed.code() == StatusCode::kAlreadyExists) {
    // Network file systems may place a file, lose the answer, and find the name taken when they
    // ask again. Whether its name is durable then is not known.
    const StatusOr<std::optional<Record>> standing = NextRecord(head);
    if (standing.ok() && *standing && (*standing)->nonce == record.nonce) {
      return Unavailable(name + ": placed, but perhaps not durable");
    }
    return Aborted(name + ": another record was placed there first");
  }
  if (!placed.ok()) {
    const bool absent = store_.Size(name).status().code() == StatusCode::kNotFound;
    return Annotate(placed, absent ? "append to the journal"
                                   : "append to the journal (the record may stand or not)");
  }
  RETURN_IF_ERROR(WithdrawIfFolded(record, name));
  return record;
}

Status Journal::WithdrawIfFolded(const Record& record, const std::string& name) {
  ASSIGN_OR_RETURN(const std::optional<JournalState> fold, FoldReaching(record.number));
  if (!fold || fold->short_hashes()[record.number - 1] == ShortHash(record.hash)) return OkStatus();
  // The record that had this number was folded away, so that its name was free. Nobody who looks
  // for the head believes in this one; where it cannot be removed, the next fold does it.
  store_.Delete(name).IgnoreError();
  return Aborted(name + ": a fold has passed this number");
}

}  // namespace cairn
