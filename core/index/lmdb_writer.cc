// SPDX-License-Identifier: Apache-2.0
#include "core/index/lmdb_writer.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "core/index/lmdb_rows.h"

namespace cairn {
namespace {

using lmdb::PutMode;

constexpr size_t kMaxCount = std::numeric_limits<uint32_t>::max();

Place PlaceOf(const BlobInfo& blob, PackNumber pack, uint32_t ordinal) {
  return {pack, ordinal, blob.frame, blob.offset, blob.bytes};
}

// How large a part of all ids comes before this one: they are hashes, evenly spread.
double PartBefore(const BlobId& id) {
  uint32_t head = 0;
  for (int i = 0; i < 4; ++i) head = head << 8 | id.bytes[i];
  return head * 0x1p-32;
}

bool StartsWith(ByteSpan bytes, ByteSpan prefix) {
  return bytes.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

}  // namespace

StatusOr<IndexHead> LmdbWriter::Head() {
  RETURN_IF_ERROR(error_);
  return GetHead(*txn_);
}

Status LmdbWriter::SetHead(const IndexHead& head) {
  return Try(
      [&] { return PutRow(*txn_, IndexTable::kMeta, AsBytes(kHeadRow), EncodeHeadRow(head)); });
}

Status LmdbWriter::AddPacks(std::span<const PackContents> packs) {
  return Try([&] { return DoAddPacks(packs); });
}

Status LmdbWriter::DoAddPacks(std::span<const PackContents> packs) {
  std::vector<BlobRow> rows;
  for (const PackContents& pack : packs) {
    CHECK(pack.blobs.size() <= kMaxCount);
    const auto blobs = static_cast<uint32_t>(pack.blobs.size());
    ASSIGN_OR_RETURN(const auto number, DoBeginPack(pack.info, pack.frames, blobs));
    RETURN_IF_ERROR(DoSetPackState(pack.info.name, pack.state));
    if (!number) continue;
    for (uint32_t i = 0; i < blobs; ++i) {
      const BlobRef& ref = pack.blobs[i].ref;
      rows.push_back({ref.id, EncodePlaceRow(ref, PlaceOf(pack.blobs[i], *number, i))});
    }
  }
  return AddBlobRows(std::move(rows));
}

StatusOr<std::optional<PackNumber>> LmdbWriter::BeginPack(const PackInfo& info,
                                                          std::span<const FrameInfo> frames,
                                                          uint32_t blobs) {
  std::optional<PackNumber> number;
  RETURN_IF_ERROR(Try([&]() -> Status {
    ASSIGN_OR_RETURN(number, DoBeginPack(info, frames, blobs));
    return OkStatus();
  }));
  return number;
}

StatusOr<std::optional<PackNumber>> LmdbWriter::DoBeginPack(const PackInfo& info,
                                                            std::span<const FrameInfo> frames,
                                                            uint32_t blobs) {
  CHECK(frames.size() <= kMaxCount);
  IndexPack pack{.number = 0,
                 .info = info,
                 .state = PackState::kPurged,
                 .frames = static_cast<uint32_t>(frames.size()),
                 .blobs = blobs};
  ASSIGN_OR_RETURN(const auto known, GetPackNumber(*txn_, info.name));
  if (!known) {
    ASSIGN_OR_RETURN(pack.number, NextPackNumber());
    RETURN_IF_ERROR(PutPack(pack));
    RETURN_IF_ERROR(
        PutRow(*txn_, IndexTable::kPackNames, info.name.span(), EncodeNumberRow(pack.number)));
    // Numbers only grow, so a pack's frames come behind all others.
    RETURN_IF_ERROR(PutFrames(pack.number, frames, PutMode::kAppend));
    return pack.number;
  }
  ASSIGN_OR_RETURN(const auto present, GetPack(*txn_, *known));
  if (!present) return DataLoss("index: a pack's row is missing");
  if (present->state != PackState::kPurged) return std::nullopt;
  // A pack never changes, but who began with it may have failed to read what it has.
  if (present->frames < pack.frames) {
    pack.number = *known;
    RETURN_IF_ERROR(PutPack(pack));
    RETURN_IF_ERROR(PutFrames(pack.number, frames, PutMode::kReplace));
  }
  return known;
}

StatusOr<PackNumber> LmdbWriter::NextPackNumber() {
  const ByteSpan key = AsBytes(kNextPackRow);
  uint64_t number = 1;
  ASSIGN_OR_RETURN(const auto value, GetRow(*txn_, IndexTable::kMeta, key));
  if (value) {
    ASSIGN_OR_RETURN(number, DecodeNumberRow(*value));
  }
  if (number > std::numeric_limits<PackNumber>::max()) {
    return ResourceExhausted("index: no more pack numbers; delete it");
  }
  RETURN_IF_ERROR(PutRow(*txn_, IndexTable::kMeta, key, EncodeNumberRow(number + 1)));
  return static_cast<PackNumber>(number);
}

Status LmdbWriter::PutFrames(PackNumber number, std::span<const FrameInfo> frames, PutMode mode) {
  for (uint32_t i = 0; i < frames.size(); ++i) {
    RETURN_IF_ERROR(
        PutRow(*txn_, IndexTable::kFrames, FrameKey(number, i), EncodeFrameRow(frames[i]), mode));
  }
  return OkStatus();
}

Status LmdbWriter::AddPlaces(std::span<const PlacedBlob> places) {
  return Try([&] { return DoAddPlaces(places); });
}

Status LmdbWriter::DoAddPlaces(std::span<const PlacedBlob> places) {
  if (places.empty()) return OkStatus();
  // What was read so far makes room for the pages that are about to be held.
  if (changed_pages_ == 0) txn_->env().ReleasePages();
  std::vector<BlobRow> rows;
  rows.reserve(places.size());
  double low = 1;
  double high = 0;
  for (const PlacedBlob& placed : places) {
    rows.push_back({placed.ref.id, EncodePlaceRow(placed.ref, placed.place)});
    const double part = PartBefore(placed.ref.id);
    low = std::min(low, part);
    high = std::max(high, part);
  }
  const lmdb::TableId table = IdOf(IndexTable::kBlobs);
  ASSIGN_OR_RETURN(const uint64_t before, txn_->CountLeafPages(table));
  RETURN_IF_ERROR(AddBlobRows(std::move(rows)));
  ASSIGN_OR_RETURN(const uint64_t after, txn_->CountLeafPages(table));
  const auto in_range = static_cast<uint64_t>((high - low) * static_cast<double>(before)) + 1;
  changed_pages_ += std::min<uint64_t>(in_range, places.size()) + (after - before);
  return OkStatus();
}

// In ascending order, so that each page of the table is found and copied once.
Status LmdbWriter::AddBlobRows(std::vector<BlobRow> rows) {
  if (rows.empty()) return OkStatus();
  std::sort(rows.begin(), rows.end(), [](const BlobRow& a, const BlobRow& b) {
    const int by_id = std::memcmp(a.id.bytes.data(), b.id.bytes.data(), BlobId::kBytes);
    if (by_id != 0) return by_id < 0;
    return std::memcmp(a.place.data(), b.place.data(), kPlaceRowBytes) < 0;
  });
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, txn_->OpenCursor(IdOf(IndexTable::kBlobs)));
  ASSIGN_OR_RETURN(const bool has_rows, cursor.Last());
  const bool is_behind_all =
      !has_rows ||
      std::lexicographical_compare(cursor.key().begin(), cursor.key().end(),
                                   rows.front().id.bytes.begin(), rows.front().id.bytes.end());
  const BlobRow* previous = nullptr;
  for (const BlobRow& row : rows) {
    const bool is_new_key = previous == nullptr || previous->id != row.id;
    const PutMode mode = is_behind_all && is_new_key ? PutMode::kAppend : PutMode::kReplace;
    RETURN_IF_ERROR(txn_->Put(cursor, row.id.span(), row.place, mode));
    previous = &row;
  }
  return OkStatus();
}

Status LmdbWriter::SetPackState(const PackName& name, PackState state) {
  return Try([&] { return DoSetPackState(name, state); });
}

Status LmdbWriter::DoSetPackState(const PackName& name, PackState state) {
  ASSIGN_OR_RETURN(const auto number, GetPackNumber(*txn_, name));
  if (!number) return OkStatus();
  ASSIGN_OR_RETURN(auto pack, GetPack(*txn_, *number));
  if (!pack) return DataLoss("index: a pack's row is missing");
  if (pack->state == state) return OkStatus();
  pack->state = state;
  return PutPack(*pack);
}

Status LmdbWriter::PutPack(const IndexPack& pack) {
  const auto key = PackKey(pack.number);
  RETURN_IF_ERROR(PutRow(*txn_, IndexTable::kPacks, key, EncodePackRow(pack)));
  if (pack.state == PackState::kPurged) return PutRow(*txn_, IndexTable::kPurged, key, Bytes());
  return txn_->Delete(IdOf(IndexTable::kPurged), key).status();
}

StatusOr<bool> LmdbWriter::RemovePacks(std::span<const PackName> names, BlobId& from) {
  bool done = false;
  RETURN_IF_ERROR(Try([&]() -> Status {
    ASSIGN_OR_RETURN(done, DoRemovePacks(names, from));
    return OkStatus();
  }));
  return done;
}

StatusOr<bool> LmdbWriter::DoRemovePacks(std::span<const PackName> names, BlobId& from) {
  PackNumbers numbers;
  std::vector<IndexPack> packs;
  for (const PackName& name : names) {
    ASSIGN_OR_RETURN(const auto number, GetPackNumber(*txn_, name));
    if (!number || !numbers.insert(*number).second) continue;
    ASSIGN_OR_RETURN(auto pack, GetPack(*txn_, *number));
    if (!pack) return DataLoss("index: a pack's row is missing");
    if (pack->state != PackState::kPurged) {
      pack->state = PackState::kPurged;
      RETURN_IF_ERROR(PutPack(*pack));
    }
    packs.push_back(*std::move(pack));
  }
  if (packs.empty()) return true;
  const uint64_t before = changed_pages_;
  ASSIGN_OR_RETURN(const bool done, RemovePlaces(numbers, from));
  if (!done) return false;
  for (const IndexPack& pack : packs) {
    if (changed_pages_ >= before + kManyPages) return false;
    RETURN_IF_ERROR(RemovePackRows(pack));
    changed_pages_ += 1 + pack.frames / kFrameRowsInPage;
  }
  return true;
}

Status LmdbWriter::RemovePackRows(const IndexPack& pack) {
  for (uint32_t i = 0; i < pack.frames; ++i) {
    const auto key = FrameKey(pack.number, i);
    RETURN_IF_ERROR(txn_->Delete(IdOf(IndexTable::kFrames), key).status());
  }
  const auto key = PackKey(pack.number);
  RETURN_IF_ERROR(txn_->Delete(IdOf(IndexTable::kPurged), key).status());
  RETURN_IF_ERROR(txn_->Delete(IdOf(IndexTable::kPackNames), pack.info.name.span()).status());
  return txn_->Delete(IdOf(IndexTable::kPacks), key).status();
}

// Collected and then deleted: deleting under a cursor that walks over duplicates is where LMDB had
// bugs.
StatusOr<bool> LmdbWriter::RemovePlaces(const PackNumbers& packs, BlobId& from) {
  const lmdb::TableId table = IdOf(IndexTable::kBlobs);
  std::vector<BlobRow> found;
  for (const uint64_t before = changed_pages_; changed_pages_ < before + kManyPages;) {
    const double low = PartBefore(from);
    ASSIGN_OR_RETURN(const uint64_t pages, txn_->CountLeafPages(table));
    ASSIGN_OR_RETURN(const bool at_end, FindPlaces(packs, from, found));
    for (const BlobRow& row : found) {
      RETURN_IF_ERROR(txn_->Delete(table, row.id.span(), row.place).status());
    }
    if (at_end) return true;
    const auto in_range =
        static_cast<uint64_t>((PartBefore(from) - low) * static_cast<double>(pages)) + 1;
    changed_pages_ += std::min<uint64_t>(in_range, found.size());
  }
  return false;
}

StatusOr<bool> LmdbWriter::FindPlaces(const PackNumbers& packs, BlobId& from,
                                      std::vector<BlobRow>& found) {
  found.clear();
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, txn_->OpenCursor(IdOf(IndexTable::kBlobs)));
  ASSIGN_OR_RETURN(bool has_row, cursor.SeekAtLeast(from.span()));
  while (has_row && found.size() < kPlacesAtOnce) {
    if (cursor.key().size() != BlobId::kBytes) return DataLoss("index: damaged key of a blob");
    from = BlobId::From(cursor.key());
    ASSIGN_OR_RETURN(const BlobPlace row, DecodePlaceRow(from, cursor.value()));
    if (packs.contains(row.place.pack)) {
      found.push_back({from, EncodePlaceRow({row.kind, from}, row.place)});
    }
    ASSIGN_OR_RETURN(has_row, cursor.Next());
  }
  return !has_row;
}

Status LmdbWriter::PutSnapshot(const IndexSnapshot& snapshot) {
  return Try([&] { return DoPutSnapshot(snapshot); });
}

Status LmdbWriter::DoPutSnapshot(const IndexSnapshot& snapshot) {
  RETURN_IF_ERROR(DoRemoveSnapshot(snapshot.id));
  RETURN_IF_ERROR(PutRow(*txn_, IndexTable::kSnapshotIds, snapshot.id.span(),
                         EncodeNumberRow(snapshot.record)));
  RETURN_IF_ERROR(PutRow(*txn_, IndexTable::kSnapshotTimes,
                         SnapshotTimeKey(snapshot.time, snapshot.record, snapshot.id), Bytes()));
  return PutRow(*txn_, IndexTable::kSnapshots, SnapshotKey(snapshot.record, snapshot.id),
                EncodeSnapshotRow(snapshot));
}

Status LmdbWriter::RemoveSnapshot(const SnapshotId& id) {
  return Try([&] { return DoRemoveSnapshot(id); });
}

Status LmdbWriter::DoRemoveSnapshot(const SnapshotId& id) {
  ASSIGN_OR_RETURN(const auto record, GetSnapshotRecord(*txn_, id));
  if (!record) return OkStatus();
  ASSIGN_OR_RETURN(const IndexSnapshot former, GetSnapshot(*txn_, *record, id));
  const auto time_key = SnapshotTimeKey(former.time, *record, id);
  RETURN_IF_ERROR(txn_->Delete(IdOf(IndexTable::kSnapshotTimes), time_key).status());
  RETURN_IF_ERROR(txn_->Delete(IdOf(IndexTable::kSnapshots), SnapshotKey(*record, id)).status());
  return txn_->Delete(IdOf(IndexTable::kSnapshotIds), id.span()).status();
}

StatusOr<std::optional<Bytes>> LmdbWriter::FindNote(ByteSpan key) {
  RETURN_IF_ERROR(Try([&] { return CheckNoteKey(key); }));
  return GetNote(*txn_, key);
}

Status LmdbWriter::PutNote(ByteSpan key, ByteSpan value) {
  return Try([&]() -> Status {
    RETURN_IF_ERROR(CheckNoteKey(key));
    return PutRow(*txn_, IndexTable::kNotes, key, Bytes(value.begin(), value.end()));
  });
}

Status LmdbWriter::RemoveNote(ByteSpan key) {
  return Try([&]() -> Status {
    RETURN_IF_ERROR(CheckNoteKey(key));
    return txn_->Delete(IdOf(IndexTable::kNotes), key).status();
  });
}

Status LmdbWriter::RemoveNotes(ByteSpan prefix) {
  return Try([&] { return DoRemoveNotes(prefix); });
}

Status LmdbWriter::DoRemoveNotes(ByteSpan prefix) {
  if (prefix.empty()) return txn_->Clear(IdOf(IndexTable::kNotes));
  if (prefix.size() > kMaxNoteKeyBytes) return OkStatus();
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, txn_->OpenCursor(IdOf(IndexTable::kNotes)));
  ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(prefix));
  while (found && StartsWith(cursor.key(), prefix)) {
    RETURN_IF_ERROR(txn_->DeleteAt(cursor));
    ASSIGN_OR_RETURN(found, cursor.Next());
  }
  return OkStatus();
}

Status LmdbWriter::Clear() {
  return Try([&] { return DoClear(); });
}

Status LmdbWriter::DoClear() {
  for (const IndexTable table : {IndexTable::kBlobs, IndexTable::kPacks, IndexTable::kPackNames,
                                 IndexTable::kPurged, IndexTable::kFrames, IndexTable::kSnapshots,
                                 IndexTable::kSnapshotIds, IndexTable::kSnapshotTimes}) {
    RETURN_IF_ERROR(txn_->Clear(IdOf(table)));
  }
  RETURN_IF_ERROR(txn_->Delete(IdOf(IndexTable::kMeta), AsBytes(kHeadRow)).status());
  // What stays must not carry damage over: whoever met DATA_LOSS clears and fills anew. No place
  // is left to be mistaken for another if the numbers start again.
  if (!GetRow(*txn_, IndexTable::kMeta, AsBytes(kNextPackRow)).ok()) {
    RETURN_IF_ERROR(txn_->Delete(IdOf(IndexTable::kMeta), AsBytes(kNextPackRow)).status());
  }
  return RemoveDamagedNotes();
}

Status LmdbWriter::RemoveDamagedNotes() {
  ASSIGN_OR_RETURN(lmdb::Cursor cursor, txn_->OpenCursor(IdOf(IndexTable::kNotes)));
  ASSIGN_OR_RETURN(bool found, cursor.First());
  while (found) {
    if (!OpenRow(IndexTable::kNotes, cursor.key(), cursor.value()).ok()) {
      RETURN_IF_ERROR(txn_->DeleteAt(cursor));
    }
    ASSIGN_OR_RETURN(found, cursor.Next());
  }
  return OkStatus();
}

Status LmdbWriter::Commit() {
  RETURN_IF_ERROR(error_);
  error_ = Internal("index: the writer has committed already");
  const Status status = txn_->Commit();
  if (IsLarge()) txn_->env().ReleasePages();
  txn_.reset();
  return status;
}

}  // namespace cairn
