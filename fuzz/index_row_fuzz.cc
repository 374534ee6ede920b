// SPDX-License-Identifier: Apache-2.0
// The decoders of the index's rows: none crashes, and what one accepts is what its encoder makes.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/base/check.h"
#include "core/index/index_row.h"

namespace cairn {
namespace {

void ExpectEqual(const Bytes& encoded, ByteSpan original) {
  CHECK(std::equal(encoded.begin(), encoded.end(), original.begin(), original.end()));
}

void FuzzSealedRow(ByteSpan bytes) {
  const ByteSpan key = bytes.first(bytes.size() / 2);
  const ByteSpan row = bytes.subspan(key.size());
  const auto value = OpenRow(IndexTable::kNotes, key, row);
  if (value.ok()) {
    ExpectEqual(SealRow(IndexTable::kNotes, key, Bytes(value->begin(), value->end())), row);
  }
}

void FuzzPlace(ByteSpan bytes) {
  if (bytes.size() < BlobId::kBytes) return;
  const BlobId id = BlobId::From(bytes.first(BlobId::kBytes));
  const ByteSpan row = bytes.subspan(BlobId::kBytes);
  const auto place = DecodePlaceRow(id, row);
  if (!place.ok()) return;
  const PlaceRow encoded = EncodePlaceRow({place->kind, id}, place->place);
  CHECK(std::equal(encoded.begin(), encoded.end(), row.begin(), row.end()));
}

void FuzzSnapshot(ByteSpan bytes) {
  const ByteSpan key = bytes.first(std::min<size_t>(bytes.size(), 40));
  const ByteSpan value = bytes.subspan(key.size());
  const auto snapshot = DecodeSnapshotRow(key, value);
  if (!snapshot.ok()) return;
  const auto encoded_key = SnapshotKey(snapshot->record, snapshot->id);
  CHECK(std::equal(encoded_key.begin(), encoded_key.end(), key.begin(), key.end()));
  ExpectEqual(EncodeSnapshotRow(*snapshot), value);
}

void FuzzSnapshotTime(ByteSpan key) {
  const auto at = DecodeSnapshotTimeKey(key);
  if (!at.ok()) return;
  const auto encoded = SnapshotTimeKey(at->time, at->record, at->id);
  CHECK(std::equal(encoded.begin(), encoded.end(), key.begin(), key.end()));
}

}  // namespace
}  // namespace cairn

// The first byte chooses the row.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cairn;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const ByteSpan bytes(data + 1, size - 1);
  switch (data[0] % 7) {
    case 0:
      FuzzSealedRow(bytes);
      break;
    case 1:
      FuzzPlace(bytes);
      break;
    case 2:
      FuzzSnapshot(bytes);
      FuzzSnapshotTime(bytes);
      break;
    case 3:
      if (const auto pack = DecodePackRow(1, bytes); pack.ok()) {
        ExpectEqual(EncodePackRow(*pack), bytes);
      }
      break;
    case 4:
      if (const auto frame = DecodeFrameRow(bytes); frame.ok()) {
        ExpectEqual(EncodeFrameRow(*frame), bytes);
      }
      break;
    case 5:
      if (const auto head = DecodeHeadRow(bytes); head.ok()) {
        ExpectEqual(EncodeHeadRow(*head), bytes);
      }
      break;
    default:
      if (const auto number = DecodeNumberRow(bytes); number.ok()) {
        ExpectEqual(EncodeNumberRow(*number), bytes);
      }
      break;
  }
  return 0;
}
