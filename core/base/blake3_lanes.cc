// SPDX-License-Identifier: Apache-2.0
#include "core/base/blake3_lanes.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#define CAIRN_LANES __attribute__((target("avx512f,avx512bw,avx512vl,bmi2")))
#define CAIRN_LANES_INLINE CAIRN_LANES __attribute__((always_inline)) inline
// All that is indexed in these loops has to be in registers.
#define CAIRN_UNROLL _Pragma("GCC unroll 16")

namespace cairn {
namespace {

constexpr size_t kBlockBytes = 64;

// Every lane. The functions without a mask are the same instructions; GCC 12 warns of what they
// leave uninitialized (its bug 105593).
constexpr __mmask16 kAll = 0xffff;
constexpr __mmask8 kAllQuads = 0xff;

// Flags, initial values and message schedule: BLAKE3, section 2.
constexpr int kChunkStart = 1, kChunkEnd = 2, kParent = 4, kRoot = 8, kKeyed = 16;
constexpr std::array<uint32_t, 4> kInitial = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A};
constexpr int kRounds = 7;

using Schedule = std::array<std::array<uint8_t, 16>, kRounds>;
constexpr Schedule MakeSchedule() {
  constexpr std::array<uint8_t, 16> kPermutation = {2, 6,  3,  10, 7, 0,  4,  13,
                                                    1, 11, 12, 5,  9, 14, 15, 8};
  Schedule schedule{};
  for (uint8_t i = 0; i < 16; ++i) schedule[0][i] = i;
  for (int round = 1; round < kRounds; ++round) {
    for (int i = 0; i < 16; ++i) schedule[round][i] = schedule[round - 1][kPermutation[i]];
  }
  return schedule;
}
constexpr Schedule kSchedule = MakeSchedule();

CAIRN_LANES_INLINE __m512i Everywhere(uint32_t word) {
  return _mm512_set1_epi32(static_cast<int>(word));
}

// a + word + b in this order, as b is what comes late; GCC would change it.
CAIRN_LANES_INLINE __m512i AddLate(__m512i a, __m512i word, __m512i b) {
  __m512i early = _mm512_add_epi32(a, word);
  asm("" : "+v"(early));
  return _mm512_add_epi32(early, b);
}

template <int a, int b, int c, int d>
CAIRN_LANES_INLINE void Mix(__m512i (&v)[16], __m512i x, __m512i y) {
  v[a] = AddLate(v[a], x, v[b]);
  v[d] = _mm512_maskz_ror_epi32(kAll, _mm512_xor_si512(v[d], v[a]), 16);
  v[c] = _mm512_add_epi32(v[c], v[d]);
  v[b] = _mm512_maskz_ror_epi32(kAll, _mm512_xor_si512(v[b], v[c]), 12);
  v[a] = AddLate(v[a], y, v[b]);
  v[d] = _mm512_maskz_ror_epi32(kAll, _mm512_xor_si512(v[d], v[a]), 8);
  v[c] = _mm512_add_epi32(v[c], v[d]);
  v[b] = _mm512_maskz_ror_epi32(kAll, _mm512_xor_si512(v[b], v[c]), 7);
}

template <int round>
CAIRN_LANES_INLINE void Round(__m512i (&v)[16], const __m512i (&m)[16]) {
  constexpr std::array<uint8_t, 16> s = kSchedule[round];
  Mix<0, 4, 8, 12>(v, m[s[0]], m[s[1]]);
  Mix<1, 5, 9, 13>(v, m[s[2]], m[s[3]]);
  Mix<2, 6, 10, 14>(v, m[s[4]], m[s[5]]);
  Mix<3, 7, 11, 15>(v, m[s[6]], m[s[7]]);
  Mix<0, 5, 10, 15>(v, m[s[8]], m[s[9]]);
  Mix<1, 6, 11, 12>(v, m[s[10]], m[s[11]]);
  Mix<2, 7, 8, 13>(v, m[s[12]], m[s[13]]);
  Mix<3, 4, 9, 14>(v, m[s[14]], m[s[15]]);
}

// From one lane in a row to one word in a row, or back.
CAIRN_LANES_INLINE void Transpose(__m512i (&rows)[16]) {
  __m512i quads[16];
  CAIRN_UNROLL for (int i = 0; i < 16; i += 4) {
    const __m512i low01 = _mm512_maskz_unpacklo_epi32(kAll, rows[i], rows[i + 1]);
    const __m512i high01 = _mm512_maskz_unpackhi_epi32(kAll, rows[i], rows[i + 1]);
    const __m512i low23 = _mm512_maskz_unpacklo_epi32(kAll, rows[i + 2], rows[i + 3]);
    const __m512i high23 = _mm512_maskz_unpackhi_epi32(kAll, rows[i + 2], rows[i + 3]);
    quads[i] = _mm512_maskz_unpacklo_epi64(kAllQuads, low01, low23);
    quads[i + 1] = _mm512_maskz_unpackhi_epi64(kAllQuads, low01, low23);
    quads[i + 2] = _mm512_maskz_unpacklo_epi64(kAllQuads, high01, high23);
    quads[i + 3] = _mm512_maskz_unpackhi_epi64(kAllQuads, high01, high23);
  }
  CAIRN_UNROLL for (int i = 0; i < 4; ++i) {
    const __m512i even_low = _mm512_maskz_shuffle_i32x4(kAll, quads[i], quads[i + 4], 0x88);
    const __m512i odd_low = _mm512_maskz_shuffle_i32x4(kAll, quads[i], quads[i + 4], 0xdd);
    const __m512i even_high = _mm512_maskz_shuffle_i32x4(kAll, quads[i + 8], quads[i + 12], 0x88);
    const __m512i odd_high = _mm512_maskz_shuffle_i32x4(kAll, quads[i + 8], quads[i + 12], 0xdd);
    rows[i] = _mm512_maskz_shuffle_i32x4(kAll, even_low, even_high, 0x88);
    rows[i + 4] = _mm512_maskz_shuffle_i32x4(kAll, odd_low, odd_high, 0x88);
    rows[i + 8] = _mm512_maskz_shuffle_i32x4(kAll, even_low, even_high, 0xdd);
    rows[i + 12] = _mm512_maskz_shuffle_i32x4(kAll, odd_low, odd_high, 0xdd);
  }
}

// `chain` is what the block before gave, the key for the first; then what this one gives.
CAIRN_LANES_INLINE void Compress(__m512i (&chain)[8], const __m512i (&block)[16], __m512i counter,
                                 __m512i block_size, __m512i flags) {
  __m512i v[16];
  CAIRN_UNROLL for (int i = 0; i < 8; ++i) v[i] = chain[i];
  CAIRN_UNROLL for (int i = 0; i < 4; ++i) v[8 + i] = Everywhere(kInitial[i]);
  v[12] = counter;
  v[13] = _mm512_setzero_si512();  // inputs are shorter than 2^32 chunks
  v[14] = block_size;
  v[15] = flags;
  Round<0>(v, block);
  Round<1>(v, block);
  Round<2>(v, block);
  Round<3>(v, block);
  Round<4>(v, block);
  Round<5>(v, block);
  Round<6>(v, block);
  CAIRN_UNROLL for (int i = 0; i < 8; ++i) chain[i] = _mm512_xor_si512(v[i], v[i + 8]);
}

// What the lanes are, and how far they are, lane by lane. Those that nobody asked for do what the
// first does.
struct State {
  explicit State(std::span<const HashLane> lanes) {
    for (size_t i = 0; i < kHashLanes; ++i) {
      const HashLane& lane = lanes[i < lanes.size() ? i : 0];
      at[i] = lane.bytes;
      left[i] = lane.size;
      counter[i] = lane.counter;
      flags[i] = kKeyed | (lane.is_parent ? kParent : 0);
      end_flags[i] = (lane.is_parent ? 0 : kChunkEnd) | (lane.is_root ? kRoot : 0);
      fewest = std::min(fewest, lane.size);
    }
  }

  const uint8_t* at[kHashLanes];
  alignas(64) uint32_t left[kHashLanes];  // bytes from `at` on
  alignas(64) uint32_t counter[kHashLanes];
  alignas(64) uint32_t flags[kHashLanes];      // of all blocks
  alignas(64) uint32_t end_flags[kHashLanes];  // of the last block
  uint32_t fewest = HashLane::kChunkBytes;     // bytes of any
};

CAIRN_LANES_INLINE __m512i Load(const uint32_t (&words)[kHashLanes]) {
  return _mm512_load_si512(words);
}

}  // namespace

bool HasHashLanes() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2");
  return has;
}

CAIRN_LANES void CompressLanes(const HashKey& key, std::span<const HashLane> lanes) {
  State state(lanes);
  uint32_t key_words[8];
  std::memcpy(key_words, key.data(), sizeof(key_words));
  __m512i chain[8];
  CAIRN_UNROLL for (int i = 0; i < 8; ++i) chain[i] = Everywhere(key_words[i]);
  const __m512i counter = Load(state.counter);
  const __m512i flags = Load(state.flags);
  const __m512i block_size = Everywhere(kBlockBytes);
  const __mmask16 is_chunk = _mm512_testn_epi32_mask(flags, Everywhere(kParent));
  __m512i start_flags = _mm512_maskz_mov_epi32(is_chunk, Everywhere(kChunkStart));
  __m512i block[16];

  // Blocks after which every lane has more.
  uint32_t done = 0;
  for (; done + kBlockBytes < state.fewest; done += kBlockBytes) {
    CAIRN_UNROLL for (size_t i = 0; i < kHashLanes; ++i) {
      block[i] = _mm512_loadu_si512(state.at[i]);
      state.at[i] += kBlockBytes;
      // So many streams are more than the processor foresees.
      _mm_prefetch(reinterpret_cast<const char*>(state.at[i] + kBlockBytes), _MM_HINT_T0);
    }
    Transpose(block);
    Compress(chain, block, counter, block_size, _mm512_or_si512(flags, start_flags));
    start_flags = _mm512_setzero_si512();
  }

  // Those with which some lane ends; of nothing there is an empty block.
  __m512i left = _mm512_sub_epi32(Load(state.left), Everywhere(done));
  __mmask16 open = kAll;
  do {
    _mm512_store_si512(state.left, left);
    CAIRN_UNROLL for (size_t i = 0; i < kHashLanes; ++i) {
      const uint32_t size = std::min<uint32_t>(state.left[i], kBlockBytes);
      block[i] = _mm512_maskz_loadu_epi8(_bzhi_u64(~uint64_t{0}, size), state.at[i]);
      state.at[i] += size;
    }
    Transpose(block);
    const __m512i size = _mm512_maskz_min_epu32(kAll, left, block_size);
    const __mmask16 ends = _mm512_cmple_epu32_mask(left, block_size);
    const __m512i end_flags = _mm512_maskz_mov_epi32(ends, Load(state.end_flags));
    __m512i next[8];
    CAIRN_UNROLL for (int i = 0; i < 8; ++i) next[i] = chain[i];
    Compress(next, block, counter, size,
             _mm512_or_si512(_mm512_or_si512(flags, start_flags), end_flags));
    CAIRN_UNROLL for (int i = 0; i < 8; ++i) {
      chain[i] = _mm512_mask_mov_epi32(chain[i], open, next[i]);
    }
    start_flags = _mm512_setzero_si512();
    open = static_cast<__mmask16>(open & ~ends);
    left = _mm512_sub_epi32(left, size);
  } while (open != 0);

  CAIRN_UNROLL for (int i = 0; i < 16; ++i) block[i] = chain[i % 8];
  Transpose(block);
  CAIRN_UNROLL for (size_t i = 0; i < kHashLanes; ++i) {
    if (i < lanes.size()) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes[i].out->data()),
                          _mm512_castsi512_si256(block[i]));
    }
  }
}

}  // namespace cairn

#undef CAIRN_LANES
#undef CAIRN_LANES_INLINE
#undef CAIRN_UNROLL

#else

namespace cairn {

bool HasHashLanes() { return false; }
void CompressLanes(const HashKey&, std::span<const HashLane>) {}

}  // namespace cairn

#endif
