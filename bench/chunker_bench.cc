// SPDX-License-Identifier: Apache-2.0
// Bytes a second of Chunker::NextCut, by path, average size and kind of data. One thread.
#include <benchmark/benchmark.h>

#include <cstring>
#include <random>
#include <string_view>

#include "core/chunker/chunker.h"

namespace cairn {
namespace {

constexpr size_t kBytes = 32 * kMiB;

Bytes RandomBytes() {
  Bytes bytes(kBytes);
  std::mt19937_64 random(1);
  for (size_t i = 0; i < bytes.size(); i += 8) {
    const uint64_t word = random();
    std::memcpy(&bytes[i], &word, 8);
  }
  return bytes;
}

// Words of a small vocabulary, as in source code.
Bytes Text() {
  static constexpr std::string_view kWords[] = {
      "return ", "static ", "const ", "struct ", "    ",    "\n",   "\n\n", "if (", ") {\n",
      "}\n",     "->",      "= ",     "int ",    "size_t ", "data", "next", ";\n",  "0x"};
  Bytes bytes;
  bytes.reserve(kBytes + 16);
  std::mt19937_64 random(2);
  while (bytes.size() < kBytes) {
    const uint64_t word = random();
    Append(bytes, AsBytes(kWords[word % std::size(kWords)]));
    if (word >> 60 == 0) bytes.push_back(static_cast<uint8_t>('a' + (word >> 32) % 26));
  }
  bytes.resize(kBytes);
  return bytes;
}

void Cut(benchmark::State& state, ChunkerPath path, const Bytes& data) {
  const uint32_t avg = static_cast<uint32_t>(state.range(0)) * kKiB;
  const ChunkerOptions options = {.min_size = avg / 4, .avg_size = avg, .max_size = avg * 4};
  const StatusOr<Chunker> chunker = Chunker::Create(options, GearTable(HashKey{}), path);
  if (!chunker.ok()) {
    state.SkipWithError(chunker.status().ToString().c_str());
    return;
  }
  size_t chunks = 0;
  for (auto _ : state) {
    chunker->ForEachChunk(data, [&](ByteSpan chunk) {
      benchmark::DoNotOptimize(chunk.size());
      ++chunks;
    });
  }
  const size_t bytes = data.size() * static_cast<size_t>(state.iterations());
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
  state.counters["chunk"] = static_cast<double>(bytes) / static_cast<double>(chunks);
}

void BM_CutRandom(benchmark::State& state, ChunkerPath path) {
  static const Bytes data = RandomBytes();
  Cut(state, path, data);
}

void BM_CutText(benchmark::State& state, ChunkerPath path) {
  static const Bytes data = Text();
  Cut(state, path, data);
}

void BM_CutZeros(benchmark::State& state, ChunkerPath path) {
  static const Bytes data(kBytes);
  Cut(state, path, data);
}

BENCHMARK_CAPTURE(BM_CutRandom, scalar, ChunkerPath::kScalar)->Arg(8)->Arg(16)->Arg(64);
BENCHMARK_CAPTURE(BM_CutRandom, avx512, ChunkerPath::kAvx512)->Arg(8)->Arg(16)->Arg(64);
BENCHMARK_CAPTURE(BM_CutRandom, vbmi, ChunkerPath::kVbmi)->Arg(8)->Arg(16)->Arg(64);
BENCHMARK_CAPTURE(BM_CutText, scalar, ChunkerPath::kScalar)->Arg(16);
BENCHMARK_CAPTURE(BM_CutText, avx512, ChunkerPath::kAvx512)->Arg(16);
BENCHMARK_CAPTURE(BM_CutText, vbmi, ChunkerPath::kVbmi)->Arg(16);
BENCHMARK_CAPTURE(BM_CutZeros, scalar, ChunkerPath::kScalar)->Arg(16);
BENCHMARK_CAPTURE(BM_CutZeros, avx512, ChunkerPath::kAvx512)->Arg(16);
BENCHMARK_CAPTURE(BM_CutZeros, vbmi, ChunkerPath::kVbmi)->Arg(16);

}  // namespace
}  // namespace cairn

BENCHMARK_MAIN();
