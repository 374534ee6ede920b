// SPDX-License-Identifier: Apache-2.0
// The tree of BLAKE3 (section 2 of the paper) over many inputs: chunks of 1 KiB, of which the last
// may be shorter, are the leaves; two neighbours have a parent, and one that has none moves up.
#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "core/base/blake3.h"
#include "core/base/blake3_lanes.h"

namespace cairn {
namespace {

// With fewer chunks, the lanes are too empty: the library hashes an input by itself as fast.
constexpr size_t kFewestChunks = 9;

size_t ChunksOf(ByteSpan input) {
  return std::max<size_t>(1, (input.size() + HashLane::kChunkBytes - 1) / HashLane::kChunkBytes);
}

// Lanes on their way to be compressed.
class LaneQueue {
 public:
  explicit LaneQueue(const HashKey& key) : key_(key) {}

  void Add(const HashLane& lane) {
    lanes_[count_++] = lane;
    if (count_ == kHashLanes) Flush();
  }
  void Flush() {
    if (count_ > 0) CompressLanes(key_, std::span(lanes_).first(count_));
    count_ = 0;
  }

 private:
  const HashKey& key_;
  std::array<HashLane, kHashLanes> lanes_;
  size_t count_ = 0;
};

}  // namespace

struct Blake3Many::State {
  struct Tree {
    size_t first = 0;  // in `hashes`
    size_t count = 0;  // of what has no parent yet
  };

  // Into `results`. REQUIRES: HasHashLanes().
  void HashInLanes(const HashKey& key, std::span<const ByteSpan> inputs);
  void HashChunks(LaneQueue& queue, std::span<const ByteSpan> inputs);
  // False if there were none to hash.
  bool HashParents(LaneQueue& queue);

  std::vector<Tree> trees;  // of each input
  std::vector<Hash256> hashes;
  std::vector<HashLane> short_lanes;
  std::vector<Hash256> results;

  static bool LanesAreRight();
};

Blake3Many::Blake3Many() : state_(std::make_unique<State>()) {}
Blake3Many::Blake3Many(Blake3Many&&) noexcept = default;
Blake3Many& Blake3Many::operator=(Blake3Many&&) noexcept = default;
Blake3Many::~Blake3Many() = default;

bool Blake3Many::UsesLanes() {
  static const bool uses = HasHashLanes() && State::LanesAreRight();
  return uses;
}

std::span<const Hash256> Blake3Many::Hash(const HashKey& key, std::span<const ByteSpan> inputs) {
  size_t chunks = 0;
  for (const ByteSpan input : inputs) chunks += ChunksOf(input);
  State& state = *state_;
  if (chunks >= kFewestChunks && UsesLanes()) {
    state.HashInLanes(key, inputs);
  } else {
    state.results.clear();
    for (const ByteSpan input : inputs) state.results.push_back(Blake3Keyed(key, input));
  }
  return state.results;
}

// Ids are for ever, and a wrong one would be found by nobody but who reads it elsewhere: what
// computes them is believed where it has given what the library gives, of some inputs of up to four
// chunks, once in each process (50 us).
bool Blake3Many::State::LanesAreRight() {
  std::array<uint8_t, 4 * HashLane::kChunkBytes> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 256);
  HashKey key;
  std::copy_n(bytes.begin() + 1, key.size(), key.begin());
  std::vector<ByteSpan> inputs;
  for (size_t size = 0; size <= bytes.size(); size += bytes.size() / 16 + 1) {
    inputs.push_back(ByteSpan(bytes).first(size));
  }
  State state;
  state.HashInLanes(key, inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (state.results[i] != Blake3Keyed(key, inputs[i])) return false;
  }
  return true;
}

void Blake3Many::State::HashInLanes(const HashKey& key, std::span<const ByteSpan> inputs) {
  trees.clear();
  size_t chunks = 0;
  for (const ByteSpan input : inputs) {
    trees.push_back({chunks, ChunksOf(input)});
    chunks += trees.back().count;
  }
  if (hashes.size() < chunks) hashes.resize(chunks);
  LaneQueue queue(key);
  HashChunks(queue, inputs);
  while (HashParents(queue)) {
  }
  results.clear();
  for (const Tree& tree : trees) results.push_back(hashes[tree.first]);
}

void Blake3Many::State::HashChunks(LaneQueue& queue, std::span<const ByteSpan> inputs) {
  short_lanes.clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const uint8_t* const bytes = inputs[i].data();
    const size_t whole = inputs[i].size() / HashLane::kChunkBytes;
    const size_t rest = inputs[i].size() % HashLane::kChunkBytes;
    const bool is_root = trees[i].count == 1;
    Hash256* const level = &hashes[trees[i].first];
    for (size_t chunk = 0; chunk < whole; ++chunk) {
      queue.Add({.bytes = bytes + chunk * HashLane::kChunkBytes,
                 .size = HashLane::kChunkBytes,
                 .counter = static_cast<uint32_t>(chunk),
                 .is_root = is_root,
                 .out = &level[chunk]});
    }
    if (whole == trees[i].count) continue;
    short_lanes.push_back({.bytes = bytes + whole * HashLane::kChunkBytes,
                           .size = static_cast<uint32_t>(rest),
                           .counter = static_cast<uint32_t>(whole),
                           .is_root = is_root,
                           .out = &level[whole]});
  }
  std::ranges::sort(short_lanes, std::ranges::greater(), &HashLane::size);
  for (const HashLane& lane : short_lanes) queue.Add(lane);
  queue.Flush();
}

bool Blake3Many::State::HashParents(LaneQueue& queue) {
  bool any = false;
  for (Tree& tree : trees) {
    if (tree.count == 1) continue;
    any = true;
    Hash256* const level = &hashes[tree.first];
    for (size_t i = 0; i < tree.count / 2; ++i) {
      queue.Add({.bytes = level[2 * i].data(),
                 .size = HashLane::kParentBytes,
                 .is_parent = true,
                 .is_root = tree.count == 2,
                 .out = &level[i]});
    }
  }
  queue.Flush();
  for (Tree& tree : trees) {
    if (tree.count % 2 == 1) {
      hashes[tree.first + tree.count / 2] = hashes[tree.first + tree.count - 1];
    }
    tree.count = (tree.count + 1) / 2;
  }
  return any;
}

}  // namespace cairn
