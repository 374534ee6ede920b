// SPDX-License-Identifier: Apache-2.0
#include "core/store/looks_random.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace cairn {
namespace {

constexpr size_t kPartBytes = 64 * kKiB;
constexpr size_t kMinPartBytes = 32 * kKiB;  // fewer samples do not tell
constexpr size_t kEvery = 256;
constexpr size_t kSampleBytes = 16;
// Of random bytes a part in 100,000 has two such samples.
constexpr int kMaxAscii = 1;
// With equally likely bytes it is 255, more or less 23.
constexpr uint64_t kMaxStatistic = 360;

bool IsAscii(ByteSpan sample) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  uint64_t words[kSampleBytes / 8];
  std::memcpy(words, sample.data(), sizeof(words));
  return ((words[0] | words[1]) & kHighBits) == 0;
}

bool PartLooksRandom(ByteSpan part) {
  std::array<uint32_t, 256> counts{};
  uint64_t samples = 0;
  int ascii = 0;
  for (size_t at = 0; at + kSampleBytes <= part.size(); at += kEvery) {
    const ByteSpan sample = part.subspan(at, kSampleBytes);
    for (const uint8_t byte : sample) ++counts[byte];
    ascii += IsAscii(sample) ? 1 : 0;
    samples += kSampleBytes;
  }
  if (ascii > kMaxAscii) return false;
  uint64_t squares = 0;
  for (const uint64_t count : counts) squares += count * count;
  // Pearson's statistic is 256 * squares / samples - samples.
  return squares * 256 <= samples * (samples + kMaxStatistic);
}

}  // namespace

bool LooksRandom(ByteSpan bytes) {
  if (bytes.size() < kMinPartBytes) return false;
  const size_t parts = (bytes.size() + kPartBytes - 1) / kPartBytes;
  for (size_t part = 0; part < parts; ++part) {
    const size_t begin = bytes.size() * part / parts;
    const size_t end = bytes.size() * (part + 1) / parts;
    if (!PartLooksRandom(bytes.subspan(begin, end - begin))) return false;
  }
  return true;
}

}  // namespace cairn
