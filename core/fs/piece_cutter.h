// SPDX-License-Identifier: Apache-2.0
// The rule for zero extents (docs/format.md, "Content of files") over a stream of bytes.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/fs/source_file.h"

namespace cairn {

// Whether a whole block, as the rule counts them, lies in [from, to).
bool HoldsAlignedBlock(uint64_t from, uint64_t to);

// What scans share: how to cut, and a buffer that outlives a scan.
struct CutterContext {
  size_t max_chunk_bytes;
  std::function<size_t(ByteSpan)> next_cut;
  std::unique_ptr<uint8_t[]> buffer;
  size_t capacity = 0;
  std::vector<Piece> pieces;  // on their way to be visited
};

// Takes the bytes of one file in order and gives its pieces. Where the bytes come in portions of
// any size, or as lengths of zeros instead of bytes, makes no difference. It keeps no more than a
// chunk, a run of zeros that may yet be data (under 64 KiB) and what was read last.
// Thread-compatible.
class PieceCutter {
 public:
  // Works in context.buffer. `context` and `visit` must outlive it.
  PieceCutter(CutterContext& context, PieceVisitor visit);

  // Room for the next bytes: at least `kReadBytes`, as much as there is.
  MutableByteSpan Room();
  // `bytes` were written into Room().
  Status Added(size_t bytes);
  // `bytes` zeros follow (a hole).
  Status AddZeros(uint64_t bytes);
  // The end has come.
  Status Finish();

  // All of a file that lies in memory, without the buffer.
  static Status CutAll(CutterContext& context, PieceVisitor visit, ByteSpan content);

  // So far.
  uint64_t bytes() const { return bytes_; }

  static constexpr size_t kReadBytes = 256 * kKiB;
  static constexpr size_t kBlock = 4096;
  static constexpr uint64_t kMinExtent = 64 * kKiB;

 private:
  PieceCutter(CutterContext& context, PieceVisitor visit, ByteSpan content);

  // Takes note of a block, or of a last partial one.
  Status Classify(bool zero, size_t size);
  // Classifies the whole blocks that are there, and cuts what is surely data.
  Status Advance();
  // Chunks of the data before the zeros of `run_`; all of it if an extent or the end follows.
  Status CutData(bool to_end);
  Status EmitExtent();

  CutterContext& context_;
  PieceVisitor visit_;

  // In data_: [begin_, classified_) are whole blocks that no piece has taken yet, the last run_
  // bytes of them zeros; [classified_, end_) were not looked at. classified_ is at a multiple of
  // kBlock in the file.
  const uint8_t* data_;
  size_t begin_ = 0;
  size_t classified_ = 0;
  size_t end_ = 0;
  // Below kMinExtent; once it reaches that, the run is the extent that is open, its bytes are
  // dropped, and begin_ == classified_.
  size_t run_ = 0;
  uint64_t extent_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace cairn
