// SPDX-License-Identifier: Apache-2.0
// Packs: immutable files of frames with a footer that lists them. docs/format.md, "Packs".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/store/frame.h"
#include "core/store/object_store.h"

namespace cairn {

inline constexpr size_t kPackHeaderBytes = 128;
inline constexpr size_t kPackTrailerBytes = 64;
inline constexpr uint64_t kMaxPackBytes = 4 * kGiB;
inline constexpr uint64_t kMaxFooterBytes = 256 * kMiB;

// "packs/3f/3f07..." of pack 3f07...
std::string PackObjectName(const PackName& name);

struct PackHeader {
  RepositoryId repository;
  PackName name;
  SessionId session;
  uint8_t content = 0;
};
Bytes EncodePackHeader(const PackHeader& header);
StatusOr<PackHeader> DecodePackHeader(ByteSpan bytes);

// All that a pack says of itself.
struct PackFooter {
  std::vector<FrameInfo> frames;
  std::vector<BlobInfo> blobs;  // in the order of frames and offsets
};
Bytes EncodePackFooter(const PackFooter& footer);
// Checks that frames and blobs are contiguous and within bounds.
StatusOr<PackFooter> DecodePackFooter(ByteSpan bytes);

// Writes one pack. Thread-compatible; sticky: after an error everything fails.
class PackWriter {
 public:
  static StatusOr<std::unique_ptr<PackWriter>> Create(ObjectStore& store, RepositoryId repository,
                                                      SessionId session, uint8_t content);
  // Returns the frame's number. The frame must have been sealed (and so verified).
  StatusOr<uint32_t> Add(const SealedFrame& frame);
  uint64_t bytes() const;  // so far, footer not counted
  const PackName& name() const;
  const PackFooter& footer() const;  // so far
  // Footer, trailer, durable bytes, placed under its name. The name is durable after
  // ObjectStore::SyncNames; only then may a record name the pack.
  StatusOr<PackInfo> Finish();

 private:
  PackWriter() = default;
  ObjectStore* store_ = nullptr;
  std::unique_ptr<ObjectWriter> writer_;
  PackHeader header_;
  Bytes header_bytes_;
  PackFooter footer_;
  uint64_t bytes_ = 0;
  bool broken_ = false;
};

// Reads the footer, verified against `info` (size, hash, name, repository): one or two reads.
StatusOr<PackFooter> ReadPackFooter(ObjectStore& store, const PackInfo& info,
                                    const RepositoryId& repository);
// A pack that no record names: what its header and trailer say.
StatusOr<PackHeader> ReadPackHeader(ObjectStore& store, const PackName& name);

// The stored bytes of a frame, checksum not compared (FrameCodecContext::Decode does).
StatusOr<Bytes> ReadFrame(ObjectStore& store, const PackName& pack, const FrameInfo& frame);

}  // namespace cairn
