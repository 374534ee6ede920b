// SPDX-License-Identifier: Apache-2.0
// Packs, snapshots and directories for the tests of the index.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "core/index/index.h"

namespace cairn::testing {

// Removed at the end, with all in it.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "cairn-index-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// The same for the same number, different for others.
template <typename Id>
Id TestId(uint64_t number) {
  Id id;
  uint64_t state = number * Id::kBytes / 8;  // ids share no word
  for (size_t at = 0; at < Id::kBytes; at += 8) {
    // splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators)
    uint64_t word = ++state * 0x9e3779b97f4a7c15;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
    word = (word ^ word >> 27) * 0x94d049bb133111eb;
    word ^= word >> 31;
    std::memcpy(id.bytes.data() + at, &word, 8);
  }
  return id;
}

inline BlobRef TestBlob(uint64_t number, BlobKind kind = BlobKind::kChunk) {
  return {kind, TestId<BlobId>(number)};
}

struct TestPack {
  PackInfo info;
  std::vector<FrameInfo> frames;
  std::vector<BlobInfo> blobs;

  // A view of this pack.
  PackContents Contents(PackState state = PackState::kLive) const {
    return {info, state, frames, blobs};
  }
};

// Pack `number` with the given blobs, 64 to a frame.
inline TestPack MakePack(uint64_t number, const std::vector<BlobRef>& refs) {
  TestPack pack;
  pack.info = {.name = TestId<PackName>(number),
               .bytes = 1000 + number,
               .hash = TestId<PackHash>(number),
               .session = TestId<SessionId>(number),
               .content = kPackHasChunks};
  constexpr uint32_t kBlobBytes = 100;
  for (const BlobRef& ref : refs) {
    const auto ordinal = static_cast<uint32_t>(pack.blobs.size());
    pack.blobs.push_back({ref, ordinal / 64, ordinal % 64 * kBlobBytes, kBlobBytes});
  }
  const size_t frames = (refs.size() + 63) / 64;
  for (uint32_t i = 0; i < frames; ++i) {
    FrameInfo frame{.offset = 128 + i * uint64_t{4096},
                    .stored_bytes = 3000 + i,
                    .raw_bytes = 64 * kBlobBytes,
                    .codec = FrameCodec::kZstd,
                    .checksum = {},
                    .bases = {}};
    frame.checksum.fill(static_cast<uint8_t>(number + i));
    pack.frames.push_back(std::move(frame));
  }
  return pack;
}

// Pack `number` with `count` blobs that no other pack has.
inline TestPack MakePack(uint64_t number, size_t count) {
  std::vector<BlobRef> refs;
  refs.reserve(count);
  for (size_t i = 0; i < count; ++i) refs.push_back(TestBlob(number << 32 | i));
  return MakePack(number, refs);
}

inline Place PlaceIn(const TestPack& pack, PackNumber number, uint32_t ordinal) {
  const BlobInfo& blob = pack.blobs[ordinal];
  return {number, ordinal, blob.frame, blob.offset, blob.bytes};
}

// In the writer's one transaction, however many there are.
inline Status RemovePacks(IndexWriter& writer, std::span<const PackName> names) {
  BlobId from;
  for (bool done = false; !done;) {
    ASSIGN_OR_RETURN(done, writer.RemovePacks(names, from));
  }
  return OkStatus();
}

inline Status RemovePack(IndexWriter& writer, const TestPack& pack) {
  return RemovePacks(writer, {&pack.info.name, 1});
}

inline IndexSnapshot MakeSnapshot(uint64_t number, uint64_t record) {
  return {.id = TestId<SnapshotId>(number),
          .record = record,
          .time = {static_cast<int64_t>(record) * 10, 500},
          .held = false,
          .tags = std::nullopt,
          .object = ToBytes("object " + std::to_string(number))};
}

}  // namespace cairn::testing
