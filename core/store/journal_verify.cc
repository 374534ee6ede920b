// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "core/store/journal.h"
#include "core/store/journal_names.h"
#include "core/store/twin_file.h"

namespace cairn {
namespace {

StatusOr<Record> ReadListed(ObjectStore& store, const RepositoryKeys& keys,
                            const ListedRecord& listed) {
  ASSIGN_OR_RETURN(const Bytes file, ReadTwinFile(store, listed.name, kMaxRecordFileBytes));
  ASSIGN_OR_RETURN(Record record, DecodeRecord(keys, file, listed.name));
  if (record.number != listed.parts.number ||
      ShortHash(record.predecessor) != listed.parts.predecessor) {
    return DataLoss(listed.name + ": the record in it belongs to another place");
  }
  return record;
}

// Of a newer version of cairn: it is not damaged, and must not be passed over.
bool IsForeign(const Status& status) { return status.code() == StatusCode::kUnimplemented; }

}  // namespace

StatusOr<std::vector<Journal::Finding>> Journal::Verify() {
  std::vector<Finding> findings;
  // What has gone since it was listed was folded away; were it lost, the state would not read.
  const auto add = [&findings](const std::string& name, Status status, std::string damage) {
    if (status.code() == StatusCode::kNotFound) return;
    findings.push_back({name, std::move(status), std::move(damage)});
  };

  ASSIGN_OR_RETURN(const std::vector<uint64_t> folds, ListFolds(store_));
  for (const uint64_t fold : folds) {
    std::string damage;
    Status status = ReadFold(fold, &damage).status();
    add(FoldName(fold), std::move(status), std::move(damage));
  }
  ASSIGN_OR_RETURN(const std::vector<ListedRecord> records, ListRecords(store_));
  for (const ListedRecord& listed : records) {
    StatusOr<Record> record = ReadListed(store_, keys_, listed);
    add(listed.name, record.status(), record.ok() ? std::move(record->damage) : "");
  }
  // That they follow each other without a gap, and make sense in their order.
  add(kJournalFolder, ReadState().status(), "");
  return findings;
}

StatusOr<Journal::Remains> Journal::ReadRemains() {
  Remains remains;
  ASSIGN_OR_RETURN(const std::vector<uint64_t> folds, ListFolds(store_));
  for (auto fold = folds.rbegin(); fold != folds.rend(); ++fold) {
    StatusOr<JournalState> state = ReadFold(*fold, nullptr);
    if (IsForeign(state.status())) return state.status();
    remains.last_number = std::max(remains.last_number, *fold);
    if (!state.ok()) continue;
    remains.sound = *std::move(state);
    break;
  }
  ASSIGN_OR_RETURN(const std::vector<ListedRecord> records, ListRecords(store_));
  for (const ListedRecord& listed : records) {
    remains.last_number = std::max(remains.last_number, listed.parts.number);
    if (listed.parts.number <= remains.sound.head().number) continue;
    StatusOr<Record> record = ReadListed(store_, keys_, listed);
    if (IsForeign(record.status())) return record.status();
    if (!record.ok()) continue;
    const bool follows = remains.beyond.empty() &&
                         record->number == remains.sound.head().number + 1 &&
                         record->predecessor == remains.sound.head().hash;
    if (follows && remains.sound.Apply(*record).ok()) continue;
    // Of two with one number nothing tells which one the journal went on from.
    if (!remains.beyond.empty() && remains.beyond.back().number == record->number) continue;
    remains.beyond.push_back(*std::move(record));
  }
  return remains;
}

}  // namespace cairn
