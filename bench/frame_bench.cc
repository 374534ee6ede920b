// SPDX-License-Identifier: Apache-2.0
// Sealing a frame (compression, decoding and comparing) and decoding it, on text-like data.
#include <benchmark/benchmark.h>

#include <random>

#include "core/store/frame.h"

namespace cairn {
namespace {

// Words in random order: compresses about as source code does.
Bytes TextLike(size_t size) {
  static constexpr const char* kWords[] = {"static ",   "struct ",  "return ", "if (",   "int ",
                                           "pointer",   "->",       ";\n",     "\t\t",   "0x1f",
                                           "unsigned ", "context ", "device",  "offset", " = "};
  std::mt19937 random(7);
  Bytes bytes;
  while (bytes.size() < size) {
    if (random() % 4 == 0) {
      bytes.push_back(static_cast<uint8_t>('a' + random() % 26));
    } else {
      Append(bytes, AsBytes(kWords[random() % std::size(kWords)]));
    }
  }
  bytes.resize(size);
  return bytes;
}

RawFrame MakeFrame(const BlobHasher& hasher) {
  const Bytes text = TextLike(kChunkFrameBytes);
  RawFrame frame;
  constexpr size_t kChunk = 16 * kKiB;
  for (size_t at = 0; at < text.size(); at += kChunk) {
    const ByteSpan chunk = ByteSpan(text).subspan(at, kChunk);
    frame.Add({BlobKind::kChunk, hasher.Hash(BlobKind::kChunk, chunk)}, chunk);
  }
  return frame;
}

void SealFrame(benchmark::State& state) {
  const BlobHasher hasher;
  const RawFrame frame = MakeFrame(hasher);
  FrameCodecContext context(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    auto sealed = context.Seal(frame);
    if (!sealed.ok()) state.SkipWithError("not sealed");
    benchmark::DoNotOptimize(sealed);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(frame.raw.size()));
}
BENCHMARK(SealFrame)->Arg(1)->Arg(3)->Arg(6)->Arg(9);

void DecodeFrame(benchmark::State& state) {
  const BlobHasher hasher;
  const RawFrame frame = MakeFrame(hasher);
  FrameCodecContext context(3);
  const auto sealed = context.Seal(frame);
  Bytes raw;
  for (auto _ : state) {
    if (!sealed.ok() || !context.Decode(sealed->info, sealed->stored, raw).ok()) {
      state.SkipWithError("not decoded");
      break;
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(frame.raw.size()));
}
BENCHMARK(DecodeFrame);

}  // namespace
}  // namespace cairn

BENCHMARK_MAIN();
