// SPDX-License-Identifier: Apache-2.0
// The change cache: what each source directory looked like when a snapshot read it, so that an
// unchanged one costs its stats and nothing more. It lives in the index, mirrors one root, and is
// trusted only while a live snapshot has that root. docs/design.md, "Change cache".
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/external_sorter.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/fs/witness.h"
#include "core/repo/repository.h"

namespace cairn {

// What is remembered of one leaf (a level-0 node) of a directory.
struct CacheRow {
  // Of names and witnesses of the leaf's entries; nothing if one of them has none that is settled.
  std::optional<std::array<uint8_t, 16>> hash;
  // When the row was made, in seconds, if it has tentative witnesses; then it has no hash.
  std::optional<int64_t> tentative_at;
  std::vector<Witness> witnesses;  // in the order of the leaf's entries; 0 for none
};
// As the index keeps it. DATA_LOSS for bytes that EncodeCacheRow does not make.
Bytes EncodeCacheRow(const CacheRow& row);
StatusOr<CacheRow> DecodeCacheRow(ByteSpan bytes);

// One for each (host, user, sources, rules). A row is found by the directory's path and the id of
// the leaf, so a row that does not belong to the base snapshot's tree is never found.
class ChangeCache {
 public:
  using Key = std::array<uint8_t, 16>;

  // `scope` is whatever must be equal for rows to be comparable: host, user, sources, rules.
  ChangeCache(Repository& repository, const std::string& scope);

  // The live snapshot whose tree the rows mirror, if there is one. To be called first.
  StatusOr<std::optional<SnapshotView>> Base();

  // The row of a leaf; nothing if there is none. Who knows the leaf's entries must see that the row
  // has as many witnesses. Thread-safe.
  StatusOr<std::optional<CacheRow>> Find(const std::string& directory, const BlobId& leaf);

  // What the new tree's rows will be. Kept in bounded memory until Write. Thread-safe.
  Status Put(const std::string& directory, const BlobId& leaf, const CacheRow& row);
  Status Remove(const std::string& directory, const BlobId& leaf);
  // Undoes each Put of the leaf, and removes what was there before.
  Status TakeBack(const std::string& directory, const BlobId& leaf);

  // Replaces the rows, in transactions of bounded size, while the cache still names the root that
  // Base returned; drops those that are left once it names another.
  // Nothing is written if nothing was put and the root is the same.
  Status Write(const SnapshotId& snapshot, const BlobId& root);

 private:
  Bytes RowKey(const std::string& directory, const BlobId& leaf) const;
  Bytes HeadKey() const;
  // Some of the changes; whether there are more.
  StatusOr<bool> WriteSome(IndexWriter& writer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // In the order in which those of one leaf take effect.
  enum class Change : uint8_t { kRemove, kPut, kTakeBack };
  Status AddChange(const std::string& directory, const BlobId& leaf, Change change, ByteSpan value);

  Repository& repository_;
  const Key key_;
  std::optional<Bytes> head_before_;  // as it was read by Base

  Mutex mutex_;
  ExternalSorter changes_ ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace cairn
