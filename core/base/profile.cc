// SPDX-License-Identifier: Apache-2.0
#include "core/base/profile.h"

#include <array>
#include <chrono>

namespace cairn {
namespace {

struct Sum {
  std::atomic<uint64_t> nanoseconds{0};
  std::atomic<uint64_t> calls{0};
};

std::array<Sum, kStages> sums;
thread_local StageTimer* innermost = nullptr;

uint64_t Now() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                               std::chrono::nanoseconds(1));
}

}  // namespace

std::atomic<bool> Profile::on_{false};

const char* StageName(Stage stage) {
  switch (stage) {
    case Stage::kWalk:
      return "walk";
    case Stage::kRead:
      return "read";
    case Stage::kChunk:
      return "chunk";
    case Stage::kHash:
      return "hash";
    case Stage::kFind:
      return "find";
    case Stage::kCompress:
      return "compress";
    case Stage::kDecompress:
      return "decompress";
    case Stage::kVerify:
      return "verify";
    case Stage::kStore:
      return "store";
    case Stage::kSync:
      return "sync";
    case Stage::kIndex:
      return "index";
    case Stage::kPlace:
      return "place";
    case Stage::kWriteFile:
      return "write files";
  }
  return "?";
}

std::vector<StageTime> Profile::Take() {
  std::vector<StageTime> times;
  for (int i = 0; i < kStages; ++i) {
    const uint64_t calls = sums[i].calls.exchange(0);
    const uint64_t nanoseconds = sums[i].nanoseconds.exchange(0);
    if (calls > 0) times.push_back({static_cast<Stage>(i), nanoseconds, calls});
  }
  return times;
}

void StageTimer::Begin(Stage stage) {
  begun_ = true;
  stage_ = stage;
  outer_ = innermost;
  innermost = this;
  start_ = Now();
}

void StageTimer::End() {
  const uint64_t took = Now() - start_;
  innermost = outer_;
  if (outer_ != nullptr) outer_->inner_ += took;
  Sum& sum = sums[static_cast<size_t>(stage_)];
  sum.nanoseconds.fetch_add(took - inner_, std::memory_order_relaxed);
  sum.calls.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace cairn
