// SPDX-License-Identifier: Apache-2.0
// The snapshot object: what a journal record says of one snapshot beside its root. Nothing here is
// part of the root's id. docs/format.md, "Snapshot object".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/blob.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/repo/snapshot_info.h"

namespace cairn {

// Bytes that stand in the object while they are few, else in chunk blobs.
struct LongList {
  struct Part {
    uint32_t bytes = 0;
    BlobId chunk;
    friend bool operator==(const Part&, const Part&) = default;
  };
  Bytes inline_bytes;       // at most kMaxInlineListBytes; empty if `parts` is used
  std::vector<Part> parts;  // in order
  friend bool operator==(const LongList&, const LongList&) = default;
};
inline constexpr size_t kMaxInlineListBytes = 65536;

// Stores what is long in blobs.
StatusOr<LongList> MakeLongList(ByteSpan bytes, BlobSink& sink);
StatusOr<Bytes> ReadLongList(const LongList& list, BlobSource& source);

struct SnapshotStatistics {
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t others = 0;
  uint64_t bytes = 0;  // of all files, as `ls` shows them
  uint64_t files_new = 0;
  uint64_t files_changed = 0;
  uint64_t files_unchanged = 0;
  uint64_t bytes_read = 0;
  uint64_t blobs_added = 0;
  uint64_t raw_bytes_added = 0;     // before compression
  uint64_t stored_bytes_added = 0;  // frames as stored
  friend bool operator==(const SnapshotStatistics&, const SnapshotStatistics&) = default;
};

// One (path, text) of the lists of errors and of skipped places.
struct PathNote {
  std::string path;
  std::string text;
  friend bool operator==(const PathNote&, const PathNote&) = default;
};

// More notes of a kind are counted, not listed.
inline constexpr size_t kMaxPathNotes = 100'000;

struct SnapshotObject {
  BlobId root;
  Timestamp time;
  Timestamp started;
  Timestamp finished;
  std::string host;
  std::string user;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string message;
  std::vector<std::string> paths;  // absolute, ascending
  std::vector<std::string> tags;   // ascending, no two equal; a `tags` record overrides them
  std::optional<SnapshotId> parent;
  SnapshotStatistics statistics;
  LongList excludes;
  LongList errors;
  LongList skipped;
  LongList owners;
  std::string program;
  std::array<uint8_t, 16> nonce{};
  friend bool operator==(const SnapshotObject&, const SnapshotObject&) = default;
};

Bytes EncodeSnapshotObject(const SnapshotObject& object);
StatusOr<SnapshotObject> DecodeSnapshotObject(ByteSpan bytes);

// When it was taken, as the object says; the beginning of 1970 if it cannot be decoded, which
// whoever reads the snapshot is told.
Timestamp TimeOfSnapshot(ByteSpan object);

// The blobs that the object itself refers to: root and long lists.
std::vector<BlobRef> SnapshotReferences(const SnapshotObject& object);

Bytes EncodePathNotes(const std::vector<PathNote>& notes);
StatusOr<std::vector<PathNote>> DecodePathNotes(ByteSpan bytes);

SnapshotInfo InfoOf(const SnapshotId& id, uint64_t record, bool held,
                    const std::optional<std::vector<std::string>>& tags,
                    const SnapshotObject& object);

// The absolute path of what the root's top is: the source itself, or for several sources their
// deepest common proper ancestor.
std::string TopPath(const SnapshotObject& object);

}  // namespace cairn
