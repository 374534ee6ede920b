// SPDX-License-Identifier: Apache-2.0
#include "core/tree/node_io.h"

#include "absl/strings/str_format.h"
#include "core/tree/node.h"

namespace cairn {

void NodeSections::Clear() {
  items_.clear();
  ids_.clear();
}

Bytes NodeSections::Node(uint8_t level, uint64_t count) const {
  Bytes bytes;
  bytes.reserve(items_.size() + ids_.size() + 16);
  Encoder encoder(bytes);
  encoder.Varint(level);
  encoder.Varint(count);
  encoder.String(items_);
  encoder.Raw(ids_);
  return bytes;
}

Bytes NodeSections::Root() const {
  Bytes bytes;
  Encoder encoder(bytes);
  encoder.String(items_);
  encoder.Raw(ids_);
  return bytes;
}

NodeSectionReader::NodeSectionReader(ByteSpan bytes, const char* structure, bool is_root)
    : structure_(structure) {
  Decoder decoder(bytes);
  if (bytes.size() > kMaxBlobBytes) decoder.Fail("larger than any blob");
  if (!is_root) {
    level_ = static_cast<uint8_t>(decoder.VarintUpTo(kMaxNodeLevel));
    count_ = static_cast<size_t>(decoder.VarintUpTo(kMaxNodeItems));
  }
  const ByteSpan items = decoder.String(kMaxBlobBytes);
  ids_ = Decoder(decoder.Raw(decoder.remaining()));
  items_ = decoder.ok() ? Decoder(items) : decoder;
}

Status NodeSectionReader::Finish() {
  RETURN_IF_ERROR(items_.Finish(structure_));
  return ids_.Finish(structure_);
}

StatusOr<Bytes> ReadReferencedBlob(BlobSource& source, const BlobRef& ref) {
  StatusOr<Bytes> bytes = source.ReadBlob(ref);
  if (bytes.ok()) return bytes;
  const std::string name =
      absl::StrFormat("reading %s %s", BlobKindName(ref.kind), ref.id.ShortHex());
  const Status named = Annotate(bytes.status(), name);
  if (named.code() != StatusCode::kNotFound) return named;
  return DataLoss(Message(named));
}

}  // namespace cairn
