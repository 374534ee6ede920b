// SPDX-License-Identifier: Apache-2.0
// Blobs a second into the index, and seconds a look-up, with an index of a million blobs.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/index/lmdb_index.h"
#include "core/index/memory_index.h"

namespace cairn {
namespace {

constexpr size_t kPackBlobs = 4000;  // 64 MiB of 16 KiB chunks
constexpr size_t kIndexBlobs = 1'000'000;

// Blobs with random ids, the same in every run.
class PackMaker {
 public:
  explicit PackMaker(uint64_t seed) : random_(seed) {}

  PackInfo NextInfo() {
    return {.name = NextId<PackName>(), .bytes = 0, .hash = {}, .session = {}};
  }
  std::vector<BlobInfo> NextBlobs(size_t count) {
    std::vector<BlobInfo> blobs(count);
    for (size_t i = 0; i < count; ++i) {
      blobs[i] = {{BlobKind::kChunk, NextId<BlobId>()},
                  static_cast<uint32_t>(i / 64),
                  static_cast<uint32_t>(i % 64 * 16384),
                  16384};
    }
    return blobs;
  }
  template <typename Id>
  Id NextId() {
    Id id;
    for (size_t at = 0; at < Id::kBytes; at += 8) {
      const uint64_t word = random_();
      std::memcpy(id.bytes.data() + at, &word, 8);
    }
    return id;
  }

 private:
  std::mt19937_64 random_;
};

void Check(benchmark::State& state, const Status& status) {
  if (!status.ok()) state.SkipWithError(status.ToString().c_str());
}

// An index in a directory that goes with it.
struct ScratchIndex {
  ScratchIndex() {
    std::string pattern = std::filesystem::temp_directory_path() / "cairn-bench-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) abort();
    directory = pattern;
    auto opened = OpenLmdbIndex({.directory = directory, .repository = {}});
    if (!opened.ok()) abort();
    index = *std::move(opened);
  }
  ~ScratchIndex() {
    index.reset();
    std::filesystem::remove_all(directory);
  }

  std::string directory;
  std::unique_ptr<Index> index;
};

Status AddBlobs(Index& index, PackMaker& maker, size_t count) {
  std::vector<std::vector<BlobInfo>> blobs;
  std::vector<PackContents> packs;
  for (size_t left = count; left > 0; left -= std::min(left, kPackBlobs)) {
    blobs.push_back(maker.NextBlobs(std::min(left, kPackBlobs)));
    packs.push_back({maker.NextInfo(), PackState::kLive, {}, blobs.back()});
  }
  ASSIGN_OR_RETURN(auto writer, index.Write());
  RETURN_IF_ERROR(writer->AddPacks(packs));
  return writer->Commit();
}

void BM_AppendToEmpty(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    PackMaker maker(1);
    auto scratch = std::make_unique<ScratchIndex>();
    state.ResumeTiming();
    Check(state, AddBlobs(*scratch->index, maker, count));
    state.PauseTiming();
    scratch.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_AppendToEmpty)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void BM_InsertBatch(benchmark::State& state) {
  ScratchIndex scratch;
  PackMaker maker(1);
  Check(state, AddBlobs(*scratch.index, maker, kIndexBlobs));
  const auto count = static_cast<size_t>(state.range(0));
  for (auto _ : state) Check(state, AddBlobs(*scratch.index, maker, count));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_InsertBatch)->Arg(100)->Arg(4000)->Arg(100'000)->Unit(benchmark::kMillisecond);

enum class Implementation { kLmdb, kMemory };

void Find(benchmark::State& state, Implementation implementation, bool hit, bool new_reader) {
  ScratchIndex scratch;
  const std::unique_ptr<Index> memory = NewMemoryIndex();
  Index& index = implementation == Implementation::kLmdb ? *scratch.index : *memory;
  PackMaker maker(1);
  Check(state, AddBlobs(index, maker, kIndexBlobs));
  PackMaker ids(hit ? 1 : 2);
  std::vector<BlobRef> refs;
  for (const BlobInfo& blob : ids.NextBlobs(kPackBlobs)) refs.push_back(blob.ref);
  std::shuffle(refs.begin(), refs.end(), std::mt19937_64(3));

  auto reader = index.Read();
  size_t next = 0;
  size_t found = 0;
  for (auto _ : state) {
    if (new_reader) reader = index.Read();
    const auto places = (*reader)->FindBlob(refs[next++ % refs.size()]);
    found += places->size();
  }
  if (found != (hit ? next : 0)) state.SkipWithError("wrong result");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(Find, lmdb_hit, Implementation::kLmdb, true, false);
BENCHMARK_CAPTURE(Find, lmdb_miss, Implementation::kLmdb, false, false);
BENCHMARK_CAPTURE(Find, lmdb_hit_new_reader, Implementation::kLmdb, true, true);
BENCHMARK_CAPTURE(Find, memory_hit, Implementation::kMemory, true, false);
BENCHMARK_CAPTURE(Find, memory_miss, Implementation::kMemory, false, false);

// To be compared with Find's misses (core/repo/lookup_filter.cc).
void Walk(benchmark::State& state) {
  ScratchIndex scratch;
  PackMaker maker(1);
  Check(state, AddBlobs(*scratch.index, maker, kIndexBlobs));
  const auto reader = scratch.index->Read();
  for (auto _ : state) {
    Check(state, (*reader)->ForEachBlob([](const BlobRef&, const Place&) { return true; }));
  }
  state.SetItemsProcessed(state.iterations() * kIndexBlobs);
}
BENCHMARK(Walk)->Unit(benchmark::kMillisecond);

void BM_Open(benchmark::State& state) {
  ScratchIndex scratch;
  PackMaker maker(1);
  Check(state, AddBlobs(*scratch.index, maker, kIndexBlobs));
  scratch.index.reset();
  for (auto _ : state) {
    const auto index = OpenLmdbIndex({.directory = scratch.directory, .repository = {}});
    Check(state, index.status());
  }
}
BENCHMARK(BM_Open)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace cairn

BENCHMARK_MAIN();
