// SPDX-License-Identifier: Apache-2.0
// Entries a second: building, reading, walking and marking a directory; items of a long chunk list.
// One thread, blobs in memory.
#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/tree/builder.h"
#include "core/tree/reader.h"
#include "core/tree/walk.h"

namespace cairn {
namespace {

class Blobs : public BlobSource, public BlobSink {
 public:
  StatusOr<Bytes> ReadBlob(const BlobRef& ref) override {
    const auto found = blobs_.find(ref.id);
    if (found == blobs_.end()) return NotFound("blob");
    return found->second;
  }
  StatusOr<BlobId> WriteBlob(BlobKind kind, ByteSpan bytes) override {
    const BlobId id = hasher_.Hash(kind, bytes);
    blobs_.try_emplace(id, bytes.begin(), bytes.end());
    return id;
  }

 private:
  const BlobHasher hasher_;
  std::map<BlobId, Bytes> blobs_;
};

BlobId NumberedId(size_t number) {
  static const BlobHasher hasher;
  return hasher.Hash(BlobKind::kChunk, AsBytes(std::to_string(number)));
}

std::vector<Entry> Files(size_t count) {
  std::vector<Entry> files(count);
  for (size_t i = 0; i < count; ++i) {
    files[i].name = absl::StrFormat("IMG_%07d.jpg", i);
    files[i].mode = 0644;
    files[i].uid = files[i].gid = 1000;
    files[i].mtime = {static_cast<int64_t>(1'700'000'000 + i), 123'456'789};
    files[i].size = 16'000;
    files[i].content.items.push_back({.bytes = 16'000, .zero = false, .id = NumberedId(i)});
  }
  return files;
}

// Counts an error as a failed benchmark; returns whether there was none.
bool Ok(benchmark::State& state, const Status& status) {
  if (status.ok()) return true;
  state.SkipWithError(status.ToString().c_str());
  return false;
}

StatusOr<BlobId> Build(BlobSink& sink, const std::vector<Entry>& entries) {
  TreeBuilder builder(sink);
  for (const Entry& entry : entries) RETURN_IF_ERROR(builder.Add(entry));
  return builder.Finish();
}

void BuildDirectory(benchmark::State& state) {
  const std::vector<Entry> entries = Files(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    Blobs blobs;
    if (!Ok(state, Build(blobs, entries).status())) return;
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BuildDirectory)->Arg(30)->Arg(100'000)->Unit(benchmark::kMillisecond);

void WalkDirectory(benchmark::State& state) {
  Blobs blobs;
  const StatusOr<BlobId> top = Build(blobs, Files(static_cast<size_t>(state.range(0))));
  if (!Ok(state, top.status())) return;
  Entry directory;
  directory.type = EntryType::kDirectory;
  directory.node = *top;
  WalkCallbacks callbacks;
  callbacks.enter = [](const std::string& path, const Entry&) -> StatusOr<WalkStep> {
    benchmark::DoNotOptimize(path.data());
    return WalkStep::kContinue;
  };
  for (auto _ : state) {
    if (!Ok(state, WalkTree(blobs, directory, callbacks))) return;
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(WalkDirectory)->Arg(100'000)->Unit(benchmark::kMillisecond);

void FindOneOf100000(benchmark::State& state) {
  Blobs blobs;
  const std::vector<Entry> entries = Files(100'000);
  const StatusOr<BlobId> top = Build(blobs, entries);
  if (!Ok(state, top.status())) return;
  size_t at = 0;
  for (auto _ : state) {
    at = (at + 7919) % entries.size();
    if (!Ok(state, FindEntry(blobs, *top, entries[at].name).status())) return;
  }
}
BENCHMARK(FindOneOf100000)->Unit(benchmark::kMicrosecond);

void References(benchmark::State& state) {
  TreeNode node;
  node.entries = Files(48);
  const Bytes bytes = EncodeTreeNode(node);
  for (auto _ : state) {
    const auto references = NodeReferences(BlobKind::kTree, bytes);
    if (!Ok(state, references.status())) return;
    benchmark::DoNotOptimize(references->data());
  }
  state.SetItemsProcessed(state.iterations() * 48);
}
BENCHMARK(References)->Unit(benchmark::kMicrosecond);

void BuildList(benchmark::State& state) {
  std::vector<ContentItem> items;
  for (size_t i = 0; i < 100'000; ++i) {
    items.push_back({.bytes = 16'000, .zero = false, .id = NumberedId(i)});
  }
  for (auto _ : state) {
    Blobs blobs;
    ListBuilder builder(blobs);
    for (const ContentItem& item : items) {
      if (!Ok(state, builder.Add(item))) return;
    }
    if (!Ok(state, builder.Finish().status())) return;
  }
  state.SetItemsProcessed(state.iterations() * 100'000);
}
BENCHMARK(BuildList)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cairn

BENCHMARK_MAIN();
