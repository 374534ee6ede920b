// SPDX-License-Identifier: Apache-2.0
// IndexWriter on an LMDB environment.
#pragma once

#include <memory>

#include "absl/container/flat_hash_set.h"
#include "core/index/index.h"
#include "core/index/index_row.h"
#include "core/index/lmdb.h"

namespace cairn {

class LmdbWriter : public IndexWriter {
 public:
  explicit LmdbWriter(std::unique_ptr<lmdb::WriteTxn> txn) : txn_(std::move(txn)) {}

  StatusOr<IndexHead> Head() override;
  Status SetHead(const IndexHead& head) override;
  Status AddPacks(std::span<const PackContents> packs) override;
  StatusOr<std::optional<PackNumber>> BeginPack(const PackInfo& info,
                                                std::span<const FrameInfo> frames,
                                                uint32_t blobs) override;
  Status AddPlaces(std::span<const PlacedBlob> places) override;
  bool IsLarge() const override { return changed_pages_ >= kManyPages; }
  Status SetPackState(const PackName& name, PackState state) override;
  StatusOr<bool> RemovePacks(std::span<const PackName> names, BlobId& from) override;
  Status PutSnapshot(const IndexSnapshot& snapshot) override;
  Status RemoveSnapshot(const SnapshotId& id) override;
  StatusOr<std::optional<Bytes>> FindNote(ByteSpan key) override;
  Status PutNote(ByteSpan key, ByteSpan value) override;
  Status RemoveNote(ByteSpan key) override;
  Status RemoveNotes(ByteSpan prefix) override;
  Status Clear() override;
  Status Commit() override;

 private:
  using PackNumbers = absl::flat_hash_set<PackNumber>;
  // A row of the table of blobs.
  struct BlobRow {
    BlobId id;
    PlaceRow place;
  };

  // Each is held in memory until Commit.
  static constexpr uint64_t kManyPages = 2048;
  // Places that are removed before the pages are counted.
  static constexpr size_t kPlacesAtOnce = 1024;
  static constexpr uint32_t kFrameRowsInPage = 32;  // at least

  // Runs `change` unless an earlier call failed, and remembers if it does.
  template <typename Change>
  Status Try(Change change) {
    RETURN_IF_ERROR(error_);
    error_ = change();
    return error_;
  }

  Status DoAddPacks(std::span<const PackContents> packs);
  StatusOr<PackNumber> NextPackNumber();
  StatusOr<std::optional<PackNumber>> DoBeginPack(const PackInfo& info,
                                                  std::span<const FrameInfo> frames,
                                                  uint32_t blobs);
  Status PutFrames(PackNumber number, std::span<const FrameInfo> frames, lmdb::PutMode mode);
  Status DoAddPlaces(std::span<const PlacedBlob> places);
  Status AddBlobRows(std::vector<BlobRow> rows);
  Status DoSetPackState(const PackName& name, PackState state);
  Status PutPack(const IndexPack& pack);
  StatusOr<bool> DoRemovePacks(std::span<const PackName> names, BlobId& from);
  Status RemovePackRows(const IndexPack& pack);
  // These return whether they came to the end of the table.
  StatusOr<bool> RemovePlaces(const PackNumbers& packs, BlobId& from);
  StatusOr<bool> FindPlaces(const PackNumbers& packs, BlobId& from, std::vector<BlobRow>& found);
  Status DoPutSnapshot(const IndexSnapshot& snapshot);
  Status DoRemoveSnapshot(const SnapshotId& id);
  Status DoRemoveNotes(ByteSpan prefix);
  Status DoClear();
  Status RemoveDamagedNotes();

  std::unique_ptr<lmdb::WriteTxn> txn_;  // null after Commit
  uint64_t changed_pages_ = 0;           // by AddPlaces and RemovePacks, about
  Status error_;
};

}  // namespace cairn
