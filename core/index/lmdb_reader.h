// SPDX-License-Identifier: Apache-2.0
// IndexReader on an LMDB environment.
#pragma once

#include <memory>

#include "absl/container/flat_hash_set.h"
#include "core/base/mutex.h"
#include "core/index/index.h"
#include "core/index/lmdb.h"

namespace cairn {

// The packs that are purged but still in the index, as the last reader saw them. Usually none, and
// then it costs a reader nothing; else they are read once for each state of the index. Thread-safe.
class PurgedPacks {
 public:
  using Set = absl::flat_hash_set<PackNumber>;
  // Owners: this cache, and the readers of the same state.
  StatusOr<std::shared_ptr<const Set>> Get(lmdb::ReadTxn& txn);

 private:
  Mutex mutex_;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<const Set> set_ ABSL_GUARDED_BY(mutex_);
};

class LmdbReader : public IndexReader {
 public:
  // `purged_packs` must outlive it.
  static StatusOr<std::unique_ptr<IndexReader>> Create(std::unique_ptr<lmdb::ReadTxn> txn,
                                                       PurgedPacks& purged_packs);

  StatusOr<IndexHead> Head() override;
  StatusOr<PlaceList> FindBlob(const BlobRef& ref) override;
  StatusOr<std::vector<PlacedBlob>> FindBase(const BaseId& prefix) override;
  StatusOr<uint64_t> CountPlaces() override;
  StatusOr<std::optional<IndexPack>> FindPack(PackNumber number) override;
  StatusOr<std::optional<IndexPack>> FindPackByName(const PackName& name) override;
  StatusOr<std::optional<FrameInfo>> FindFrame(PackNumber pack, uint32_t frame) override;
  StatusOr<std::optional<IndexSnapshot>> FindSnapshot(const SnapshotId& id) override;
  Status ForEachPack(const std::function<bool(const IndexPack&)>& visit) override;
  Status ForEachBlob(const std::function<bool(const BlobRef&, const Place&)>& visit) override;
  Status ForEachSnapshot(const std::function<bool(const IndexSnapshot&)>& visit) override;
  Status ForEachSnapshotBefore(const Timestamp& latest,
                               const std::function<bool(const IndexSnapshot&)>& visit) override;
  Status ForEachSnapshotFrom(const SnapshotId& first,
                             const std::function<bool(const IndexSnapshot&)>& visit) override;
  StatusOr<std::optional<Bytes>> FindNote(ByteSpan key) override;

 private:
  LmdbReader(std::unique_ptr<lmdb::ReadTxn> txn, std::shared_ptr<const PurgedPacks::Set> purged)
      : txn_(std::move(txn)), purged_(std::move(purged)) {}
  bool IsPurged(PackNumber number) const { return purged_ != nullptr && purged_->contains(number); }

  std::unique_ptr<lmdb::ReadTxn> txn_;
  std::shared_ptr<const PurgedPacks::Set> purged_;  // see PurgedPacks; null if there is none
};

}  // namespace cairn
