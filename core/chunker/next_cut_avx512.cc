// SPDX-License-Identifier: Apache-2.0
// A pre-filter in 16-bit lanes: the low 16 bits of the hash, for 64 positions at a time. A position
// whose bits 6 to 15 are not all zero cannot be a cut; the few that are left, one in 1024, are
// tested with the full hash.
//
// The low 16 bits of the hash at p are the sum of gear[byte p-i] << i for i below 16: the gear
// values are looked up in tables that lie in registers, and summed in four doubling steps: with h
// the sum over the last s bytes, h(p) + (h(p-s) << s) is the sum over the last 2s. Even and odd
// positions are kept in vectors of their own, which spares the interleaving of byte tables and a
// shuffle in the first step.
//
// The look-ups alone are of two kinds. They fill a small buffer, so that the code around them is
// there once, for processors with and without AVX-512 VBMI.
#include "core/chunker/cut_rule.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <bit>

#define CAIRN_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,bmi2")))
#define CAIRN_AVX512_INLINE CAIRN_AVX512 __attribute__((always_inline)) inline
#define CAIRN_VBMI __attribute__((target("avx512f,avx512bw,avx512vbmi,avx512vl,bmi2")))
#define CAIRN_VBMI_INLINE CAIRN_VBMI __attribute__((always_inline)) inline

namespace cairn {
namespace {

constexpr size_t kBlock = 64;
// Look-ups behind a cut are lost, calls for few bytes cost more than the bytes.
constexpr size_t kTileBlocks = 16;

// The 16-bit lanes of the even and of the odd positions of a block.
struct Lanes {
  __m512i even;
  __m512i odd;
};

// The low 16 bits of the gear values of `size` bytes, at most kTileBlocks blocks. The last block's
// lanes behind the end have no meaning.
using LookUpTile = void (*)(const GearTable& gear, const uint8_t* bytes, size_t size, Lanes* tile);

CAIRN_AVX512_INLINE __m512i LoadBlock(const uint8_t* bytes, size_t size) {
  if (size >= kBlock) return _mm512_loadu_si512(bytes);
  return _mm512_maskz_loadu_epi8((uint64_t{1} << size) - 1, bytes);
}

// With VBMI: 64 bytes at a time (vpermi2b), from one table for the low and one for the high bytes.
struct ByteTable {
  __m512i part[4];
};

CAIRN_VBMI_INLINE ByteTable LoadByteTable(const uint8_t* bytes) {
  return {{_mm512_load_si512(bytes), _mm512_load_si512(bytes + 64), _mm512_load_si512(bytes + 128),
           _mm512_load_si512(bytes + 192)}};
}

// `high` is the top bit of each index, which vpermi2b ignores.
CAIRN_VBMI_INLINE __m512i LookUp(const ByteTable& table, __m512i indices, __mmask64 high) {
  return _mm512_mask_blend_epi8(high,
                                _mm512_permutex2var_epi8(table.part[0], indices, table.part[1]),
                                _mm512_permutex2var_epi8(table.part[2], indices, table.part[3]));
}

CAIRN_VBMI void LookUpByBytes(const GearTable& gear, const uint8_t* bytes, size_t size,
                              Lanes* tile) {
  constexpr __mmask64 kOddBytes = 0xAAAAAAAAAAAAAAAA;
  const ByteTable low = LoadByteTable(gear.low_plane());
  const ByteTable high = LoadByteTable(gear.high_plane());
  for (size_t at = 0; at < size; at += kBlock) {
    const __m512i block = LoadBlock(bytes + at, size - at);
    const __mmask64 top = _mm512_movepi8_mask(block);
    const __m512i l = LookUp(low, block, top);
    const __m512i h = LookUp(high, block, top);
    *tile++ = {_mm512_mask_blend_epi8(kOddBytes, l, _mm512_slli_epi16(h, 8)),
               _mm512_mask_blend_epi8(kOddBytes, _mm512_srli_epi16(l, 8), h)};
  }
}

// Without: 32 words at a time (vpermi2w).
struct WordTable {
  __m512i part[8];
};

// Only the low six bits of the indices count.
CAIRN_AVX512_INLINE __m512i LookUpQuarter(const WordTable& table, int quarter, __m512i indices) {
  return _mm512_permutex2var_epi16(table.part[2 * quarter], indices, table.part[2 * quarter + 1]);
}

CAIRN_AVX512_INLINE __m512i LookUp(const WordTable& table, __m512i indices) {
  const __mmask32 bit6 = _mm512_test_epi16_mask(indices, _mm512_set1_epi16(0x40));
  const __mmask32 bit7 = _mm512_test_epi16_mask(indices, _mm512_set1_epi16(0x80));
  return _mm512_mask_blend_epi16(bit7,
                                 _mm512_mask_blend_epi16(bit6, LookUpQuarter(table, 0, indices),
                                                         LookUpQuarter(table, 1, indices)),
                                 _mm512_mask_blend_epi16(bit6, LookUpQuarter(table, 2, indices),
                                                         LookUpQuarter(table, 3, indices)));
}

CAIRN_AVX512 void LookUpByWords(const GearTable& gear, const uint8_t* bytes, size_t size,
                                Lanes* tile) {
  WordTable table;
  for (size_t i = 0; i < std::size(table.part); ++i) {
    table.part[i] = _mm512_load_si512(gear.low_words() + 32 * i);
  }
  for (size_t at = 0; at < size; at += kBlock) {
    const __m512i block = LoadBlock(bytes + at, size - at);
    *tile++ = {LookUp(table, _mm512_and_si512(block, _mm512_set1_epi16(0xFF))),
               LookUp(table, _mm512_srli_epi16(block, 8))};
  }
}

// What the next block needs of this one: the lanes before each doubling step.
struct Carry {
  Lanes sum1;
  Lanes sum2;
  Lanes sum4;
  Lanes sum8;
};

// Lane i of the result is lane i - kLanes of the second of two consecutive vectors.
template <int kLanes>
CAIRN_AVX512_INLINE __m512i Earlier(__m512i before, __m512i now) {
  if constexpr (kLanes % 2 == 0) {
    return _mm512_alignr_epi32(now, before, 16 - kLanes / 2);
  } else {
    static_assert(kLanes == 1);
    alignas(64) static constexpr uint16_t kIndices[32] = {
        31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46,
        47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62};
    return _mm512_permutex2var_epi16(before, _mm512_load_si512(kIndices), now);
  }
}

// The sum over twice as many positions: kLanes earlier lanes are 2 * kLanes earlier positions.
template <int kLanes>
CAIRN_AVX512_INLINE Lanes Double(const Lanes& sum, const Lanes& before) {
  return {_mm512_add_epi16(sum.even,
                           _mm512_slli_epi16(Earlier<kLanes>(before.even, sum.even), 2 * kLanes)),
          _mm512_add_epi16(sum.odd,
                           _mm512_slli_epi16(Earlier<kLanes>(before.odd, sum.odd), 2 * kLanes))};
}

// The low 16 bits of the hash at all positions of a block; moves `carry` on to it.
CAIRN_AVX512_INLINE Lanes HashBlock(const Lanes& sum1, Carry& carry) {
  const __m512i odd_before = Earlier<1>(carry.sum1.odd, sum1.odd);
  const Lanes sum2 = {_mm512_add_epi16(sum1.even, _mm512_slli_epi16(odd_before, 1)),
                      _mm512_add_epi16(sum1.odd, _mm512_slli_epi16(sum1.even, 1))};
  const Lanes sum4 = Double<1>(sum2, carry.sum2);
  const Lanes sum8 = Double<2>(sum4, carry.sum4);
  const Lanes sum16 = Double<4>(sum8, carry.sum8);
  carry = {sum1, sum2, sum4, sum8};
  return sum16;
}

// Bit i: position i of the block may be a cut.
CAIRN_AVX512_INLINE uint64_t Candidates(const Lanes& hash) {
  const __m512i shared_bits = _mm512_set1_epi16(static_cast<int16_t>(kSharedMaskBits));
  const __mmask32 even = _mm512_testn_epi16_mask(hash.even, shared_bits);
  const __mmask32 odd = _mm512_testn_epi16_mask(hash.odd, shared_bits);
  if (_kortestz_mask32_u8(even, odd)) return 0;
  return _pdep_u64(even, 0x5555555555555555) | _pdep_u64(odd, 0xAAAAAAAAAAAAAAAA);
}

// The first cut among the candidates of the block at `base` (bit i: position base + i), or 0. The
// hash rolls on from one candidate to the next, so that a block full of them stays cheap.
size_t FirstCut(const CutRule& rule, const uint8_t* bytes, size_t base, uint64_t candidates) {
  size_t hashed = base + std::countr_zero(candidates) + 1 - kHashWindow;
  uint64_t hash = 0;
  for (; candidates != 0; candidates &= candidates - 1) {
    const size_t at = base + std::countr_zero(candidates);
    while (hashed <= at) hash = (hash << 1) + rule.gear[bytes[hashed++]];
    if ((hash & rule.MaskAt(at)) == 0) return at + 1;
  }
  return 0;
}

CAIRN_AVX512 size_t NextCut(const CutRule& rule, ByteSpan data, LookUpTile look_up) {
  const size_t limit = std::min(data.size(), rule.max_size);
  if (limit <= rule.min_size) return limit;

  const uint8_t* const bytes = data.data();
  const __m512i zero = _mm512_setzero_si512();
  Carry carry = {{zero, zero}, {zero, zero}, {zero, zero}, {zero, zero}};
  Lanes tile[kTileBlocks];
  // The first block is hashed only.
  size_t at = rule.min_size - kBlock;
  while (at < limit) {
    const size_t end = std::min(limit, at + kTileBlocks * kBlock);
    look_up(rule.gear, bytes + at, end - at, tile);
    for (const Lanes* lanes = tile; at < end; ++lanes, at += kBlock) {
      uint64_t candidates = Candidates(HashBlock(*lanes, carry));
      if (candidates == 0 || at < rule.min_size) continue;
      if (end - at < kBlock) candidates &= (uint64_t{1} << (end - at)) - 1;
      if (candidates == 0) continue;
      if (const size_t cut = FirstCut(rule, bytes, at, candidates); cut != 0) return cut;
    }
  }
  return limit;
}

}  // namespace

bool Avx512Supported() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2");
}

bool VbmiSupported() { return Avx512Supported() && __builtin_cpu_supports("avx512vbmi"); }

size_t NextCutAvx512(const CutRule& rule, ByteSpan data) {
  return NextCut(rule, data, LookUpByWords);
}

size_t NextCutVbmi(const CutRule& rule, ByteSpan data) {
  return NextCut(rule, data, LookUpByBytes);
}

}  // namespace cairn

#else

#include "core/base/check.h"

namespace cairn {

bool Avx512Supported() { return false; }
bool VbmiSupported() { return false; }

size_t NextCutAvx512(const CutRule&, ByteSpan) {
  CHECK(Avx512Supported());
  return 0;
}

size_t NextCutVbmi(const CutRule&, ByteSpan) {
  CHECK(VbmiSupported());
  return 0;
}

}  // namespace cairn

#endif
