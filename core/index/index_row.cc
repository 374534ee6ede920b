// SPDX-License-Identifier: Apache-2.0
#include "core/index/index_row.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "absl/strings/str_format.h"
#include "core/base/coding.h"

namespace cairn {
namespace {

constexpr size_t kCheckBytes = 4;

constexpr const char* kTableNames[kIndexTables] = {
    "meta",   "blobs",     "packs",        "names", "purged",
    "frames", "snapshots", "snapshot ids", "notes", "snapshot times"};

Status DamagedRow(IndexTable table) {
  return DataLoss(
      absl::StrFormat("index row damaged, in table %s", kTableNames[static_cast<size_t>(table)]));
}

void PutBigEndian(uint8_t* out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out[i] = static_cast<uint8_t>(value >> (8 * (bytes - 1 - i)));
}

uint64_t GetBigEndian(const uint8_t* in, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | in[i];
  return value;
}

uint32_t GetBigEndian32(const uint8_t* in) { return static_cast<uint32_t>(GetBigEndian(in, 4)); }

// Multiply and fold, as wyhash does: one multiplication mixes 16 bytes, and the check costs a few
// nanoseconds where BLAKE3 would cost as much as the look-up.
uint64_t Mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Odd constants with as many ones as zeros, as wyhash has them.
constexpr uint64_t kMixA = 0xa0761d6478bd642f;
constexpr uint64_t kMixB = 0xe7037ed1a0b428db;

uint64_t Absorb(uint64_t hash, ByteSpan bytes) {
  hash ^= Mix(bytes.size() ^ kMixA, kMixB);
  while (!bytes.empty()) {
    uint64_t words[2] = {0, 0};
    const size_t taken = std::min(bytes.size(), sizeof(words));
    std::memcpy(words, bytes.data(), taken);
    hash = Mix(words[0] ^ kMixA, words[1] ^ hash);
    bytes = bytes.subspan(taken);
  }
  return hash;
}

}  // namespace

uint32_t RowCheck(IndexTable table, ByteSpan key, ByteSpan value) {
  const uint64_t hash = Absorb(Absorb(static_cast<uint64_t>(table) + kMixB, key), value);
  return static_cast<uint32_t>(hash ^ hash >> 32);
}

Bytes SealRow(IndexTable table, ByteSpan key, Bytes value) {
  const uint32_t check = RowCheck(table, key, value);
  Encoder(value).Fixed32(check);
  return value;
}

StatusOr<ByteSpan> OpenRow(IndexTable table, ByteSpan key, ByteSpan row) {
  if (row.size() < kCheckBytes) return DamagedRow(table);
  const ByteSpan value = row.first(row.size() - kCheckBytes);
  if (Decoder(row.last(kCheckBytes)).Fixed32() != RowCheck(table, key, value)) {
    return DamagedRow(table);
  }
  return value;
}

std::array<uint8_t, 4> PackKey(PackNumber pack) {
  std::array<uint8_t, 4> key;
  PutBigEndian(key.data(), pack, 4);
  return key;
}

std::array<uint8_t, 8> FrameKey(PackNumber pack, uint32_t frame) {
  std::array<uint8_t, 8> key;
  PutBigEndian(key.data(), pack, 4);
  PutBigEndian(key.data() + 4, frame, 4);
  return key;
}

std::array<uint8_t, 40> SnapshotKey(uint64_t record, const SnapshotId& id) {
  std::array<uint8_t, 40> key;
  PutBigEndian(key.data(), record, 8);
  std::copy(id.bytes.begin(), id.bytes.end(), key.begin() + 8);
  return key;
}

// Times before 1970 come before those after it.
constexpr uint64_t kTimeBias = uint64_t{1} << 63;

std::array<uint8_t, kSnapshotTimeKeyBytes> SnapshotTimeKey(const Timestamp& time, uint64_t record,
                                                           const SnapshotId& id) {
  std::array<uint8_t, kSnapshotTimeKeyBytes> key;
  PutBigEndian(key.data(), static_cast<uint64_t>(time.seconds) ^ kTimeBias, 8);
  PutBigEndian(key.data() + 8, time.nanoseconds, 4);
  std::ranges::copy(SnapshotKey(record, id), key.begin() + 12);
  return key;
}

StatusOr<SnapshotAtTime> DecodeSnapshotTimeKey(ByteSpan key) {
  if (key.size() != kSnapshotTimeKeyBytes) return DataLoss("index: damaged key of a time");
  return SnapshotAtTime{.time = {static_cast<int64_t>(GetBigEndian(key.data(), 8) ^ kTimeBias),
                                 GetBigEndian32(key.data() + 8)},
                        .record = GetBigEndian(key.data() + 12, 8),
                        .id = SnapshotId::From(key.subspan(20))};
}

PlaceRow EncodePlaceRow(const BlobRef& ref, const Place& place) {
  PlaceRow row;
  row[0] = static_cast<uint8_t>(ref.kind);
  PutBigEndian(&row[1], place.pack, 4);
  PutBigEndian(&row[5], place.ordinal, 4);
  PutBigEndian(&row[9], place.frame, 4);
  PutBigEndian(&row[13], place.offset, 4);
  PutBigEndian(&row[17], place.bytes, 4);
  const ByteSpan value = ByteSpan(row).first(kPlaceRowBytes - kCheckBytes);
  PutBigEndian(&row[21], RowCheck(IndexTable::kBlobs, ref.id.span(), value), 4);
  return row;
}

StatusOr<BlobPlace> DecodePlaceRow(const BlobId& id, ByteSpan row) {
  if (row.size() != kPlaceRowBytes || !IsBlobKind(row[0])) return DamagedRow(IndexTable::kBlobs);
  const ByteSpan value = row.first(kPlaceRowBytes - kCheckBytes);
  if (GetBigEndian32(&row[21]) != RowCheck(IndexTable::kBlobs, id.span(), value)) {
    return DamagedRow(IndexTable::kBlobs);
  }
  return BlobPlace{BlobKind{row[0]},
                   {.pack = GetBigEndian32(&row[1]),
                    .ordinal = GetBigEndian32(&row[5]),
                    .frame = GetBigEndian32(&row[9]),
                    .offset = GetBigEndian32(&row[13]),
                    .bytes = GetBigEndian32(&row[17])}};
}

Bytes EncodeHeadRow(const IndexHead& head) {
  Bytes value;
  Encoder out(value);
  out.Fixed64(head.number);
  out.Raw(head.hash.span());
  return value;
}

StatusOr<IndexHead> DecodeHeadRow(ByteSpan value) {
  Decoder in(value);
  IndexHead head;
  head.number = in.Fixed64();
  head.hash = in.ReadId<RecordHash>();
  RETURN_IF_ERROR(in.Finish("index head"));
  return head;
}

Bytes EncodePackRow(const IndexPack& pack) {
  Bytes value;
  Encoder out(value);
  out.Raw(pack.info.name.span());
  out.Fixed64(pack.info.bytes);
  out.Raw(pack.info.hash.span());
  out.Raw(pack.info.session.span());
  out.Fixed8(pack.info.content);
  out.Fixed8(static_cast<uint8_t>(pack.state));
  out.Fixed32(pack.frames);
  out.Fixed32(pack.blobs);
  return value;
}

StatusOr<IndexPack> DecodePackRow(PackNumber number, ByteSpan value) {
  Decoder in(value);
  IndexPack pack;
  pack.number = number;
  pack.info.name = in.ReadId<PackName>();
  pack.info.bytes = in.Fixed64();
  pack.info.hash = in.ReadId<PackHash>();
  pack.info.session = in.ReadId<SessionId>();
  pack.info.content = in.Fixed8();
  const uint8_t state = in.Fixed8();
  if (state > static_cast<uint8_t>(PackState::kPurged)) in.Fail("unknown state");
  pack.state = PackState{state};
  pack.frames = in.Fixed32();
  pack.blobs = in.Fixed32();
  RETURN_IF_ERROR(in.Finish("index row of a pack"));
  return pack;
}

Bytes EncodeNumberRow(uint64_t number) {
  Bytes value;
  Encoder(value).Fixed64(number);
  return value;
}

StatusOr<uint64_t> DecodeNumberRow(ByteSpan value) {
  Decoder in(value);
  const uint64_t number = in.Fixed64();
  RETURN_IF_ERROR(in.Finish("index row of a number"));
  return number;
}

Bytes EncodeFrameRow(const FrameInfo& frame) {
  Bytes value;
  Encoder out(value);
  out.Fixed64(frame.offset);
  out.Fixed32(frame.stored_bytes);
  out.Fixed32(frame.raw_bytes);
  out.Fixed8(static_cast<uint8_t>(frame.codec));
  out.Raw(frame.checksum);
  out.Varint(frame.bases.size());
  for (const BaseId& base : frame.bases) out.Raw(base);
  return value;
}

StatusOr<FrameInfo> DecodeFrameRow(ByteSpan value) {
  Decoder in(value);
  FrameInfo frame;
  frame.offset = in.Fixed64();
  frame.stored_bytes = in.Fixed32();
  frame.raw_bytes = in.Fixed32();
  const uint8_t codec = in.Fixed8();
  if (codec > static_cast<uint8_t>(FrameCodec::kZstd)) in.Fail("unknown codec");
  frame.codec = FrameCodec{codec};
  const ByteSpan checksum = in.Raw(frame.checksum.size());
  std::copy(checksum.begin(), checksum.end(), frame.checksum.begin());
  frame.bases.resize(in.Count(sizeof(BaseId)));
  for (BaseId& base : frame.bases) {
    const ByteSpan id = in.Raw(base.size());
    std::copy(id.begin(), id.end(), base.begin());
  }
  RETURN_IF_ERROR(in.Finish("index row of a frame"));
  return frame;
}

Bytes EncodeSnapshotRow(const IndexSnapshot& snapshot) {
  Bytes value;
  Encoder out(value);
  out.Fixed64(static_cast<uint64_t>(snapshot.time.seconds));
  out.Fixed32(snapshot.time.nanoseconds);
  out.Fixed8(snapshot.held ? 1 : 0);
  out.Fixed8(snapshot.tags ? 1 : 0);
  if (snapshot.tags) {
    out.Varint(snapshot.tags->size());
    for (const std::string& tag : *snapshot.tags) out.String(tag);
  }
  out.String(snapshot.object);
  return value;
}

StatusOr<IndexSnapshot> DecodeSnapshotRow(ByteSpan key, ByteSpan value) {
  Decoder key_in(key);
  IndexSnapshot snapshot;
  const ByteSpan record = key_in.Raw(8);
  if (record.size() == 8) snapshot.record = GetBigEndian(record.data(), 8);
  snapshot.id = key_in.ReadId<SnapshotId>();
  RETURN_IF_ERROR(key_in.Finish("index key of a snapshot"));

  Decoder in(value);
  snapshot.time.seconds = static_cast<int64_t>(in.Fixed64());
  snapshot.time.nanoseconds = in.Fixed32();
  const uint8_t held = in.Fixed8();
  const uint8_t tagged = in.Fixed8();
  if (held > 1 || tagged > 1) in.Fail("flag out of its range");
  snapshot.held = held != 0;
  constexpr size_t kAny = std::numeric_limits<size_t>::max();
  if (tagged != 0) {
    snapshot.tags.emplace(in.Count(1));
    for (std::string& tag : *snapshot.tags) tag = in.Text(kAny);
  }
  const ByteSpan object = in.String(kAny);
  snapshot.object.assign(object.begin(), object.end());
  RETURN_IF_ERROR(in.Finish("index row of a snapshot"));
  return snapshot;
}

}  // namespace cairn
