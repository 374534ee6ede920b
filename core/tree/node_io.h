// SPDX-License-Identifier: Apache-2.0
// The form that all nodes share: a section of items, and one of the ids that the items name.
// docs/format.md, "Nodes". For the files of this layer only.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/blob.h"
#include "core/base/bytes.h"
#include "core/base/coding.h"
#include "core/base/status.h"

namespace cairn {

// Both sections of a node while it is written. Thread-compatible.
class NodeSections {
 public:
  Encoder items() { return Encoder(items_); }
  void Id(const BlobId& id) { Append(ids_, id.span()); }

  size_t bytes() const { return items_.size() + ids_.size(); }
  ByteSpan items_section() const { return items_; }
  ByteSpan ids_section() const { return ids_; }
  // Keeps the memory.
  void Clear();

  // The bytes of the node; of the root without level and count.
  Bytes Node(uint8_t level, uint64_t count) const;
  Bytes Root() const;

 private:
  Bytes items_;
  Bytes ids_;
};

// Both sections while they are read. `bytes` must outlive it. Errors are kept as Decoder keeps
// them: read everything, then ask Finish.
class NodeSectionReader {
 public:
  // `structure` is for messages and must be a literal.
  NodeSectionReader(ByteSpan bytes, const char* structure, bool is_root);

  uint8_t level() const { return level_; }
  size_t count() const { return count_; }

  Decoder& items() { return items_; }
  BlobId Id() { return ids_.ReadId<BlobId>(); }
  bool ok() const { return items_.ok() && ids_.ok(); }
  // Null is no failure.
  void FailIf(const char* what) {
    if (what != nullptr) items_.Fail(what);
  }
  // Bytes or ids left over are a failure.
  Status Finish();

 private:
  const char* structure_;
  uint8_t level_ = 0;
  size_t count_ = 0;
  Decoder items_{ByteSpan()};
  Decoder ids_{ByteSpan()};
};

// A blob that something names must be there: NOT_FOUND becomes DATA_LOSS. Errors name the blob.
StatusOr<Bytes> ReadReferencedBlob(BlobSource& source, const BlobRef& ref);

}  // namespace cairn
