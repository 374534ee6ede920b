// SPDX-License-Identifier: Apache-2.0
// Where the time of a command goes, by stage, for people who ask why it takes so long. Off until
// Start: a timer then costs one relaxed load.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace cairn {

enum class Stage : uint8_t {
  kWalk,        // listing directories, statx
  kRead,        // opening and reading files, extended attributes
  kChunk,       // cutting
  kHash,        // ids
  kFind,        // looking blobs up in the index
  kCompress,    // frames
  kDecompress,  // frames, also to verify what was compressed
  kVerify,      // comparing checksums and ids
  kStore,       // writing packs
  kSync,        // waiting for the disk
  kIndex,       // bringing the index up to date
  kPlace,       // making the restored file: its name, owner, mode and times
  kWriteFile,   // its content
};
inline constexpr int kStages = 13;

// "walk", "read", ...
const char* StageName(Stage stage);

struct StageTime {
  Stage stage;
  uint64_t nanoseconds = 0;  // in all threads together
  uint64_t calls = 0;
};

// Of the process. Thread-safe.
class Profile {
 public:
  static void Start() { on_.store(true, std::memory_order_relaxed); }
  static bool on() { return on_.load(std::memory_order_relaxed); }
  // The stages that took any time, in their order.
  static std::vector<StageTime> Take();

 private:
  static std::atomic<bool> on_;
};

// Counts the time of its scope for a stage; that of a timer within it counts for that one's alone.
class StageTimer {
 public:
  explicit StageTimer(Stage stage) {
    if (Profile::on()) Begin(stage);
  }
  ~StageTimer() {
    if (begun_) End();
  }
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  void Begin(Stage stage);
  void End();

  bool begun_ = false;
  Stage stage_ = Stage::kWalk;
  uint64_t start_ = 0;
  uint64_t inner_ = 0;
  StageTimer* outer_ = nullptr;
};

}  // namespace cairn
