// SPDX-License-Identifier: Apache-2.0
// A journal record's content, and its bytes. docs/format.md, "Journal".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/store/twin.h"

namespace cairn {

// A snapshot object as the journal has it; core/repo knows what its bytes mean.
struct SnapshotEntry {
  SnapshotId id;  // hash of `object`
  Bytes object;
  friend bool operator==(const SnapshotEntry&, const SnapshotEntry&) = default;
};

// Replaces the whole set of a snapshot's tags.
struct TagsEntry {
  SnapshotId snapshot;
  std::vector<std::string> tags;  // ascending, no two equal
  friend bool operator==(const TagsEntry&, const TagsEntry&) = default;
};

// All that one record says, in the order in which it takes effect.
struct RecordEntries {
  std::vector<SessionId> ended = {};
  std::vector<PackInfo> packs = {};
  std::vector<PackName> rescue = {};
  std::vector<PackName> condemn = {};
  std::vector<PackName> purge = {};
  std::vector<PackName> swept = {};
  std::vector<SnapshotEntry> snapshots = {};
  std::vector<SnapshotId> forget = {};
  std::vector<SnapshotId> hold = {};
  std::vector<SnapshotId> release = {};
  std::vector<TagsEntry> tags = {};

  bool empty() const;
  friend bool operator==(const RecordEntries&, const RecordEntries&) = default;
};

SnapshotId HashSnapshotObject(const RepositoryKeys& keys, ByteSpan object);

Bytes EncodeEntries(const RecordEntries& entries);
// UNIMPLEMENTED for an entry of unknown kind that is not marked as ignorable.
StatusOr<RecordEntries> DecodeEntries(const RepositoryKeys& keys, ByteSpan payload);

struct Record {
  uint64_t number = 0;
  RecordHash predecessor;
  RecordHash hash;
  Nonce nonce{};
  RecordEntries entries;
  std::string damage;  // as in DecodedTwin
};

// A record's file. EncodeRecord sets record.hash. DecodeRecord returns DATA_LOSS if the record is
// damaged or belongs to another repository, and UNIMPLEMENTED as DecodeTwin and DecodeEntries do;
// whether number and predecessor are the ones looked for is the caller's to check. `name` is for
// messages.
Bytes EncodeRecord(const RepositoryKeys& keys, Record& record);
StatusOr<Record> DecodeRecord(const RepositoryKeys& keys, ByteSpan file, std::string_view name);

// A snapshot object, or a record, is never larger: what is long in a snapshot (errors, ...) stands
// in blobs. The other bounds keep what is decoded in proportion to what was read.
inline constexpr uint64_t kMinSnapshotObjectBytes = 32;
inline constexpr uint64_t kMaxSnapshotObjectBytes = 16 * kMiB;
inline constexpr uint64_t kMaxRecordFileBytes = 256 * kMiB;
inline constexpr uint64_t kMaxTags = 1024;  // of one snapshot
inline constexpr uint64_t kMaxTagBytes = 1024;

}  // namespace cairn
