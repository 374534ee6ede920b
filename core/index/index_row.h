// SPDX-License-Identifier: Apache-2.0
// The rows of the index on disk: keys, values, and the check that each value ends in.
//
// Integers in keys and in places are big-endian, so that LMDB's order of bytes is their order. An
// index never leaves its host; other values have the encoding of core/base/coding.h.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/index/index.h"

namespace cairn {

// Changed whenever a row changes: an index of another schema lies in another directory.
inline constexpr uint32_t kIndexSchema = 2;

enum class IndexTable : uint8_t {
  kMeta = 0,           // "repository", "head", "next_pack"
  kBlobs = 1,          // blob id -> places, sorted; several values to a key
  kPacks = 2,          // pack number -> IndexPack
  kPackNames = 3,      // pack name -> pack number
  kPurged = 4,         // numbers of the purged among the packs -> nothing
  kFrames = 5,         // pack number, frame -> FrameInfo
  kSnapshots = 6,      // record, snapshot id -> IndexSnapshot
  kSnapshotIds = 7,    // snapshot id -> record
  kNotes = 8,          // opaque
  kSnapshotTimes = 9,  // time, record, snapshot id -> nothing
};
inline constexpr int kIndexTables = 10;

// Of table, key and value: finds a damaged row, and one that belongs elsewhere. Not against an
// adversary (the index is the user's own), but fast: three multiplications for a place.
uint32_t RowCheck(IndexTable table, ByteSpan key, ByteSpan value);

// `value` with its check behind it.
Bytes SealRow(IndexTable table, ByteSpan key, Bytes value);
// What was sealed; DATA_LOSS if it is not that. A view of `row`.
StatusOr<ByteSpan> OpenRow(IndexTable table, ByteSpan key, ByteSpan row);

std::array<uint8_t, 4> PackKey(PackNumber pack);
std::array<uint8_t, 8> FrameKey(PackNumber pack, uint32_t frame);
std::array<uint8_t, 40> SnapshotKey(uint64_t record, const SnapshotId& id);

inline constexpr size_t kSnapshotTimeKeyBytes = 8 + 4 + 40;
std::array<uint8_t, kSnapshotTimeKeyBytes> SnapshotTimeKey(const Timestamp& time, uint64_t record,
                                                           const SnapshotId& id);
struct SnapshotAtTime {
  Timestamp time;
  uint64_t record = 0;
  SnapshotId id;
};
StatusOr<SnapshotAtTime> DecodeSnapshotTimeKey(ByteSpan key);

// A row of kBlobs with its check: kind, pack, ordinal, frame, offset, bytes, check.
inline constexpr size_t kPlaceRowBytes = 1 + 5 * 4 + 4;
using PlaceRow = std::array<uint8_t, kPlaceRowBytes>;
PlaceRow EncodePlaceRow(const BlobRef& ref, const Place& place);
struct BlobPlace {
  BlobKind kind = BlobKind::kChunk;
  Place place;
};
StatusOr<BlobPlace> DecodePlaceRow(const BlobId& id, ByteSpan row);

// The values of the other tables, without their checks. The decoders accept exactly what the
// encoders make, and report anything else as DATA_LOSS.
Bytes EncodeHeadRow(const IndexHead& head);
StatusOr<IndexHead> DecodeHeadRow(ByteSpan value);
Bytes EncodePackRow(const IndexPack& pack);  // the number is the key
StatusOr<IndexPack> DecodePackRow(PackNumber number, ByteSpan value);
Bytes EncodeNumberRow(uint64_t number);
StatusOr<uint64_t> DecodeNumberRow(ByteSpan value);
Bytes EncodeFrameRow(const FrameInfo& frame);
StatusOr<FrameInfo> DecodeFrameRow(ByteSpan value);
Bytes EncodeSnapshotRow(const IndexSnapshot& snapshot);  // id and record are the key
StatusOr<IndexSnapshot> DecodeSnapshotRow(ByteSpan key, ByteSpan value);

}  // namespace cairn
