// SPDX-License-Identifier: Apache-2.0
// BLAKE3 as blobs are hashed: keyed by kind, at the sizes of chunks and nodes.
#include <benchmark/benchmark.h>

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

}  // namespace
}  // namespace cairn

BENCHMARK_MAIN();
