// SPDX-License-Identifier: Apache-2.0
// Names of records and folds (docs/format.md, "Files"), and what stands under them. Private to the
// journal.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/store/journal_state.h"
#include "core/store/object_store.h"

namespace cairn {

inline constexpr char kJournalFolder[] = "journal";
inline constexpr char kFoldFolder[] = "journal/folds";
inline constexpr uint64_t kMaxFoldFileBytes = 1 * kGiB;

// "journal/folds/<20 decimal digits>"
std::string FoldName(uint64_t number);

// What a record's name says.
struct RecordNameParts {
  uint64_t number = 0;
  RecordShortHash predecessor{};
};

struct ListedRecord {
  std::string name;  // with the folder
  RecordNameParts parts;
};

// The records that stand singly, ascending. Names that are none of a record are left out.
StatusOr<std::vector<ListedRecord>> ListRecords(ObjectStore& store);
// Numbers of the folds, ascending. Whatever is there during the whole call is among them; what
// comes or goes meanwhile may be missing.
StatusOr<std::vector<uint64_t>> ListFolds(ObjectStore& store);

}  // namespace cairn
