// SPDX-License-Identifier: Apache-2.0
// What a check knows of damage, and blobs read with that knowledge. Private to check.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/base/blob.h"
#include "core/base/mutex.h"
#include "core/index/index.h"
#include "core/repo/check.h"
#include "core/repo/frame_cache.h"
#include "core/store/frame.h"
#include "core/store/object_store.h"

namespace cairn {

// The findings of one check. Thread-safe.
class CheckFindings {
 public:
  explicit CheckFindings(const CheckOptions& options) : options_(options) {}

  // Returns its number.
  size_t Add(Damage damage);
  void SetHarmless(size_t number);
  void SetMendable(size_t number);
  bool empty() const;
  std::vector<Damage> Take();

 private:
  const CheckOptions& options_;
  mutable Mutex mutex_;
  std::vector<Damage> damages_ ABSL_GUARDED_BY(mutex_);
};

// What is known to be damaged. Thread-safe.
class KnownDamage {
 public:
  // `findings` must outlive it.
  explicit KnownDamage(CheckFindings& findings) : findings_(findings) {}

  // Each makes a finding that says `what`, unless the very same is known: several threads may come
  // upon a damage.
  //
  // A pack whose footer cannot be had: nothing in it counts as there.
  void AddPack(const PackName& pack, const std::string& what);
  void AddFrame(const PackName& pack, uint32_t frame, const std::string& what);
  void AddBlob(const PackName& pack, uint32_t ordinal, const BlobRef& ref, const std::string& what);

  bool HasPlace(const PackName& pack, const Place& place) const;
  bool empty() const;

  struct Piece {
    PackName pack;
    bool is_frame = false;  // else one blob
    uint32_t number = 0;    // of the frame, or the blob's ordinal
    size_t finding = 0;
  };
  // By pack.
  std::vector<Piece> Pieces() const;
  // Every pack in which something is damaged, with its findings.
  std::map<PackName, std::vector<size_t>> Packs() const;

 private:
  using Key = std::pair<PackName, uint32_t>;

  CheckFindings& findings_;
  mutable Mutex mutex_;  // held while a finding is added, and told
  absl::flat_hash_map<PackName, size_t> packs_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Key, size_t> frames_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Key, size_t> blobs_ ABSL_GUARDED_BY(mutex_);
};

// The blobs of a repository, by an index that was found to be right. Thread-compatible.
class CheckedBlobs : public BlobSource {
 public:
  // All must outlive it.
  CheckedBlobs(Index& index, ObjectStore& store, const RepositoryKeys& keys,
               const BlobHasher& hasher, KnownDamage& damage)
      : index_(index), store_(store), keys_(keys), hasher_(hasher), damage_(damage) {}

  struct Places {
    PlaceList all;
    PlaceList sound;  // as far as it is known
  };
  StatusOr<Places> Find(const BlobRef& ref);
  // By a reader of the index: for many at once.
  StatusOr<Places> Find(IndexReader& reader, const BlobRef& ref);

  // From any sound place; damage that this meets is found, and known from then on.
  StatusOr<Bytes> ReadBlob(const BlobRef& ref) override;

  // The content of a delta frame's bases, from any sound places in plain frames.
  StatusOr<Bytes> ReadPrefix(std::span<const BaseId> bases);

  uint64_t bytes_read() const { return bytes_read_; }

 private:
  StatusOr<Bytes> ReadBase(const BaseId& base);
  StatusOr<PackName> NameOf(IndexReader& reader, PackNumber number);
  StatusOr<Bytes> ReadAt(const BlobRef& ref, const Place& place);
  StatusOr<FrameCache::Frame> ReadFrameAt(const PackName& pack, const Place& place);

  static constexpr size_t kCacheBytes = 64 * kMiB;

  Index& index_;
  ObjectStore& store_;
  const RepositoryKeys keys_;
  const BlobHasher& hasher_;
  KnownDamage& damage_;
  FrameCodecContext codec_{1};  // decoding needs no level
  FrameCache frames_{kCacheBytes};
  absl::flat_hash_map<PackNumber, PackName> names_;
  uint64_t bytes_read_ = 0;
};

std::string PackObject(const PackName& pack);
std::string FrameObject(const PackName& pack, uint32_t frame);
std::string BlobObject(const BlobRef& ref);

}  // namespace cairn
