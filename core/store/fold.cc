// SPDX-License-Identifier: Apache-2.0
// The payload of a fold (docs/format.md, "Folds").
#include <algorithm>

#include "core/base/coding.h"
#include "core/store/entry_codec.h"
#include "core/store/features.h"
#include "core/store/journal_state.h"

namespace cairn {
namespace {

constexpr char kStructure[] = "fold";
constexpr uint8_t kFlagHeld = 1;
constexpr uint8_t kFlagTags = 2;
// state, named_at, since
constexpr size_t kMinPackEntryBytes = kMinPackInfoBytes + 3;
// id, record, flags, the object's length
constexpr size_t kMinSnapshotBytes = SnapshotId::kBytes + 3 + kMinSnapshotObjectBytes;

uint64_t DecodeRecordNumber(Decoder& decoder, uint64_t first, uint64_t last) {
  const uint64_t number = decoder.VarintUpTo(last);
  if (number < first) decoder.Fail("a record's number is out of its range");
  return number;
}

PackEntry DecodePackEntry(Decoder& decoder, uint64_t last) {
  PackEntry entry;
  entry.info = DecodePackInfo(decoder);
  const uint8_t state = decoder.Fixed8();
  if (state > static_cast<uint8_t>(PackState::kPurged)) decoder.Fail("unknown state of a pack");
  entry.state = static_cast<PackState>(state);
  entry.named_at = DecodeRecordNumber(decoder, 1, last);
  entry.since = DecodeRecordNumber(decoder, entry.named_at, last);
  return entry;
}

SnapshotRecord DecodeSnapshotRecord(const RepositoryKeys& keys, Decoder& decoder, uint64_t last) {
  SnapshotRecord record;
  record.snapshot.id = decoder.ReadId<SnapshotId>();
  record.record = DecodeRecordNumber(decoder, 1, last);
  const uint8_t flags = decoder.Fixed8();
  if (flags > (kFlagHeld | kFlagTags)) decoder.Fail("unknown flags of a snapshot");
  record.held = (flags & kFlagHeld) != 0;
  if ((flags & kFlagTags) != 0) record.tags = DecodeTags(decoder);
  record.snapshot.object = DecodeSnapshotObject(decoder);
  if (decoder.ok() && HashSnapshotObject(keys, record.snapshot.object) != record.snapshot.id) {
    decoder.Fail("a snapshot's id is not its hash");
  }
  return record;
}

std::set<SessionId> SessionsWithPacks(const std::map<PackName, PackEntry>& packs) {
  std::set<SessionId> sessions;
  for (const auto& [name, entry] : packs) sessions.insert(entry.info.session);
  return sessions;
}

}  // namespace

Bytes EncodeFold(const JournalState& state) {
  Bytes payload;
  Encoder encoder(payload);
  encoder.Varint(state.short_hashes_.size());
  for (const RecordShortHash& hash : state.short_hashes_) encoder.Raw(hash);

  encoder.Varint(state.packs_.size());
  for (const auto& [name, entry] : state.packs_) {
    EncodePackInfo(encoder, entry.info);
    encoder.Fixed8(static_cast<uint8_t>(entry.state));
    encoder.Varint(entry.named_at);
    encoder.Varint(entry.since);
  }

  encoder.Varint(state.snapshots_.size());
  for (const auto& [id, record] : state.snapshots_) {
    encoder.Raw(id.span());
    encoder.Varint(record.record);
    encoder.Fixed8(static_cast<uint8_t>((record.held ? kFlagHeld : 0) |
                                        (record.tags.has_value() ? kFlagTags : 0)));
    if (record.tags.has_value()) EncodeTags(encoder, *record.tags);
    encoder.String(record.snapshot.object);
  }

  std::vector<SessionId> ended;
  std::ranges::set_intersection(state.ended_, SessionsWithPacks(state.packs_),
                                std::back_inserter(ended));
  encoder.Varint(ended.size());
  for (const SessionId& session : ended) encoder.Raw(session.span());
  return payload;
}

uint32_t FeaturesOf(const JournalState& state) {
  return FeaturesOf(state.packs(), [](const auto& pack) { return pack.second.info.content; });
}

StatusOr<JournalState> DecodeFold(const RepositoryKeys& keys, ByteSpan payload,
                                  const JournalHead& head) {
  JournalState state;
  state.head_ = head;
  Decoder decoder(payload);

  const size_t records = decoder.Count(sizeof(RecordShortHash));
  state.short_hashes_.resize(records);
  for (RecordShortHash& hash : state.short_hashes_) {
    std::ranges::copy(decoder.Raw(hash.size()), hash.begin());
  }
  if (records == 0 || records != head.number ||
      state.short_hashes_.back() != ShortHash(head.hash)) {
    decoder.Fail("its list of records does not end with its own record");
  }

  const size_t packs = decoder.Count(kMinPackEntryBytes);
  for (size_t i = 0; i < packs && decoder.ok(); ++i) {
    PackEntry entry = DecodePackEntry(decoder, head.number);
    const PackName name = entry.info.name;
    if (!state.packs_.empty() && name <= state.packs_.rbegin()->first) {
      decoder.Fail("packs are not in order");
    }
    state.packs_.emplace_hint(state.packs_.end(), name, std::move(entry));
  }

  const size_t snapshots = decoder.Count(kMinSnapshotBytes);
  for (size_t i = 0; i < snapshots && decoder.ok(); ++i) {
    SnapshotRecord record = DecodeSnapshotRecord(keys, decoder, head.number);
    const SnapshotId id = record.snapshot.id;
    if (!state.snapshots_.empty() && id <= state.snapshots_.rbegin()->first) {
      decoder.Fail("snapshots are not in order");
    }
    state.snapshots_.emplace_hint(state.snapshots_.end(), id, std::move(record));
  }

  const size_t ended = decoder.Count(SessionId::kBytes);
  for (size_t i = 0; i < ended && decoder.ok(); ++i) {
    const SessionId session = decoder.ReadId<SessionId>();
    if (!state.ended_.empty() && session <= *state.ended_.rbegin()) {
      decoder.Fail("ended sessions are not in order");
    }
    state.ended_.insert(state.ended_.end(), session);
  }
  if (decoder.ok() && !std::ranges::includes(SessionsWithPacks(state.packs_), state.ended_)) {
    decoder.Fail("an ended session has no packs");
  }
  RETURN_IF_ERROR(decoder.Finish(kStructure));
  return state;
}

}  // namespace cairn
