// SPDX-License-Identifier: Apache-2.0
#include "core/fs/piece_cutter.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"

namespace cairn {
namespace {

constexpr uint64_t kMaxZeroPiece = uint64_t{1} << 62;

// REQUIRES: size > 0.
bool IsZero(const uint8_t* bytes, size_t size) {
  return bytes[0] == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0;
}

// Enough for a chunk, a run of zeros, a partial block, and a read.
size_t CapacityFor(size_t max_chunk_bytes) {
  return std::max<size_t>(kMiB, max_chunk_bytes + PieceCutter::kMinExtent + PieceCutter::kBlock +
                                    PieceCutter::kReadBytes);
}

}  // namespace

bool HoldsAlignedBlock(uint64_t from, uint64_t to) {
  constexpr uint64_t kBlock = PieceCutter::kBlock;
  return to / kBlock > from / kBlock + (from % kBlock != 0 ? 1 : 0);
}

PieceCutter::PieceCutter(CutterContext& context, PieceVisitor visit)
    : context_(context), visit_(visit) {
  const size_t capacity = CapacityFor(context.max_chunk_bytes);
  if (context.capacity < capacity) {
    context.buffer = std::make_unique_for_overwrite<uint8_t[]>(capacity);
    context.capacity = capacity;
  }
  data_ = context.buffer.get();
}

PieceCutter::PieceCutter(CutterContext& context, PieceVisitor visit, ByteSpan content)
    : context_(context),
      visit_(visit),
      data_(content.data()),
      end_(content.size()),
      bytes_(content.size()) {}

Status PieceCutter::CutAll(CutterContext& context, PieceVisitor visit, ByteSpan content) {
  PieceCutter cutter(context, visit, content);
  RETURN_IF_ERROR(cutter.Advance());
  return cutter.Finish();
}

MutableByteSpan PieceCutter::Room() {
  if (context_.capacity - end_ < kReadBytes) {
    std::memmove(context_.buffer.get(), context_.buffer.get() + begin_, end_ - begin_);
    classified_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  return {context_.buffer.get() + end_, context_.capacity - end_};
}

Status PieceCutter::Added(size_t bytes) {
  end_ += bytes;
  bytes_ += bytes;
  return Advance();
}

Status PieceCutter::AddZeros(uint64_t bytes) {
  while (bytes > 0) {
    if (extent_ > 0 && classified_ == end_) {
      const uint64_t whole = bytes - bytes % kBlock;
      extent_ += whole;
      bytes_ += whole;
      bytes -= whole;
      if (bytes == 0) break;
    }
    const size_t part = std::min<uint64_t>(bytes, kBlock - (end_ - classified_));
    std::memset(Room().data(), 0, part);
    RETURN_IF_ERROR(Added(part));
    bytes -= part;
  }
  return OkStatus();
}

Status PieceCutter::Finish() {
  if (const size_t rest = end_ - classified_; rest > 0) {
    RETURN_IF_ERROR(Classify(IsZero(data_ + classified_, rest), rest));
  }
  RETURN_IF_ERROR(CutData(true));
  extent_ += run_;  // zeros up to the end are an extent, however few
  run_ = 0;
  begin_ = classified_;
  return EmitExtent();
}

Status PieceCutter::Classify(bool zero, size_t size) {
  classified_ += size;
  if (!zero) {
    run_ = 0;
    return EmitExtent();
  }
  if (extent_ > 0) {
    extent_ += size;
    begin_ = classified_;
    return OkStatus();
  }
  run_ += size;
  if (run_ < kMinExtent) return OkStatus();
  RETURN_IF_ERROR(CutData(true));
  extent_ = run_;
  run_ = 0;
  begin_ = classified_;
  return OkStatus();
}

Status PieceCutter::Advance() {
  while (end_ - classified_ >= kBlock) {
    RETURN_IF_ERROR(Classify(IsZero(data_ + classified_, kBlock), kBlock));
  }
  return CutData(false);
}

Status PieceCutter::CutData(bool to_end) {
  context_.pieces.clear();
  size_t left = classified_ - run_ - begin_;
  while (to_end ? left > 0 : left >= context_.max_chunk_bytes) {
    const ByteSpan data(data_ + begin_, std::min(left, context_.max_chunk_bytes));
    const size_t size = context_.next_cut(data);
    CHECK(size > 0 && size <= data.size());
    begin_ += size;
    left -= size;
    context_.pieces.push_back({.zero = false, .bytes = size, .data = data.first(size)});
  }
  return context_.pieces.empty() ? OkStatus() : visit_(context_.pieces);
}

Status PieceCutter::EmitExtent() {
  while (extent_ > 0) {
    const uint64_t bytes = std::min(extent_, kMaxZeroPiece);
    extent_ -= bytes;
    const Piece extent{.zero = true, .bytes = bytes, .data = {}};
    RETURN_IF_ERROR(visit_(std::span(&extent, 1)));
  }
  return OkStatus();
}

}  // namespace cairn
