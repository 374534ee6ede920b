// SPDX-License-Identifier: Apache-2.0
// BLAKE3 as blobs are hashed: keyed by kind, at the sizes of chunks and nodes.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "core/base/blob.h"
#include "core/base/random.h"

namespace cairn {
namespace {

void HashBlob(benchmark::State& state) {
  Bytes bytes(static_cast<size_t>(state.range(0)));
  FillRandom(bytes);
  const BlobHasher hasher;
  for (auto _ : state) benchmark::DoNotOptimize(hasher.Hash(BlobKind::kChunk, bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(HashBlob)->RangeMultiplier(4)->Range(1 << 10, 1 << 20);

// A frame's worth of blobs, hashed together.
void HashBlobs(benchmark::State& state) {
  constexpr size_t kFrameBytes = 2 * kMiB;
  Bytes bytes(kFrameBytes);
  FillRandom(bytes);
  const auto blob_bytes = static_cast<size_t>(state.range(0));
  const BlobHasher hasher;
  BlobBatch batch(hasher);
  for (auto _ : state) {
    for (size_t at = 0; at < kFrameBytes; at += blob_bytes) {
      batch.Add(BlobKind::kChunk,
                ByteSpan(bytes).subspan(at, std::min(blob_bytes, kFrameBytes - at)));
    }
    benchmark::DoNotOptimize(batch.Hash());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kFrameBytes));
}
BENCHMARK(HashBlobs)->RangeMultiplier(4)->Range(700, 70'000);

}  // namespace
}  // namespace cairn

BENCHMARK_MAIN();
