// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/str_format.h"
#include "core/base/random.h"
#include "core/store/journal.h"
#include "core/store/journal_names.h"

namespace cairn {
namespace {

// An object that somebody else has removed meanwhile is as gone as it should be.
void Remove(ObjectStore& store, const std::string& name, Status& first_error) {
  Status removed = store.Delete(name);
  if (removed.code() == StatusCode::kNotFound) return;
  if (first_error.ok()) first_error = std::move(removed);
}

// Older folds, and the records up to `number`.
Status RemoveCovered(ObjectStore& store, uint64_t number) {
  Status first_error;
  ASSIGN_OR_RETURN(const std::vector<uint64_t> folds, ListFolds(store));
  for (const uint64_t fold : folds) {
    if (fold < number) Remove(store, FoldName(fold), first_error);
  }
  ASSIGN_OR_RETURN(const std::vector<ListedRecord> records, ListRecords(store));
  for (const ListedRecord& record : records) {
    if (record.parts.number <= number) Remove(store, record.name, first_error);
  }
  return first_error;
}

StatusOr<Bytes> EncodeFoldFile(const RepositoryKeys& keys, const JournalState& state) {
  Twin twin;
  twin.magic = kFoldMagic;
  twin.features = FeaturesOf(state);
  twin.repository = keys.id();
  twin.number = state.head().number;
  twin.predecessor = state.head().hash;
  FillRandom(twin.nonce);
  twin.payload = EncodeFold(state);
  const StatusOr<JournalState> decoded = DecodeFold(keys, twin.payload, state.head());
  if (!decoded.ok() || EncodeFold(*decoded) != twin.payload) {
    return Internal(absl::StrFormat("fold %d does not decode to what was encoded: %s", twin.number,
                                    decoded.status().ToString()));
  }
  Bytes file = EncodeTwin(keys, twin);
  if (file.size() > kMaxFoldFileBytes) {
    return ResourceExhausted(
        absl::StrFormat("fold %d would be larger than a fold may be", twin.number));
  }
  return file;
}

}  // namespace

StatusOr<std::optional<JournalState>> Journal::StateAt(uint64_t number, uint64_t fold) {
  JournalState state;
  if (fold > 0) {
    StatusOr<JournalState> folded = ReadFold(fold, nullptr);
    if (folded.status().code() == StatusCode::kNotFound) return std::optional<JournalState>();
    RETURN_IF_ERROR(folded.status());
    state = *std::move(folded);
  }
  while (state.head().number < number) {
    ASSIGN_OR_RETURN(const std::optional<Record> next, NextRecord(state.head()));
    if (!next) {
      ASSIGN_OR_RETURN(const uint64_t newest, NewestFold());
      if (newest > fold) return std::optional<JournalState>();
      return DataLoss(RecordName(state.head()) + " is missing");
    }
    RETURN_IF_ERROR(state.Apply(*next));
  }
  return std::optional<JournalState>(std::move(state));
}

Status Journal::FoldIfDue(const JournalState& state, const FoldPolicy& policy) {
  const uint64_t head = state.head().number;
  if (head <= policy.min_records) return OkStatus();
  ASSIGN_OR_RETURN(const uint64_t last, NewestFold());
  if (head <= last) return OkStatus();
  const uint64_t single = head - last;
  if (single <= policy.min_records || single <= last / policy.ratio ||
      single <= policy.keep_single) {
    return OkStatus();
  }
  const uint64_t number = head - policy.keep_single;

  ASSIGN_OR_RETURN(const std::optional<JournalState> folded, StateAt(number, last));
  if (!folded) return OkStatus();  // another process has made a fold meanwhile
  if (state.short_hashes()[number - 1] != ShortHash(folded->head().hash)) {
    return DataLoss(
        absl::StrFormat("fold the journal: its record %d is not the one that was read "
                        "before",
                        number));
  }
  ASSIGN_OR_RETURN(const Bytes file, EncodeFoldFile(keys_, *folded));
  const std::string name = FoldName(number);
  const Status placed = store_.PutIfAbsent(name, file, nullptr);
  // Who placed that fold removes what it covers once it is durable; that is not known here.
  if (placed.code() == StatusCode::kAlreadyExists) return OkStatus();
  RETURN_IF_ERROR(Annotate(placed, "fold the journal"));

  const StatusOr<Bytes> stored = store_.ReadAll(name, kMaxFoldFileBytes);
  if (stored.status().code() == StatusCode::kNotFound) return OkStatus();  // a newer one has come
  RETURN_IF_ERROR(stored.status());
  if (*stored != file) return DataLoss(name + " reads otherwise than it was written");
  return Annotate(RemoveCovered(store_, number), "remove what was folded");
}

}  // namespace cairn
