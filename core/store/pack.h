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
#include "core/store/repository_keys.h"

namespace cairn {

inline constexpr size_t kPackHeaderBytes = 128;
inline constexpr size_t kPackTrailerBytes = 64;
inline constexpr uint64_t kMaxPackBytes = 4 * kGiB;
inline constexpr uint64_t kMaxFooterBytes = 256 * kMiB;
// The largest size that a configuration may ask for.
inline constexpr uint64_t kMaxPackTargetBytes = 1 * kGiB;

// "packs/3f/3f07..." of pack 3f07...
std::string PackObjectName(const PackName& name);

struct PackHeader {
  bool sealed = false;
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
// Checks that frames and blobs are contiguous and within bounds. In the pack each frame takes
// `seal_bytes` more than its stored bytes.
StatusOr<PackFooter> DecodePackFooter(ByteSpan bytes, size_t seal_bytes);
bool HasDeltas(const PackFooter& footer);

class ParityWriter;

// Writes one pack. Thread-compatible; sticky: after an error everything fails.
class PackWriter {
 public:
  ~PackWriter();
  // With kPackHasParity in `content`, its parity is computed on the way.
  static StatusOr<std::unique_ptr<PackWriter>> Create(ObjectStore& store,
                                                      const RepositoryKeys& keys, SessionId session,
                                                      uint8_t content);
  // Returns the frame's number. The frame must have been made by FrameCodecContext (and so
  // verified), or be one that was read; in an encrypted repository it is sealed here. It has bases
  // only in a pack that was created with kPackHasDeltas, which has one such frame at least.
  // RESOURCE_EXHAUSTED if the pack would be larger than it may be.
  StatusOr<uint32_t> Add(const SealedFrame& frame);
  // About what the file would have if it were finished now; the footer is counted too, which many
  // blobs in few stored bytes make large.
  uint64_t bytes() const;
  const PackName& name() const;
  const PackFooter& footer() const;  // so far
  // Footer, trailer, durable bytes, placed under its name. The name is durable after
  // ObjectStore::SyncNames; only then may a record name the pack.
  StatusOr<PackInfo> Finish();
  // After Finish. The writer has it no more.
  PackFooter TakeFooter() { return std::move(footer_); }
  // After Finish: the parity, to be placed once a record names the pack; null if it has none. Where
  // it cannot be written the pack does without, and `repair` makes it later.
  std::unique_ptr<ParityWriter> TakeParity();

 private:
  explicit PackWriter(const RepositoryKeys& keys);
  Status Append(ByteSpan bytes);
  // At most what `frame` adds to the footer.
  static uint64_t FooterBytes(const SealedFrame& frame);

  Status AppendFrame(const SealedFrame& frame, uint64_t number);

  const RepositoryKeys keys_;
  std::unique_ptr<ObjectWriter> writer_;
  std::unique_ptr<ParityWriter> parity_;
  PackHeader header_;
  Bytes header_bytes_;
  Bytes sealed_;  // the frame that is being added, or the footer
  PackFooter footer_;
  uint64_t bytes_ = 0;         // header and frames
  uint64_t footer_bytes_ = 0;  // at most
  bool broken_ = false;
};

// The bytes of a pack, wherever they are had from.
class PackBytes {
 public:
  virtual ~PackBytes() = default;
  // As ObjectStore::ReadAt.
  virtual StatusOr<size_t> ReadAt(uint64_t offset, MutableByteSpan out) = 0;
};

// Reads the footer, verified against `info` and the repository: two reads, three if it is over 64
// KiB. NOT_FOUND if the pack is gone, DATA_LOSS if anything contradicts.
StatusOr<PackFooter> ReadPackFooter(ObjectStore& store, const RepositoryKeys& keys,
                                    const PackInfo& info);
StatusOr<PackFooter> ReadPackFooter(PackBytes& bytes, const RepositoryKeys& keys,
                                    const PackInfo& info);
// The header of the file that has this name, whatever pack it is, and not verified: one short read.
StatusOr<PackHeader> PeekPackHeader(ObjectStore& store, const PackName& name);
// The header of a pack that no record names, verified against the hash in the pack's own trailer.
StatusOr<PackHeader> ReadPackHeader(ObjectStore& store, const RepositoryKeys& keys,
                                    const PackName& name);

// The stored bytes of a frame, opened if they are sealed; checksum not compared
// (FrameCodecContext::Decode does).
StatusOr<Bytes> ReadFrame(ObjectStore& store, const RepositoryKeys& keys, const PackName& pack,
                          uint32_t number, const FrameInfo& frame);
// The same of bytes that were read: frame.stored_bytes + keys.seal_bytes() of them.
StatusOr<Bytes> OpenFrame(const RepositoryKeys& keys, const PackName& pack, uint32_t number,
                          const FrameInfo& frame, Bytes bytes);

}  // namespace cairn
