// SPDX-License-Identifier: Apache-2.0
// Content-defined chunking: FastCDC (Xia et al., USENIX ATC 2016) with a 64-bit gear hash and
// normalised chunking of level 2. Where a chunk ends is part of the format; it depends on the
// bytes, the options and the gear table, and on nothing else.
//
// Definition. Let d be the data from the start of the chunk to the end of what is chunked together
// (a file between two zero extents), n its length, min, avg, max the options, gear the table
// (core/chunker/gear_table.h), and all arithmetic modulo 2^64.
//   - If n <= min, the chunk is all n bytes.
//   - Else the hash after byte p, for p >= min, is that of the 64 bytes that end there:
//       H(p) = gear[d[p]] + (gear[d[p-1]] << 1) + ... + (gear[d[p-63]] << 63).
//     (Rolling: h = 0; over the bytes from min - 64 on, h = (h << 1) + gear[byte]. The first 64 of
//     them, those before min, are hashed only.)
//   - For p = min, min + 1, ... below the smaller of n and max: if H(p) & mask(p) = 0, the chunk
//     ends with byte p; its length is p + 1.
//   - If there is no such p, its length is the smaller of n and max.
// mask(p) is S for p < avg and L from there on. Both have bits 6 to 15 set, and besides, with
// a = log2(avg), S has the a - 8 highest bits (a + 2 in all) and L the a - 12 highest (a - 2 in
// all). With avg = 16 KiB, S = 0xFC0000000000FFC0 and L = 0xC00000000000FFC0.
// The next chunk begins after the last byte of this one, and knows nothing of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/chunker/cut_rule.h"
#include "core/chunker/gear_table.h"

namespace cairn {

// In bytes. Immutable in a repository, since its chunks are shared only where these are equal.
struct ChunkerOptions {
  uint32_t min_size = 4 * kKiB;
  uint32_t avg_size = 16 * kKiB;
  uint32_t max_size = 64 * kKiB;

  static constexpr uint32_t kSmallestMin = kHashWindow;
  static constexpr uint32_t kSmallestAvg = 4 * kKiB;  // below, L would have less than ten bits
  static constexpr uint32_t kLargestMax = 4 * kMiB;

  // INVALID_ARGUMENT unless kSmallestMin <= min <= avg <= max <= kLargestMax, and avg is a power of
  // two and at least kSmallestAvg.
  Status Validate() const;

  friend bool operator==(const ChunkerOptions&, const ChunkerOptions&) = default;
};

// The code that looks for cuts. All find the same ones, so the choice is one of speed.
enum class ChunkerPath {
  kAuto,    // the fastest that this processor has
  kScalar,  // everywhere
  kAvx512,  // x86-64 with AVX-512 BW and VL
  kVbmi,    // and with AVX-512 VBMI
};

// A pure function from bytes to the ends of chunks. Immutable; used by any number of threads.
class Chunker {
 public:
  // INVALID_ARGUMENT if the options are not valid, UNIMPLEMENTED if this processor lacks `path`.
  static StatusOr<Chunker> Create(const ChunkerOptions& options, const GearTable& table,
                                  ChunkerPath path = ChunkerPath::kAuto);

  static bool Supports(ChunkerPath path);

  // The length of the first chunk of `data`; 0 if that is empty.
  // REQUIRES: data holds at least options().max_size bytes, or all bytes up to the end. Given less,
  // it may return all of it as if the end had come. Bytes past max_size change nothing, so a caller
  // that refills its buffer to max_size before each call gets cuts without any trace of its reads.
  size_t NextCut(ByteSpan data) const { return next_cut_(rule_, data); }

  // Calls `consume` with each chunk of `all`, in order. If it returns Status, the first error ends
  // the walk and is returned; else it returns nothing, and so does this.
  template <typename F>
  std::invoke_result_t<F&, ByteSpan> ForEachChunk(ByteSpan all, F consume) const;

  const ChunkerOptions& options() const { return options_; }
  // Never kAuto.
  ChunkerPath path() const { return path_; }

 private:
  Chunker(const ChunkerOptions& options, const GearTable& table, ChunkerPath path);

  ChunkerOptions options_;
  ChunkerPath path_;
  CutRule rule_;
  size_t (*next_cut_)(const CutRule&, ByteSpan);
};

template <typename F>
std::invoke_result_t<F&, ByteSpan> Chunker::ForEachChunk(ByteSpan all, F consume) const {
  constexpr bool kReturnsStatus = std::is_same_v<std::invoke_result_t<F&, ByteSpan>, Status>;
  static_assert(kReturnsStatus || std::is_void_v<std::invoke_result_t<F&, ByteSpan>>);
  while (!all.empty()) {
    const size_t size = NextCut(all);
    if constexpr (kReturnsStatus) {
      RETURN_IF_ERROR(consume(all.first(size)));
    } else {
      consume(all.first(size));
    }
    all = all.subspan(size);
  }
  if constexpr (kReturnsStatus) return OkStatus();
}

}  // namespace cairn
