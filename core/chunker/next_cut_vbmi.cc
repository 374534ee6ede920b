// SPDX-License-Identifier: Apache-2.0
// A pre-filter in 16-bit lanes: the low 16 bits of the hash, for 64 positions at a time. A position
// whose bits 6 to 15 are not all zero cannot be a cut; the few that are left, one in 1024, are
// tested with the full hash.
//
// The low 16 bits of the hash at p are the sum of gear[byte p-i] << i for i below 16. The low 16
// bits of the 64 gear values come from two 256-entry byte tables held in registers (vpermi2b), and
// the sum from four doubling steps: with h the sum over the last s bytes, h(p) + (h(p-s) << s) is
// the sum over the last 2s. Even and odd positions are kept in vectors of their own, which spares
// the interleaving of the two byte planes and a shuffle in the first step.
#include "core/chunker/cut_rule.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <bit>

#define CAIRN_VBMI __attribute__((target("avx512f,avx512bw,avx512vbmi,avx512vl,bmi2")))
#define CAIRN_VBMI_INLINE CAIRN_VBMI __attribute__((always_inline)) inline

namespace cairn {
namespace {

constexpr size_t kBlock = 64;

struct ByteTable {
  __m512i part[4];
};

CAIRN_VBMI_INLINE ByteTable LoadTable(const uint8_t* bytes) {
  return {{_mm512_load_si512(bytes), _mm512_load_si512(bytes + 64), _mm512_load_si512(bytes + 128),
           _mm512_load_si512(bytes + 192)}};
}

// `high` is the top bit of each index, which vpermi2b ignores.
CAIRN_VBMI_INLINE __m512i LookUp(const ByteTable& table, __m512i indices, __mmask64 high) {
  return _mm512_mask_blend_epi8(high,
                                _mm512_permutex2var_epi8(table.part[0], indices, table.part[1]),
                                _mm512_permutex2var_epi8(table.part[2], indices, table.part[3]));
}

// The 16-bit lanes of the even and of the odd positions of a block.
struct Lanes {
  __m512i even;
  __m512i odd;
};

CAIRN_VBMI_INLINE Lanes GearLanes(const ByteTable& low, const ByteTable& high, __m512i bytes) {
  constexpr __mmask64 kOddBytes = 0xAAAAAAAAAAAAAAAA;
  const __mmask64 top = _mm512_movepi8_mask(bytes);
  const __m512i l = LookUp(low, bytes, top);
  const __m512i h = LookUp(high, bytes, top);
  return {_mm512_mask_blend_epi8(kOddBytes, l, _mm512_slli_epi16(h, 8)),
          _mm512_mask_blend_epi8(kOddBytes, _mm512_srli_epi16(l, 8), h)};
}

// What the next block needs of this one: the lanes before each doubling step.
struct Carry {
  Lanes sum1;
  Lanes sum2;
  Lanes sum4;
  Lanes sum8;
};

// Lane i of the second of two consecutive vectors gets lane i - 1, - 2, - 4.
struct Shifts {
  __m512i by1;
  __m512i by2;
  __m512i by4;
};

CAIRN_VBMI_INLINE Shifts LoadShifts() {
  alignas(64) static constexpr uint16_t kLanes[32] = {32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42,
                                                      43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53,
                                                      54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
  const __m512i lanes = _mm512_load_si512(kLanes);
  return {_mm512_sub_epi16(lanes, _mm512_set1_epi16(1)),
          _mm512_sub_epi16(lanes, _mm512_set1_epi16(2)),
          _mm512_sub_epi16(lanes, _mm512_set1_epi16(4))};
}

// sum + (the lanes earlier by `shift` << bits)
CAIRN_VBMI_INLINE __m512i Double(__m512i sum, __m512i before, __m512i shift, unsigned bits) {
  return _mm512_add_epi16(sum,
                          _mm512_slli_epi16(_mm512_permutex2var_epi16(before, shift, sum), bits));
}

CAIRN_VBMI_INLINE Lanes Double(const Lanes& sum, const Lanes& before, __m512i shift,
                               unsigned bits) {
  return {Double(sum.even, before.even, shift, bits), Double(sum.odd, before.odd, shift, bits)};
}

// The low 16 bits of the hash at all positions of a block; moves `carry` on to it.
CAIRN_VBMI_INLINE Lanes HashBlock(const Lanes& sum1, const Shifts& shifts, Carry& carry) {
  const __m512i odd_before = _mm512_permutex2var_epi16(carry.sum1.odd, shifts.by1, sum1.odd);
  const Lanes sum2 = {_mm512_add_epi16(sum1.even, _mm512_slli_epi16(odd_before, 1)),
                      _mm512_add_epi16(sum1.odd, _mm512_slli_epi16(sum1.even, 1))};
  const Lanes sum4 = Double(sum2, carry.sum2, shifts.by1, 2);
  const Lanes sum8 = Double(sum4, carry.sum4, shifts.by2, 4);
  const Lanes sum16 = Double(sum8, carry.sum8, shifts.by4, 8);
  carry = {sum1, sum2, sum4, sum8};
  return sum16;
}

// The first cut among the candidates of the block at `base` (bit i: position base + i), or 0. The
// hash rolls on from one candidate to the next, so that a block full of them stays cheap.
CAIRN_VBMI size_t FirstCut(const CutRule& rule, const uint8_t* bytes, size_t base,
                           uint64_t candidates) {
  size_t hashed = base + std::countr_zero(candidates) + 1 - kHashWindow;
  uint64_t hash = 0;
  for (; candidates != 0; candidates &= candidates - 1) {
    const size_t at = base + std::countr_zero(candidates);
    while (hashed <= at) hash = (hash << 1) + rule.gear[bytes[hashed++]];
    if ((hash & rule.MaskAt(at)) == 0) return at + 1;
  }
  return 0;
}

}  // namespace

bool VbmiSupported() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("bmi2");
}

CAIRN_VBMI size_t NextCutVbmi(const CutRule& rule, ByteSpan data) {
  const size_t limit = std::min(data.size(), rule.max_size);
  if (limit <= rule.min_size) return limit;

  const uint8_t* const bytes = data.data();
  const ByteTable low = LoadTable(rule.gear.low_plane());
  const ByteTable high = LoadTable(rule.gear.high_plane());
  const __m512i shared_bits = _mm512_set1_epi16(static_cast<int16_t>(kSharedMaskBits));
  const Shifts shifts = LoadShifts();

  const __m512i zero = _mm512_setzero_si512();
  Carry carry = {{zero, zero}, {zero, zero}, {zero, zero}, {zero, zero}};
  HashBlock(GearLanes(low, high, _mm512_loadu_si512(bytes + rule.min_size - kBlock)), shifts,
            carry);
  for (size_t at = rule.min_size; at < limit; at += kBlock) {
    const uint64_t valid = limit - at < kBlock ? (uint64_t{1} << (limit - at)) - 1 : ~uint64_t{0};
    const Lanes hash =
        HashBlock(GearLanes(low, high, _mm512_maskz_loadu_epi8(valid, bytes + at)), shifts, carry);
    const __mmask32 even = _mm512_testn_epi16_mask(hash.even, shared_bits);
    const __mmask32 odd = _mm512_testn_epi16_mask(hash.odd, shared_bits);
    if (_kortestz_mask32_u8(even, odd)) continue;
    const uint64_t candidates =
        valid & (_pdep_u64(even, 0x5555555555555555) | _pdep_u64(odd, 0xAAAAAAAAAAAAAAAA));
    if (candidates == 0) continue;
    if (const size_t cut = FirstCut(rule, bytes, at, candidates); cut != 0) return cut;
  }
  return limit;
}

}  // namespace cairn

#else

#include "core/base/check.h"

namespace cairn {

bool VbmiSupported() { return false; }

size_t NextCutVbmi(const CutRule&, ByteSpan) {
  CHECK(VbmiSupported());
  return 0;
}

}  // namespace cairn

#endif
