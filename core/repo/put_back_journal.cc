// SPDX-License-Identifier: Apache-2.0
#include "core/repo/put_back_journal.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "core/base/coding.h"
#include "core/store/record.h"
#include "core/store/twin_file.h"

namespace cairn {
namespace {

// Offsets in a copy (docs/format.md, "Twin objects").
constexpr size_t kNonceOffset = 72;
constexpr size_t kPayloadBytesOffset = 88;

// Whether `damaged` was `whole`: its nonce, which is random, or its hash stands there still, in one
// of the copies.
bool IsRemnantOf(ByteSpan damaged, ByteSpan whole) {
  Decoder decoder(whole.subspan(kPayloadBytesOffset));
  const size_t copy_bytes =
      kTwinHeaderBytes + static_cast<size_t>(decoder.Fixed64()) + kTwinHashBytes;
  const auto is_there = [&](size_t offset, size_t bytes) {
    if (offset + bytes > std::min(damaged.size(), whole.size())) return false;
    return std::ranges::equal(damaged.subspan(offset, bytes), whole.subspan(offset, bytes));
  };
  for (const size_t copy : {size_t{0}, whole.size() - copy_bytes}) {
    if (is_there(copy + kNonceOffset, sizeof(Nonce))) return true;
    if (is_there(copy + copy_bytes - kTwinHashBytes, kTwinHashBytes)) return true;
  }
  return false;
}

// The object as it was written, if one copy of it is whole.
StatusOr<Bytes> ReadWhole(ObjectStore& store, const RepositoryKeys& keys, const TwinMagic& magic,
                          const std::string& name, uint64_t max_bytes) {
  ASSIGN_OR_RETURN(const Bytes file, ReadTwinFile(store, name, max_bytes));
  ASSIGN_OR_RETURN(DecodedTwin decoded, DecodeTwin(keys, magic, file, name));
  return EncodeAgain(keys, std::move(decoded), name);
}

}  // namespace

Status JournalPutBack::Run() {
  RETURN_IF_ERROR(Look());
  RETURN_IF_ERROR(PutBackFolds());
  return PutBackRecords();
}

void JournalPutBack::Know(uint64_t number, const RecordShortHash& hash) {
  short_hashes_.try_emplace(number, hash);
}

void JournalPutBack::Know(uint64_t number, const RecordHash& hash) {
  hashes_.try_emplace(number, hash);
}

Status JournalPutBack::Look() {
  Journal journal(store_, keys_);
  ASSIGN_OR_RETURN(const std::vector<uint64_t> folds, ListFolds(store_));
  for (const uint64_t number : folds) {
    const StatusOr<JournalState> fold = journal.ReadFold(number, nullptr);
    if (IsLostObject(fold.status())) lost_folds_.push_back(number);
    if (!fold.ok()) continue;
    fold_ = number;
    Know(number, fold->head().hash);
    const std::vector<RecordShortHash>& hashes = fold->short_hashes();
    for (size_t i = 0; i < hashes.size(); ++i) Know(i + 1, hashes[i]);
  }
  ASSIGN_OR_RETURN(const std::vector<ListedRecord> records, ListRecords(store_));
  for (const ListedRecord& listed : records) {
    const uint64_t number = listed.parts.number;
    // One of two was placed into a gap that a fold left, and counts for nothing.
    if (number == 0 || !records_.try_emplace(number, listed.name).second) continue;
    if (number > 1) Know(number - 1, listed.parts.predecessor);
    const StatusOr<Bytes> file = ReadTwinFile(store_, listed.name, kMaxRecordFileBytes);
    const StatusOr<Record> record =
        file.ok() ? DecodeRecord(keys_, *file, listed.name) : StatusOr<Record>(file.status());
    if (IsLostObject(record.status())) lost_[number].name = listed.name;
    if (!record.ok() || record->number != number) continue;
    Know(number, record->hash);
    if (number > 1) Know(number - 1, record->predecessor);
  }
  return OkStatus();
}

// What comes behind the last that is here may never have been here, or an older state may have been
// put in its place on purpose.
bool JournalPutBack::IsMissing(uint64_t number) const {
  return number > fold_ && !records_.contains(number) && !records_.empty() &&
         number < records_.rbegin()->first;
}

bool JournalPutBack::Contradicts(uint64_t number, const RecordHash& hash) const {
  const auto known = hashes_.find(number);
  if (known != hashes_.end()) return known->second != hash;
  const auto known_start = short_hashes_.find(number);
  return known_start != short_hashes_.end() && known_start->second != ShortHash(hash);
}

bool JournalPutBack::IsProven(uint64_t number, const RecordHash& hash) const {
  const bool is_known = hashes_.contains(number) || short_hashes_.contains(number);
  return is_known && !Contradicts(number, hash);
}

// Those that stand here and cannot be read; and, if none can be read, one that reaches the records.
Status JournalPutBack::PutBackFolds() {
  for (const uint64_t number : lost_folds_) {
    for (ObjectStore* const from : from_) {
      ASSIGN_OR_RETURN(const bool done, TryFold(*from, number));
      if (done) break;
    }
  }
  if (fold_ != 0 || records_.empty() || records_.contains(1)) return OkStatus();
  for (ObjectStore* const from : from_) {
    ASSIGN_OR_RETURN(std::vector<uint64_t> folds, ListFolds(*from));
    std::ranges::reverse(folds);
    for (const uint64_t number : folds) {
      // The newest one that stands here is what is read.
      if (!lost_folds_.empty() && number < lost_folds_.back()) break;
      if (number + 1 < records_.begin()->first) break;
      ASSIGN_OR_RETURN(const bool done, TryFold(*from, number));
      if (done) return OkStatus();
    }
  }
  return OkStatus();
}

StatusOr<bool> JournalPutBack::TryFold(ObjectStore& from, uint64_t number) {
  const StatusOr<JournalState> fold = Journal(from, keys_).ReadFold(number, nullptr);
  if (!fold.ok() || !IsProven(number, fold->head().hash)) return false;
  const std::vector<RecordShortHash>& hashes = fold->short_hashes();
  for (const auto& [known, hash] : short_hashes_) {
    if (known <= hashes.size() && hashes[known - 1] != hash) return false;
  }
  const std::string name = FoldName(number);
  const auto whole = ReadWhole(from, keys_, kFoldMagic, name, kMaxFoldFileBytes);
  if (!whole.ok()) return false;
  RETURN_IF_ERROR(place_(name, *whole));
  fold_ = std::max(fold_, number);
  for (size_t i = 0; i < hashes.size(); ++i) Know(i + 1, hashes[i]);
  return true;
}

// The newest first: each tells the hash of the one before it. So the oldest comes last, and nobody
// follows the journal into a gap that is not filled yet.
Status JournalPutBack::PutBackRecords() {
  std::map<uint64_t, std::vector<std::pair<ObjectStore*, ListedRecord>>, std::greater<>> found;
  for (ObjectStore* const from : from_) {
    ASSIGN_OR_RETURN(const std::vector<ListedRecord> records, ListRecords(*from));
    for (const ListedRecord& listed : records) {
      const uint64_t number = listed.parts.number;
      if (IsMissing(number)) lost_.try_emplace(number);
      if (lost_.contains(number)) found[number].emplace_back(from, listed);
    }
  }
  for (const auto& [number, candidates] : found) {
    for (const auto& [from, listed] : candidates) {
      ASSIGN_OR_RETURN(const bool done, TryRecord(*from, listed, lost_.at(number)));
      if (done) break;
    }
  }
  return OkStatus();
}

StatusOr<bool> JournalPutBack::TryRecord(ObjectStore& from, const ListedRecord& listed,
                                         const Lost& lost) {
  if (!lost.name.empty() && lost.name != listed.name) return false;
  const uint64_t number = listed.parts.number;
  const StatusOr<Bytes> file = ReadTwinFile(from, listed.name, kMaxRecordFileBytes);
  if (!file.ok()) return false;
  const StatusOr<Record> record = DecodeRecord(keys_, *file, listed.name);
  if (!record.ok() || record->number != number ||
      ShortHash(record->predecessor) != listed.parts.predecessor ||
      Contradicts(number, record->hash) ||
      (number > 1 && Contradicts(number - 1, record->predecessor))) {
    return false;
  }
  const auto whole = ReadWhole(from, keys_, kRecordMagic, listed.name, kMaxRecordFileBytes);
  if (!whole.ok()) return false;
  if (!IsProven(number, record->hash)) {
    if (lost.name.empty()) return false;
    const StatusOr<Bytes> left = ReadTwinFile(store_, lost.name, kMaxRecordFileBytes);
    if (!left.ok() || !IsRemnantOf(*left, *whole)) return false;
  }
  RETURN_IF_ERROR(place_(listed.name, *whole));
  Know(number, record->hash);
  if (number > 1) Know(number - 1, record->predecessor);
  return true;
}

}  // namespace cairn
