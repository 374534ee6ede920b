// SPDX-License-Identifier: Apache-2.0
#include "core/index/lmdb_rows.h"

#include <limits>

namespace cairn {

StatusOr<IndexHead> GetHead(lmdb::Txn& txn) {
  ASSIGN_OR_RETURN(const auto value, GetRow(txn, IndexTable::kMeta, AsBytes(kHeadRow)));
  if (!value) return IndexHead{};
  return DecodeHeadRow(*value);
}

StatusOr<std::optional<PackNumber>> GetPackNumber(lmdb::Txn& txn, const PackName& name) {
  ASSIGN_OR_RETURN(const auto value, GetRow(txn, IndexTable::kPackNames, name.span()));
  if (!value) return std::nullopt;
  ASSIGN_OR_RETURN(const uint64_t number, DecodeNumberRow(*value));
  if (number > std::numeric_limits<PackNumber>::max()) {
    return DataLoss("index: a pack's number is out of its range");
  }
  return static_cast<PackNumber>(number);
}

StatusOr<std::optional<IndexPack>> GetPack(lmdb::Txn& txn, PackNumber number) {
  ASSIGN_OR_RETURN(const auto value, GetRow(txn, IndexTable::kPacks, PackKey(number)));
  if (!value) return std::nullopt;
  return DecodePackRow(number, *value);
}

StatusOr<std::optional<uint64_t>> GetSnapshotRecord(lmdb::Txn& txn, const SnapshotId& id) {
  ASSIGN_OR_RETURN(const auto value, GetRow(txn, IndexTable::kSnapshotIds, id.span()));
  if (!value) return std::nullopt;
  return DecodeNumberRow(*value);
}

StatusOr<IndexSnapshot> GetSnapshot(lmdb::Txn& txn, uint64_t record, const SnapshotId& id) {
  const auto key = SnapshotKey(record, id);
  ASSIGN_OR_RETURN(const auto value, GetRow(txn, IndexTable::kSnapshots, key));
  if (!value) return DataLoss("index: a snapshot's row is missing");
  return DecodeSnapshotRow(key, *value);
}

StatusOr<std::optional<Bytes>> GetNote(lmdb::Txn& txn, ByteSpan key) {
  RETURN_IF_ERROR(CheckNoteKey(key));
  ASSIGN_OR_RETURN(const auto value, GetRow(txn, IndexTable::kNotes, key));
  if (!value) return std::nullopt;
  return Bytes(value->begin(), value->end());
}

}  // namespace cairn
