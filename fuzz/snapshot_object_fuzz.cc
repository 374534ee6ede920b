// SPDX-License-Identifier: Apache-2.0
// Whatever is decoded of any bytes encodes to the same bytes: there is one encoding for one value.
// So it is with the lists of paths that the object holds.
#include "core/base/check.h"
#include "core/repo/snapshot_object.h"

namespace cairn {
namespace {

void ReadNotes(ByteSpan bytes) {
  const auto notes = DecodePathNotes(bytes);
  if (notes.ok()) CHECK(EncodePathNotes(*notes) == Bytes(bytes.begin(), bytes.end()));
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cairn;  // NOLINT(google-build-using-namespace)
  const ByteSpan bytes(data, size);
  ReadNotes(bytes);
  const auto object = DecodeSnapshotObject(bytes);
  if (!object.ok()) return 0;
  CHECK(EncodeSnapshotObject(*object) == Bytes(data, data + size));
  CHECK(SnapshotReferences(*object).front() == (BlobRef{BlobKind::kRoot, object->root}));
  CHECK(!TopPath(*object).empty());
  ReadNotes(object->errors.inline_bytes);
  ReadNotes(object->skipped.inline_bytes);
  return 0;
}
