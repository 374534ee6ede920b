// SPDX-License-Identifier: Apache-2.0
#include "core/repo/place_sorter.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "core/base/check.h"

namespace cairn {
namespace {

// Id, kind, and the place's numbers, big-endian, so that the order of bytes is theirs.
constexpr size_t kRecordBytes = BlobId::kBytes + 1 + 5 * 4;

void Put32(uint8_t*& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) *out++ = static_cast<uint8_t>(value >> shift);
}

uint32_t Get32(const uint8_t*& in) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | *in++;
  return value;
}

}  // namespace

Status PlaceSorter::Add(const PlacedBlob& placed) {
  std::array<uint8_t, kRecordBytes> record;
  std::memcpy(record.data(), placed.ref.id.bytes.data(), BlobId::kBytes);
  uint8_t* out = record.data() + BlobId::kBytes;
  *out++ = static_cast<uint8_t>(placed.ref.kind);
  const Place& place = placed.place;
  for (const uint32_t number :
       {place.pack, place.ordinal, place.frame, place.offset, place.bytes}) {
    Put32(out, number);
  }
  Status added = sorter_.Add(record);
  failed_ = failed_ || !added.ok();
  return added;
}

Status PlaceSorter::Finish() {
  Status finished = sorter_.Finish();
  failed_ = failed_ || !finished.ok();
  return finished;
}

StatusOr<bool> PlaceSorter::Next(PlacedBlob* placed) {
  const StatusOr<bool> found = sorter_.Next(&record_);
  failed_ = failed_ || !found.ok();
  RETURN_IF_ERROR(found.status());
  if (!*found) return false;
  CHECK(record_.size() == kRecordBytes);
  placed->ref.id = BlobId::From(ByteSpan(record_).first(BlobId::kBytes));
  const uint8_t* in = record_.data() + BlobId::kBytes;
  placed->ref.kind = static_cast<BlobKind>(*in++);
  Place& place = placed->place;
  for (uint32_t* const number :
       {&place.pack, &place.ordinal, &place.frame, &place.offset, &place.bytes}) {
    *number = Get32(in);
  }
  return true;
}

}  // namespace cairn
