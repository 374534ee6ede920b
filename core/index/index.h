// SPDX-License-Identifier: Apache-2.0
// The index: what a process has computed from the journal and the packs' footers. It holds no truth:
// deleted, even under a running process, it costs time only. It may lag behind the journal and
// never leads it.
//
// Two implementations: LMDB in the user's cache (lmdb_index.h), and one in memory
// (memory_index.h), for tests and for when the other cannot be used (disk full).
// tests/conformance/index_conformance.h is the suite that both pass.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/blob.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/pack.h"
#include "core/base/status.h"

namespace cairn {

// Packs are numbered by the index, from 1, to keep places short. Numbers are never reused within
// one index, and mean nothing outside of it.
using PackNumber = uint32_t;

// One place of a blob.
struct Place {
  PackNumber pack = 0;
  uint32_t ordinal = 0;  // of the blob among the pack's blobs, in the footer's order
  uint32_t frame = 0;
  uint32_t offset = 0;  // in the raw frame
  uint32_t bytes = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

struct IndexPack {
  PackNumber number = 0;
  PackInfo info;
  PackState state = PackState::kLive;
  uint32_t frames = 0;
  uint32_t blobs = 0;
  friend bool operator==(const IndexPack&, const IndexPack&) = default;
};

struct IndexSnapshot {
  SnapshotId id;
  uint64_t record = 0;
  bool held = false;
  std::optional<std::vector<std::string>> tags;  // instead of the object's own, if set
  Bytes object;
  friend bool operator==(const IndexSnapshot&, const IndexSnapshot&) = default;
};

// Which record of the journal the index mirrors.
struct IndexHead {
  uint64_t number = 0;
  RecordHash hash;
  friend bool operator==(const IndexHead&, const IndexHead&) = default;
};

// A view that does not change while it lives. Thread-compatible: one for each thread. Short-lived:
// no other I/O, and no waiting, while one is held (a reader that sleeps makes the file grow).
class IndexReader {
 public:
  virtual ~IndexReader() = default;

  virtual StatusOr<IndexHead> Head() = 0;
  // All places of a blob of this id and kind, in every pack that is not purged, in ascending order;
  // empty if there is none.
  virtual StatusOr<std::vector<Place>> FindBlob(const BlobRef& ref) = 0;
  // The full ids that begin with `prefix` (a delta base).
  virtual StatusOr<std::vector<BlobRef>> FindBase(const BaseId& prefix) = 0;
  virtual StatusOr<std::optional<IndexPack>> FindPack(PackNumber number) = 0;
  virtual StatusOr<std::optional<IndexPack>> FindPackByName(const PackName& name) = 0;
  virtual StatusOr<std::optional<FrameInfo>> FindFrame(PackNumber pack, uint32_t frame) = 0;
  virtual StatusOr<std::optional<IndexSnapshot>> FindSnapshot(const SnapshotId& id) = 0;

  // Visitors return false to stop. In ascending order of number, id, record.
  virtual Status ForEachPack(const std::function<bool(const IndexPack&)>& visit) = 0;
  virtual Status ForEachBlob(
      const std::function<bool(const BlobRef&, const Place&)>& visit) = 0;
  virtual Status ForEachSnapshot(const std::function<bool(const IndexSnapshot&)>& visit) = 0;

  // Rows of the change caches and other things that are worth remembering, by opaque keys of at
  // most 256 bytes (core/repo gives them meaning).
  virtual StatusOr<std::optional<Bytes>> FindNote(ByteSpan key) = 0;
};

// One transaction: all of it takes effect at Commit, or nothing does. Only one at a time exists in
// all processes; others wait for it, so nothing but calls of this class happens while one lives.
class IndexWriter {
 public:
  virtual ~IndexWriter() = default;

  virtual StatusOr<IndexHead> Head() = 0;
  virtual Status SetHead(const IndexHead& head) = 0;

  // Adds a pack with all its blobs and frames. If it is there already, only its state is set.
  virtual Status AddPack(const PackInfo& info, PackState state,
                         const std::vector<FrameInfo>& frames,
                         const std::vector<BlobInfo>& blobs) = 0;
  // Unknown names are no error.
  virtual Status SetPackState(const PackName& name, PackState state) = 0;
  // Removes the pack and all places in it. `blobs` are its blobs, if the caller has them; else they
  // are found by a walk over all places.
  virtual Status RemovePacks(const std::vector<PackName>& names) = 0;

  virtual Status PutSnapshot(const IndexSnapshot& snapshot) = 0;
  virtual Status RemoveSnapshot(const SnapshotId& id) = 0;

  virtual StatusOr<std::optional<Bytes>> FindNote(ByteSpan key) = 0;
  virtual Status PutNote(ByteSpan key, ByteSpan value) = 0;
  virtual Status RemoveNote(ByteSpan key) = 0;
  // Removes every note whose key begins with `prefix`.
  virtual Status RemoveNotes(ByteSpan prefix) = 0;

  // Forgets everything but the notes: the caller fills it anew.
  virtual Status Clear() = 0;

  // The writer is of no use afterwards. Without Commit, nothing happened.
  virtual Status Commit() = 0;
};

// Thread-safe.
class Index {
 public:
  virtual ~Index() = default;
  virtual StatusOr<std::unique_ptr<IndexReader>> Read() = 0;
  // RESOURCE_EXHAUSTED if the disk is full: the repository can be used all the same.
  virtual StatusOr<std::unique_ptr<IndexWriter>> Write() = 0;
  // Bytes on disk (for `stats`); 0 for the one in memory.
  virtual StatusOr<uint64_t> StoredBytes() = 0;
};

}  // namespace cairn
