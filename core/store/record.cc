// SPDX-License-Identifier: Apache-2.0
#include "core/store/record.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/blake3.h"
#include "core/base/coding.h"
#include "core/store/entry_codec.h"
#include "core/store/features.h"

namespace cairn {
namespace {

// Part of the format: values are never changed or reused.
enum class EntryKind : uint8_t {
  kEnded = 1,
  kPacks = 2,
  kRescue = 3,
  kCondemn = 4,
  kPurge = 5,
  kSwept = 6,
  kSnapshots = 7,
  kForget = 8,
  kHold = 9,
  kRelease = 10,
  kTags = 11,
};
// Unknown kinds from here on may be passed over.
constexpr uint8_t kFirstIgnorableKind = 128;

constexpr size_t kMinTagsEntryBytes = SnapshotId::kBytes + 1;

template <typename Item, typename EncodeItem>
void EncodeList(Encoder& out, EntryKind kind, const std::vector<Item>& items, EncodeItem encode) {
  if (items.empty()) return;
  Bytes body;
  Encoder encoder(body);
  encoder.Varint(items.size());
  for (const Item& item : items) encode(encoder, item);
  out.Fixed8(static_cast<uint8_t>(kind));
  out.String(body);
}

template <typename Id>
void EncodeIds(Encoder& out, EntryKind kind, const std::vector<Id>& ids) {
  EncodeList(out, kind, ids, [](Encoder& encoder, const Id& id) { encoder.Raw(id.span()); });
}

template <typename Item, typename DecodeItem>
void DecodeList(Decoder& decoder, size_t min_item_bytes, std::vector<Item>& items,
                DecodeItem decode) {
  const size_t count = decoder.Count(min_item_bytes);
  if (count == 0) decoder.Fail("an entry is empty");
  for (size_t i = 0; i < count && decoder.ok(); ++i) items.push_back(decode(decoder));
}

template <typename Id>
void DecodeIds(Decoder& decoder, std::vector<Id>& ids) {
  DecodeList(decoder, Id::kBytes, ids, [](Decoder& d) { return d.ReadId<Id>(); });
}

SnapshotEntry DecodeSnapshot(const RepositoryKeys& keys, Decoder& decoder) {
  SnapshotEntry entry;
  entry.object = DecodeSnapshotObject(decoder);
  entry.id = HashSnapshotObject(keys, entry.object);
  return entry;
}

TagsEntry DecodeTagsEntry(Decoder& decoder) {
  TagsEntry entry;
  entry.snapshot = decoder.ReadId<SnapshotId>();
  entry.tags = DecodeTags(decoder);
  return entry;
}

uint32_t FeaturesOfEntries(const RecordEntries& entries) {
  return FeaturesOf(entries.packs, [](const PackInfo& pack) { return pack.content; });
}

Status DecodeEntry(const RepositoryKeys& keys, uint8_t kind, ByteSpan body,
                   RecordEntries& entries) {
  if (kind >= kFirstIgnorableKind) return OkStatus();
  Decoder decoder(body);
  switch (static_cast<EntryKind>(kind)) {
    case EntryKind::kEnded:
      DecodeIds(decoder, entries.ended);
      break;
    case EntryKind::kPacks:
      DecodeList(decoder, kMinPackInfoBytes, entries.packs, DecodePackInfo);
      break;
    case EntryKind::kRescue:
      DecodeIds(decoder, entries.rescue);
      break;
    case EntryKind::kCondemn:
      DecodeIds(decoder, entries.condemn);
      break;
    case EntryKind::kPurge:
      DecodeIds(decoder, entries.purge);
      break;
    case EntryKind::kSwept:
      DecodeIds(decoder, entries.swept);
      break;
    case EntryKind::kSnapshots:
      DecodeList(decoder, kMinSnapshotObjectBytes + 1, entries.snapshots,
                 [&keys](Decoder& d) { return DecodeSnapshot(keys, d); });
      break;
    case EntryKind::kForget:
      DecodeIds(decoder, entries.forget);
      break;
    case EntryKind::kHold:
      DecodeIds(decoder, entries.hold);
      break;
    case EntryKind::kRelease:
      DecodeIds(decoder, entries.release);
      break;
    case EntryKind::kTags:
      DecodeList(decoder, kMinTagsEntryBytes, entries.tags, DecodeTagsEntry);
      break;
    default:
      return Unimplemented(absl::StrFormat(
          "journal record: entries of kind %d are unknown: use a newer version of cairn", kind));
  }
  return decoder.Finish(absl::StrFormat("journal record, entry of kind %d", kind));
}

}  // namespace

bool RecordEntries::empty() const { return *this == RecordEntries{}; }

SnapshotId HashSnapshotObject(const RepositoryKeys& keys, ByteSpan object) {
  return SnapshotId{Blake3Keyed(keys.snapshot_hash_key(), object)};
}

Bytes EncodeEntries(const RecordEntries& entries) {
  Bytes payload;
  Encoder out(payload);
  EncodeIds(out, EntryKind::kEnded, entries.ended);
  EncodeList(out, EntryKind::kPacks, entries.packs, EncodePackInfo);
  EncodeIds(out, EntryKind::kRescue, entries.rescue);
  EncodeIds(out, EntryKind::kCondemn, entries.condemn);
  EncodeIds(out, EntryKind::kPurge, entries.purge);
  EncodeIds(out, EntryKind::kSwept, entries.swept);
  EncodeList(out, EntryKind::kSnapshots, entries.snapshots,
             [](Encoder& e, const SnapshotEntry& entry) { e.String(entry.object); });
  EncodeIds(out, EntryKind::kForget, entries.forget);
  EncodeIds(out, EntryKind::kHold, entries.hold);
  EncodeIds(out, EntryKind::kRelease, entries.release);
  EncodeList(out, EntryKind::kTags, entries.tags, [](Encoder& e, const TagsEntry& entry) {
    e.Raw(entry.snapshot.span());
    EncodeTags(e, entry.tags);
  });
  return payload;
}

StatusOr<RecordEntries> DecodeEntries(const RepositoryKeys& keys, ByteSpan payload) {
  Decoder decoder(payload);
  RecordEntries entries;
  int last_kind = -1;
  while (decoder.ok() && decoder.remaining() > 0) {
    const uint8_t kind = decoder.Fixed8();
    const ByteSpan body = decoder.String(decoder.remaining());
    if (kind <= last_kind) decoder.Fail("entries are not in order");
    if (!decoder.ok()) break;
    last_kind = kind;
    RETURN_IF_ERROR(DecodeEntry(keys, kind, body, entries));
  }
  RETURN_IF_ERROR(decoder.Finish("journal record"));
  return entries;
}

Bytes EncodeRecord(const RepositoryKeys& keys, Record& record) {
  Twin twin;
  twin.magic = kRecordMagic;
  twin.features = FeaturesOfEntries(record.entries);
  twin.repository = keys.id();
  twin.number = record.number;
  twin.predecessor = record.predecessor;
  twin.nonce = record.nonce;
  twin.payload = EncodeEntries(record.entries);
  Bytes file = EncodeTwin(keys, twin);
  record.hash = twin.hash;
  return file;
}

StatusOr<Record> DecodeRecord(const RepositoryKeys& keys, ByteSpan file, std::string_view name) {
  ASSIGN_OR_RETURN(DecodedTwin decoded, DecodeTwin(keys, kRecordMagic, file, name));
  const Twin& twin = decoded.twin;
  if (twin.repository != keys.id()) {
    return DataLoss(absl::StrFormat("%s belongs to another repository", name));
  }
  StatusOr<RecordEntries> entries = DecodeEntries(keys, twin.payload);
  if (!entries.ok()) return Annotate(entries.status(), name);
  if (twin.features != FeaturesOfEntries(*entries)) {
    return DataLoss(absl::StrFormat("%s: its feature flags contradict its entries", name));
  }
  return Record{.number = twin.number,
                .predecessor = twin.predecessor,
                .hash = twin.hash,
                .nonce = twin.nonce,
                .entries = *std::move(entries),
                .damage = std::move(decoded.damage)};
}

}  // namespace cairn
