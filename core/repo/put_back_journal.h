// SPDX-License-Identifier: Apache-2.0
// The part of put_back.h that is about records and folds. Private to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/store/journal.h"
#include "core/store/journal_names.h"
#include "core/store/object_store.h"
#include "core/store/repository_keys.h"

namespace cairn {

// Thread-compatible.
class JournalPutBack {
 public:
  // Places an object of the journal, whole and durable.
  using Place = std::function<Status(const std::string& name, ByteSpan whole)>;

  JournalPutBack(ObjectStore& store, const RepositoryKeys& keys,
                 const std::vector<ObjectStore*>& from, Place place)
      : store_(store), keys_(keys), from_(from), place_(std::move(place)) {}

  Status Run();

 private:
  struct Lost {
    std::string name;  // of what stands there and cannot be read; else empty
  };

  // What the journal as it stands says of its records' hashes, and what of it is lost.
  Status Look();
  void Know(uint64_t number, const RecordShortHash& hash);
  void Know(uint64_t number, const RecordHash& hash);
  bool Contradicts(uint64_t number, const RecordHash& hash) const;
  bool IsProven(uint64_t number, const RecordHash& hash) const;

  Status PutBackFolds();
  // Of one that is not here, whether it stood between others that are.
  bool IsMissing(uint64_t number) const;
  StatusOr<bool> TryFold(ObjectStore& from, uint64_t number);
  Status PutBackRecords();
  StatusOr<bool> TryRecord(ObjectStore& from, const ListedRecord& listed, const Lost& lost);

  ObjectStore& store_;
  const RepositoryKeys keys_;
  const std::vector<ObjectStore*>& from_;
  const Place place_;

  // Of record n. A name has the first bytes of a hash, and so has a fold.
  std::map<uint64_t, RecordShortHash> short_hashes_;
  std::map<uint64_t, RecordHash> hashes_;
  std::map<uint64_t, std::string> records_;  // that stand there, readable or not
  std::map<uint64_t, Lost> lost_;            // records
  std::vector<uint64_t> lost_folds_;         // that stand there
  uint64_t fold_ = 0;                        // the newest that can be read
};

}  // namespace cairn
