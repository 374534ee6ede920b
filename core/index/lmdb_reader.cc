// SPDX-License-Identifier: Apache-2.0
#include "core/index/lmdb_reader.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/index/index_row.h"
#include "core/index/lmdb_rows.h"

namespace cairn {
namespace {

StatusOr<PackNumber> DecodePackKey(ByteSpan key) {
  if (key.size() != 4) return DataLoss("index: damaged key of a pack");
  return static_cast<PackNumber>(key[0]) << 24 | static_cast<PackNumber>(key[1]) << 16 |
         static_cast<PackNumber>(key[2]) << 8 | static_cast<PackNumber>(key[3]);
}

StatusOr<BlobId> DecodeBlobKey(ByteSpan key) {
  if (key.size() != BlobId::kBytes) return DataLoss("index: damaged key of a blob");
  return BlobId::From(key);
}

}  // namespace

StatusOr<std::shared_ptr<const PurgedPacks::Set>> PurgedPacks::Get(lmdb::ReadTxn& txn) {
  ASSIGN_OR_RETURN(const uint64_t count, txn.CountRows(IdOf(IndexTable::kPurged)));
  if (count == 0) return nullptr;
  MutexLock lock(mutex_);
  if (set_ != nullptr && version_ == txn.Version()) return set_;
  auto set = std::make_shared<Set>();
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, txn.OpenCursor(IdOf(IndexTable::kPurged)));
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, cursor.Next());
    if (!found) break;
    RETURN_IF_ERROR(OpenRow(IndexTable::kPurged, cursor.key(), cursor.value()).status());
    ASSIGN_OR_RETURN(const PackNumber number, DecodePackKey(cursor.key()));
    set->insert(number);
  }
  version_ = txn.Version();
  set_ = std::move(set);
  return set_;
}

StatusOr<std::unique_ptr<IndexReader>> LmdbReader::Create(std::unique_ptr<lmdb::ReadTxn> txn,
                                                          PurgedPacks& purged_packs) {
  ASSIGN_OR_RETURN(auto purged, purged_packs.Get(*txn));
  return std::unique_ptr<IndexReader>(new LmdbReader(std::move(txn), std::move(purged)));
}

StatusOr<IndexHead> LmdbReader::Head() { return GetHead(*txn_); }

StatusOr<PlaceList> LmdbReader::FindBlob(const BlobRef& ref) {
  PlaceList places;
  ASSIGN_OR_RETURN(lmdb::Cursor* const cursor, txn_->LookupCursor(IdOf(IndexTable::kBlobs)));
  ASSIGN_OR_RETURN(bool found, cursor->Seek(ref.id.span()));
  while (found) {
    ASSIGN_OR_RETURN(const BlobPlace row, DecodePlaceRow(ref.id, cursor->value()));
    if (row.kind == ref.kind && !IsPurged(row.place.pack)) places.push_back(row.place);
    ASSIGN_OR_RETURN(found, cursor->NextDuplicate());
  }
  return places;
}

StatusOr<std::vector<PlacedBlob>> LmdbReader::FindBase(const BaseId& prefix) {
  std::vector<PlacedBlob> places;
  ASSIGN_OR_RETURN(lmdb::Cursor* const cursor, txn_->LookupCursor(IdOf(IndexTable::kBlobs)));
  ASSIGN_OR_RETURN(bool found, cursor->SeekAtLeast(prefix));
  while (found) {
    ASSIGN_OR_RETURN(const BlobId id, DecodeBlobKey(cursor->key()));
    if (!std::equal(prefix.begin(), prefix.end(), id.bytes.begin())) break;
    ASSIGN_OR_RETURN(const BlobPlace row, DecodePlaceRow(id, cursor->value()));
    if (!IsPurged(row.place.pack)) places.push_back({{row.kind, id}, row.place});
    ASSIGN_OR_RETURN(found, cursor->Next());
  }
  return places;
}

StatusOr<uint64_t> LmdbReader::CountPlaces() { return txn_->CountRows(IdOf(IndexTable::kBlobs)); }

StatusOr<std::optional<IndexPack>> LmdbReader::FindPack(PackNumber number) {
  return GetPack(*txn_, number);
}

StatusOr<std::optional<IndexPack>> LmdbReader::FindPackByName(const PackName& name) {
  ASSIGN_OR_RETURN(const std::optional<PackNumber> number, GetPackNumber(*txn_, name));
  if (!number) return std::nullopt;
  return GetPack(*txn_, *number);
}

StatusOr<std::optional<FrameInfo>> LmdbReader::FindFrame(PackNumber pack, uint32_t frame) {
  ASSIGN_OR_RETURN(const auto value, GetRow(*txn_, IndexTable::kFrames, FrameKey(pack, frame)));
  if (!value) return std::nullopt;
  return DecodeFrameRow(*value);
}

StatusOr<std::optional<IndexSnapshot>> LmdbReader::FindSnapshot(const SnapshotId& id) {
  ASSIGN_OR_RETURN(const std::optional<uint64_t> record, GetSnapshotRecord(*txn_, id));
  if (!record) return std::nullopt;
  ASSIGN_OR_RETURN(IndexSnapshot snapshot, GetSnapshot(*txn_, *record, id));
  return std::optional<IndexSnapshot>(std::move(snapshot));
}

Status LmdbReader::ForEachPack(const std::function<bool(const IndexPack&)>& visit) {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, txn_->OpenCursor(IdOf(IndexTable::kPacks)));
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, cursor.Next());
    if (!found) return OkStatus();
    ASSIGN_OR_RETURN(const ByteSpan value,
                     OpenRow(IndexTable::kPacks, cursor.key(), cursor.value()));
    ASSIGN_OR_RETURN(const PackNumber number, DecodePackKey(cursor.key()));
    ASSIGN_OR_RETURN(const IndexPack pack, DecodePackRow(number, value));
    if (!visit(pack)) return OkStatus();
  }
}

Status LmdbReader::ForEachBlob(const std::function<bool(const BlobRef&, const Place&)>& visit) {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, txn_->OpenCursor(IdOf(IndexTable::kBlobs)));
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, cursor.Next());
    if (!found) return OkStatus();
    ASSIGN_OR_RETURN(const BlobId id, DecodeBlobKey(cursor.key()));
    ASSIGN_OR_RETURN(const BlobPlace row, DecodePlaceRow(id, cursor.value()));
    if (IsPurged(row.place.pack)) continue;
    if (!visit({row.kind, id}, row.place)) return OkStatus();
  }
}

Status LmdbReader::ForEachSnapshot(const std::function<bool(const IndexSnapshot&)>& visit) {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, txn_->OpenCursor(IdOf(IndexTable::kSnapshots)));
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, cursor.Next());
    if (!found) return OkStatus();
    ASSIGN_OR_RETURN(const ByteSpan value,
                     OpenRow(IndexTable::kSnapshots, cursor.key(), cursor.value()));
    ASSIGN_OR_RETURN(const IndexSnapshot snapshot, DecodeSnapshotRow(cursor.key(), value));
    if (!visit(snapshot)) return OkStatus();
  }
}

Status LmdbReader::ForEachSnapshotBefore(const Timestamp& latest,
                                         const std::function<bool(const IndexSnapshot&)>& visit) {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, txn_->OpenCursor(IdOf(IndexTable::kSnapshotTimes)));
  // No key is greater than this among those of that time.
  SnapshotId last;
  last.bytes.fill(0xff);
  const auto end = SnapshotTimeKey(latest, std::numeric_limits<uint64_t>::max(), last);
  ASSIGN_OR_RETURN(const bool has_later, cursor.SeekAtLeast(end));
  ASSIGN_OR_RETURN(bool found, has_later ? cursor.Previous() : cursor.Last());
  while (found) {
    RETURN_IF_ERROR(OpenRow(IndexTable::kSnapshotTimes, cursor.key(), cursor.value()).status());
    ASSIGN_OR_RETURN(const SnapshotAtTime at, DecodeSnapshotTimeKey(cursor.key()));
    ASSIGN_OR_RETURN(const IndexSnapshot snapshot, GetSnapshot(*txn_, at.record, at.id));
    if (snapshot.time != at.time) return DataLoss("index: a snapshot has two times");
    if (!visit(snapshot)) return OkStatus();
    ASSIGN_OR_RETURN(found, cursor.Previous());
  }
  return OkStatus();
}

Status LmdbReader::ForEachSnapshotFrom(const SnapshotId& first,
                                       const std::function<bool(const IndexSnapshot&)>& visit) {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, txn_->OpenCursor(IdOf(IndexTable::kSnapshotIds)));
  ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(first.span()));
  while (found) {
    if (cursor.key().size() != SnapshotId::kBytes) {
      return DataLoss("index: damaged key of a snapshot");
    }
    ASSIGN_OR_RETURN(const ByteSpan value,
                     OpenRow(IndexTable::kSnapshotIds, cursor.key(), cursor.value()));
    ASSIGN_OR_RETURN(const uint64_t record, DecodeNumberRow(value));
    ASSIGN_OR_RETURN(const IndexSnapshot snapshot,
                     GetSnapshot(*txn_, record, SnapshotId::From(cursor.key())));
    if (!visit(snapshot)) return OkStatus();
    ASSIGN_OR_RETURN(found, cursor.Next());
  }
  return OkStatus();
}

StatusOr<std::optional<Bytes>> LmdbReader::FindNote(ByteSpan key) { return GetNote(*txn_, key); }

}  // namespace cairn
