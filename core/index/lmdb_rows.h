// SPDX-License-Identifier: Apache-2.0
// The tables of the index in an LMDB environment: what reader and writer share.
#pragma once

#include <iterator>
#include <optional>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/index/index_row.h"
#include "core/index/lmdb.h"

namespace cairn {

// By IndexTable.
inline constexpr lmdb::TableSpec kTableSpecs[] = {
    {"meta"},   {"blobs", true}, {"packs"},        {"pack_names"}, {"purged"},
    {"frames"}, {"snapshots"},   {"snapshot_ids"}, {"notes"},      {"snapshot_times"},
};
static_assert(std::size(kTableSpecs) == kIndexTables);

inline constexpr std::string_view kRepositoryRow = "repository";
inline constexpr std::string_view kHeadRow = "head";
inline constexpr std::string_view kNextPackRow = "next_pack";

inline lmdb::TableId IdOf(IndexTable table) { return static_cast<lmdb::TableId>(table); }

// The row's value, checked, without the check; a view that lasts until the next write.
inline StatusOr<std::optional<ByteSpan>> GetRow(lmdb::Txn& txn, IndexTable table, ByteSpan key) {
  ASSIGN_OR_RETURN(const std::optional<ByteSpan> row, txn.Get(IdOf(table), key));
  if (!row) return std::nullopt;
  return OpenRow(table, key, *row);
}

inline Status PutRow(lmdb::WriteTxn& txn, IndexTable table, ByteSpan key, Bytes value,
                     lmdb::PutMode mode = lmdb::PutMode::kReplace) {
  return txn.Put(IdOf(table), key, SealRow(table, key, std::move(value)), mode);
}

inline Status CheckNoteKey(ByteSpan key) {
  if (!key.empty() && key.size() <= kMaxNoteKeyBytes) return OkStatus();
  return InvalidArgument("index: a note's key has 1 to 256 bytes");
}

// What both can look up.
StatusOr<IndexHead> GetHead(lmdb::Txn& txn);
StatusOr<std::optional<PackNumber>> GetPackNumber(lmdb::Txn& txn, const PackName& name);
StatusOr<std::optional<IndexPack>> GetPack(lmdb::Txn& txn, PackNumber number);
StatusOr<std::optional<uint64_t>> GetSnapshotRecord(lmdb::Txn& txn, const SnapshotId& id);
// DATA_LOSS if there is none: only for what another table names.
StatusOr<IndexSnapshot> GetSnapshot(lmdb::Txn& txn, uint64_t record, const SnapshotId& id);
StatusOr<std::optional<Bytes>> GetNote(lmdb::Txn& txn, ByteSpan key);

}  // namespace cairn
