// SPDX-License-Identifier: Apache-2.0
#include "core/repo/change_cache.h"

#include <algorithm>

#include "core/base/blake3.h"
#include "core/base/coding.h"
#include "core/base/profile.h"

namespace cairn {
namespace {

// Rows wait here until the snapshot is committed; more go to a temporary file.
constexpr size_t kChangesMemoryBytes = 8 * kMiB;
// What a transaction changes is held in memory until it is committed. Between two of them some rows
// are the new tree's already, under the old one's head: true all the same, since a row says what a
// leaf's files looked like, whichever tree has the leaf. After a kill the others are missing.
constexpr size_t kBytesAtOnce = 8 * kMiB;
// Entries of a leaf at most (docs/format.md).
constexpr size_t kMaxWitnesses = 1024;
// The first byte of a row: what comes before the witnesses.
enum : uint8_t { kNeither = 0, kHash = 1, kTentative = 2 };

ChangeCache::Key Cut16(const Hash256& hash) {
  ChangeCache::Key key;
  std::copy_n(hash.begin(), key.size(), key.begin());
  return key;
}

}  // namespace

Bytes EncodeCacheRow(const CacheRow& row) {
  Bytes bytes;
  Encoder out(bytes);
  if (row.hash) {
    out.Fixed8(kHash);
    out.Raw(*row.hash);
  } else if (row.tentative_at) {
    out.Fixed8(kTentative);
    out.Fixed64(static_cast<uint64_t>(*row.tentative_at));
  } else {
    out.Fixed8(kNeither);
  }
  for (const Witness witness : row.witnesses) out.Fixed64(witness);
  return bytes;
}

StatusOr<CacheRow> DecodeCacheRow(ByteSpan bytes) {
  Decoder in(bytes);
  CacheRow row;
  switch (in.Fixed8()) {
    case kNeither:
      break;
    case kHash: {
      const ByteSpan hash = in.Raw(16);
      row.hash.emplace();
      if (hash.size() == 16) std::copy(hash.begin(), hash.end(), row.hash->begin());
      break;
    }
    case kTentative:
      row.tentative_at = static_cast<int64_t>(in.Fixed64());
      break;
    default:
      in.Fail("unknown kind of row");
  }
  if (in.remaining() > kMaxWitnesses * 8) in.Fail("too many witnesses");
  while (in.ok() && in.remaining() > 0) row.witnesses.push_back(in.Fixed64());
  RETURN_IF_ERROR(in.Finish("change cache"));
  return row;
}

ChangeCache::ChangeCache(Repository& repository, const std::string& scope)
    : repository_(repository),
      key_(Cut16(Blake3Hash(AsBytes(scope)))),
      changes_({.memory_bytes = kChangesMemoryBytes}) {}

Bytes ChangeCache::HeadKey() const {
  Bytes key = ToBytes("cache/head/");
  Append(key, key_);
  return key;
}

Bytes ChangeCache::RowKey(const std::string& directory, const BlobId& leaf) const {
  Bytes key = ToBytes("cache/row/");
  Append(key, key_);
  Append(key, Cut16(Blake3Hash(AsBytes(directory))));
  Append(key, leaf.span());
  return key;
}

StatusOr<std::optional<SnapshotView>> ChangeCache::Base() {
  std::optional<SnapshotId> snapshot;
  std::optional<BlobId> root;
  {
    ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
    ASSIGN_OR_RETURN(head_before_, reader->FindNote(HeadKey()));
  }
  if (!head_before_) return std::optional<SnapshotView>();
  Decoder in(*head_before_);
  snapshot = in.ReadId<SnapshotId>();
  root = in.ReadId<BlobId>();
  RETURN_IF_ERROR(in.Finish("change cache"));
  StatusOr<SnapshotView> view = repository_.FindSnapshot(*snapshot);
  if (view.ok()) {
    if (view->object.root != *root) return std::optional<SnapshotView>();
    return std::optional<SnapshotView>(*std::move(view));
  }
  // Forgotten, but another one may have the same root.
  return repository_.FindNewestSnapshot(
      [&](const SnapshotInfo& other) { return other.root == *root; });
}

StatusOr<std::optional<CacheRow>> ChangeCache::Find(const std::string& directory,
                                                    const BlobId& leaf) {
  std::optional<Bytes> value;
  {
    ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
    ASSIGN_OR_RETURN(value, reader->FindNote(RowKey(directory, leaf)));
  }
  if (!value) return std::optional<CacheRow>();
  ASSIGN_OR_RETURN(CacheRow row, DecodeCacheRow(*value));
  return std::optional<CacheRow>(std::move(row));
}

// A change as the sorter holds it: key, kind, value. So a removal comes before a row that is put
// under the same key, which then stays unless it is taken back.
Status ChangeCache::AddChange(const std::string& directory, const BlobId& leaf, Change change,
                              ByteSpan value) {
  Bytes record = RowKey(directory, leaf);
  record.push_back(static_cast<uint8_t>(change));
  Append(record, value);
  MutexLock lock(mutex_);
  changed_ = true;
  return changes_.Add(record);
}

Status ChangeCache::Put(const std::string& directory, const BlobId& leaf, const CacheRow& row) {
  return AddChange(directory, leaf, Change::kPut, EncodeCacheRow(row));
}

Status ChangeCache::Remove(const std::string& directory, const BlobId& leaf) {
  return AddChange(directory, leaf, Change::kRemove, {});
}

Status ChangeCache::TakeBack(const std::string& directory, const BlobId& leaf) {
  return AddChange(directory, leaf, Change::kTakeBack, {});
}

Status ChangeCache::Write(const SnapshotId& snapshot, const BlobId& root) {
  const StageTimer timer(Stage::kIndex);
  Bytes head;
  Encoder out(head);
  out.Raw(snapshot.span());
  out.Raw(root.span());
  MutexLock lock(mutex_);
  const bool same_root =
      head_before_ && std::equal(head_before_->end() - BlobId::kBytes, head_before_->end(),
                                 root.bytes.begin(), root.bytes.end());
  if (!changed_ && same_root) return OkStatus();
  RETURN_IF_ERROR(changes_.Finish());
  for (bool more = true; more;) {
    ASSIGN_OR_RETURN(const auto writer, repository_.index().Write());
    ASSIGN_OR_RETURN(const std::optional<Bytes> head_now, writer->FindNote(HeadKey()));
    // Another run has replaced the rows meanwhile: those of its tree are kept.
    if (head_now != head_before_) return OkStatus();
    ASSIGN_OR_RETURN(more, WriteSome(*writer));
    if (!more) RETURN_IF_ERROR(writer->PutNote(HeadKey(), head));
    RETURN_IF_ERROR(writer->Commit());
  }
  return OkStatus();
}

StatusOr<bool> ChangeCache::WriteSome(IndexWriter& writer) {
  const size_t key_bytes = RowKey("", BlobId{}).size();
  Bytes change;
  for (size_t bytes = 0; bytes < kBytesAtOnce; bytes += change.size()) {
    ASSIGN_OR_RETURN(const bool more, changes_.Next(&change));
    if (!more) return false;
    const ByteSpan key = ByteSpan(change).first(key_bytes);
    if (change[key_bytes] == static_cast<uint8_t>(Change::kPut)) {
      RETURN_IF_ERROR(writer.PutNote(key, ByteSpan(change).subspan(key_bytes + 1)));
    } else {
      RETURN_IF_ERROR(writer.RemoveNote(key));
    }
  }
  return true;
}

}  // namespace cairn
