// SPDX-License-Identifier: Apache-2.0
// XChaCha20-Poly1305 as frames are sealed and opened; beside it libsodium's own.
#include <benchmark/benchmark.h>
#include <sodium.h>

#include "core/base/aead.h"
#include "core/base/random.h"

namespace cairn {
namespace {

struct Sealed {
  explicit Sealed(size_t size) : plain(size), sealed(size + kAeadTagBytes) {
    FillRandom(plain);
    FillRandom(key);
    AeadSeal(key, nonce, associated, plain, sealed);
  }
  Bytes key = Bytes(kAeadKeyBytes);
  AeadNonce nonce{};
  Bytes associated = Bytes(65);
  Bytes plain;
  Bytes sealed;
};

void Seal(benchmark::State& state) {
  Sealed data(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    AeadSeal(data.key, data.nonce, data.associated, data.plain, data.sealed);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Seal)->RangeMultiplier(8)->Range(1 << 9, 1 << 21);

void Open(benchmark::State& state) {
  Sealed data(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        AeadOpen(data.key, data.nonce, data.associated, data.sealed, data.plain));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Open)->RangeMultiplier(8)->Range(1 << 9, 1 << 21);

void SealByLibsodium(benchmark::State& state) {
  Sealed data(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        data.sealed.data(), nullptr, data.plain.data(), data.plain.size(), data.associated.data(),
        data.associated.size(), nullptr, data.nonce.data(), data.key.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(SealByLibsodium)->RangeMultiplier(8)->Range(1 << 9, 1 << 21);

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  if (sodium_init() < 0) return 1;
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
