// SPDX-License-Identifier: Apache-2.0
#include "core/index/blob_filter.h"

#include <cstring>

namespace cairn {
namespace {

constexpr uint64_t kBitsPerBlob = 12;

// Ids are hashes: any of their bytes serve.
uint64_t WordOf(const BlobId& id, size_t position) {
  uint64_t word;
  std::memcpy(&word, id.bytes.data() + position, sizeof(word));
  return word;
}

size_t PlaceOf(const BlobId& id, uint64_t words) {
  return static_cast<size_t>(static_cast<unsigned __int128>(WordOf(id, 0)) * words >> 64);
}

// Four of a word's 64 bits.
uint64_t MaskOf(const BlobId& id) {
  const uint64_t source = WordOf(id, 8);
  uint64_t mask = 0;
  for (int i = 0; i < 4; ++i) mask |= uint64_t{1} << (source >> (6 * i) & 63);
  return mask;
}

}  // namespace

BlobFilter::BlobFilter(uint64_t capacity)
    : capacity_(capacity),
      words_(capacity * kBitsPerBlob / 64 + 1),
      bits_(std::make_unique<std::atomic<uint64_t>[]>(words_)) {}

void BlobFilter::Add(const BlobId& id) {
  bits_[PlaceOf(id, words_)].fetch_or(MaskOf(id), std::memory_order_relaxed);
}

bool BlobFilter::MayHave(const BlobId& id) const {
  const uint64_t mask = MaskOf(id);
  return (bits_[PlaceOf(id, words_)].load(std::memory_order_relaxed) & mask) == mask;
}

}  // namespace cairn
