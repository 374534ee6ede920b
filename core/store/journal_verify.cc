// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "core/store/journal.h"
#include "core/store/journal_names.h"

namespace cairn {

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
    const StatusOr<Bytes> file = store_.ReadAll(listed.name, kMaxRecordFileBytes);
    if (!file.ok()) {
      add(listed.name, file.status(), "");
      continue;
    }
    StatusOr<Record> record = DecodeRecord(repository_, *file, listed.name);
    if (!record.ok()) {
      add(listed.name, record.status(), "");
    } else if (record->number != listed.parts.number ||
               ShortHash(record->predecessor) != listed.parts.predecessor) {
      add(listed.name, DataLoss(listed.name + ": the record in it belongs to another place"), "");
    } else {
      add(listed.name, OkStatus(), std::move(record->damage));
    }
  }
  // That they follow each other without a gap, and make sense in their order.
  add(kJournalFolder, ReadState().status(), "");
  return findings;
}

}  // namespace cairn
