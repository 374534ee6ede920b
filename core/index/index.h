// SPDX-License-Identifier: Apache-2.0
// The index: what a process has computed from the journal and the packs' footers. It holds no
// truth: deleted, even under a running process, it costs time only. It may lag behind the journal
// and never leads it.
//
// Two implementations: LMDB in the user's cache (lmdb_index.h), and one in memory
// (memory_index.h), for tests and for when the other cannot be used (disk full).
// tests/conformance has the suite that both pass.
//
// Errors of every call: DATA_LOSS if the index is damaged (clear it, or delete it, and fill it
// anew), RESOURCE_EXHAUSTED if it cannot grow, UNAVAILABLE for other I/O errors. After any of them
// the repository can be used all the same, with the index in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "core/base/blob.h"
#include "core/base/bytes.h"
#include "core/base/clock.h"
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
  friend auto operator<=>(const Place&, const Place&) = default;
};
// Nearly every blob has one place only: no allocation for it.
using PlaceList = absl::InlinedVector<Place, 1>;

struct IndexPack {
  PackNumber number = 0;
  PackInfo info;
  PackState state = PackState::kLive;
  uint32_t frames = 0;
  uint32_t blobs = 0;
  friend bool operator==(const IndexPack&, const IndexPack&) = default;
};

// A pack that is to be added; a view of the caller's vectors.
struct PackContents {
  PackInfo info;
  PackState state = PackState::kLive;
  std::span<const FrameInfo> frames;
  std::span<const BlobInfo> blobs;  // all of the pack's, in the footer's order
};

// A blob, and one place of it.
struct PlacedBlob {
  BlobRef ref;
  Place place;
  friend bool operator==(const PlacedBlob&, const PlacedBlob&) = default;
};

struct IndexSnapshot {
  SnapshotId id;
  uint64_t record = 0;
  Timestamp time;  // by which it is found
  bool held = false;
  std::optional<std::vector<std::string>> tags;  // instead of the object's own, if set
  Bytes object;
  friend bool operator==(const IndexSnapshot&, const IndexSnapshot&) = default;
};

// Which record of the journal the index mirrors. Number 0 with a hash of zeros: none.
struct IndexHead {
  uint64_t number = 0;
  RecordHash hash;
  friend bool operator==(const IndexHead&, const IndexHead&) = default;
};

// No note's key is longer, or empty.
inline constexpr size_t kMaxNoteKeyBytes = 256;

// A view that does not change while it lives. Thread-compatible: one for each thread. Short-lived:
// no other I/O, and no waiting, while one is held (a reader that sleeps makes the file grow).
// Costs about as much as one FindBlob. Must not outlive its Index.
class IndexReader {
 public:
  virtual ~IndexReader() = default;

  virtual StatusOr<IndexHead> Head() = 0;
  // All places of a blob of this id and kind, in every pack that is not purged, in ascending order;
  // empty if there is none.
  virtual StatusOr<PlaceList> FindBlob(const BlobRef& ref) = 0;
  // All such places of the blobs whose ids begin with `prefix` (a delta base), of any kind; those
  // of one blob are neighbours, in ascending order.
  virtual StatusOr<std::vector<PlacedBlob>> FindBase(const BaseId& prefix) = 0;
  // All blobs' places, those in purged packs included. Costs nothing.
  virtual StatusOr<uint64_t> CountPlaces() = 0;
  virtual StatusOr<std::optional<IndexPack>> FindPack(PackNumber number) = 0;
  virtual StatusOr<std::optional<IndexPack>> FindPackByName(const PackName& name) = 0;
  virtual StatusOr<std::optional<FrameInfo>> FindFrame(PackNumber pack, uint32_t frame) = 0;
  virtual StatusOr<std::optional<IndexSnapshot>> FindSnapshot(const SnapshotId& id) = 0;

  // Visitors return false to stop; they may call this reader. In ascending order of number, of
  // (id, kind, place), of (record, id). Places in purged packs are left out.
  virtual Status ForEachPack(const std::function<bool(const IndexPack&)>& visit) = 0;
  virtual Status ForEachBlob(const std::function<bool(const BlobRef&, const Place&)>& visit) = 0;
  virtual Status ForEachSnapshot(const std::function<bool(const IndexSnapshot&)>& visit) = 0;
  // Those of `latest` and before, in descending order of (time, record, id); and those from `first`
  // on, in ascending order of id. Each visit costs as much as FindSnapshot, the rest nothing.
  virtual Status ForEachSnapshotBefore(const Timestamp& latest,
                                       const std::function<bool(const IndexSnapshot&)>& visit) = 0;
  virtual Status ForEachSnapshotFrom(const SnapshotId& first,
                                     const std::function<bool(const IndexSnapshot&)>& visit) = 0;

  // Rows of the change caches and other things that are worth remembering, by opaque keys of 1 to
  // kMaxNoteKeyBytes bytes (core/repo gives them meaning).
  virtual StatusOr<std::optional<Bytes>> FindNote(ByteSpan key) = 0;
};

// One transaction: all of it takes effect at Commit, or nothing does. Only one at a time exists in
// all processes; others wait for it, so nothing but calls of this class happens while one lives.
// Belongs to the thread that made it, which holds no reader while it asks for it (where address
// space is short that can fail). After an error every further call fails with it. Must not outlive
// its Index.
class IndexWriter {
 public:
  virtual ~IndexWriter() = default;

  virtual StatusOr<IndexHead> Head() = 0;
  virtual Status SetHead(const IndexHead& head) = 0;

  // Adds packs with all their blobs and frames. One that is there in state kPurged is completed;
  // of one that is there in another only the state is set. Many packs in one call are much faster
  // than many calls; up to a page of 4 KiB is held in memory for each blob until Commit, so for
  // more than some thousands there is BeginPack.
  virtual Status AddPacks(std::span<const PackContents> packs) = 0;
  Status AddPack(const PackInfo& info, PackState state, std::span<const FrameInfo> frames,
                 std::span<const BlobInfo> blobs) {
    const PackContents contents{info, state, frames, blobs};
    return AddPacks(std::span(&contents, 1));
  }
  // For what is too large for one transaction: BeginPack for all packs, AddPlaces for all of their
  // blobs, SetPackState for all packs, in as many transactions as it takes. Until then the packs
  // are in state kPurged, so that nothing is found in what is not complete. Whoever finds a pack in
  // that state can do all of it again: what is there already is no error.
  //
  // Adds a pack and its frames without its `blobs` places, in state kPurged. Returns its number;
  // that which it has if it is there in that state; nothing if it is there in another.
  virtual StatusOr<std::optional<PackNumber>> BeginPack(const PackInfo& info,
                                                        std::span<const FrameInfo> frames,
                                                        uint32_t blobs) = 0;
  // Adds places in packs that were begun. Right in any order; in ascending order of ids, over all
  // calls and transactions, every page of the index is written about once.
  virtual Status AddPlaces(std::span<const PlacedBlob> places) = 0;
  // Whether AddPlaces or RemovePacks has changed so many pages (some 16 MiB of memory) that it is
  // time to commit.
  virtual bool IsLarge() const = 0;
  // Unknown names are no error.
  virtual Status SetPackState(const PackName& name, PackState state) = 0;
  // Removes packs and all places in them, which are found by a walk over the whole index; an
  // unknown name is no error. Returns whether all of it is done: when so many pages were changed
  // that it is time to commit, it stops. The packs are in state kPurged then, and the walk goes on
  // at `from`, in another transaction, or in this one if memory does not matter. `from` is zero at
  // first.
  virtual StatusOr<bool> RemovePacks(std::span<const PackName> names, BlobId& from) = 0;

  // Replaces one of the same id.
  virtual Status PutSnapshot(const IndexSnapshot& snapshot) = 0;
  // An unknown id is no error.
  virtual Status RemoveSnapshot(const SnapshotId& id) = 0;

  virtual StatusOr<std::optional<Bytes>> FindNote(ByteSpan key) = 0;
  virtual Status PutNote(ByteSpan key, ByteSpan value) = 0;
  // An unknown key is no error.
  virtual Status RemoveNote(ByteSpan key) = 0;
  // Removes every note whose key begins with `prefix`; all of them if it is empty.
  virtual Status RemoveNotes(ByteSpan prefix) = 0;

  // Forgets everything but the notes: the caller fills it anew. Of an index with damaged rows only
  // what is sound stays.
  virtual Status Clear() = 0;

  // The writer is of no use afterwards. Without Commit, nothing happened.
  virtual Status Commit() = 0;
};

// Thread-safe.
class Index {
 public:
  virtual ~Index() = default;
  virtual StatusOr<std::unique_ptr<IndexReader>> Read() = 0;
  // Waits for the writer of another thread or process. RESOURCE_EXHAUSTED, here or in any call of
  // the writer, where the index could not grow: its next writer may have more room, so try once
  // again before doing without.
  virtual StatusOr<std::unique_ptr<IndexWriter>> Write() = 0;
  // Bytes on disk (for `stats`); 0 for the one in memory.
  virtual StatusOr<uint64_t> StoredBytes() = 0;
};

}  // namespace cairn
