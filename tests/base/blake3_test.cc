// SPDX-License-Identifier: Apache-2.0
#include "core/base/blake3.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/blake3_lanes.h"
#include "core/base/blob.h"
#include "core/base/hex.h"

namespace cairn {
namespace {

// Of the published vectors (test_vectors.json of BLAKE3's own repository), cut to 32 bytes: lengths
// around one block, one chunk and two, and some that fill the widest vector units.
struct Vector {
  size_t input_bytes;
  const char* hash;
  const char* keyed_hash;
  const char* derived_key;
};

constexpr Vector kVectors[] = {
    {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
     "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
     "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"},
    {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
     "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
     "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"},
    {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
     "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4",
     "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706"},
    {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
     "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69",
     "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb"},
    {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
     "9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5",
     "2ea477c5515cc3dd606512ee72bb3e0e758cfae7232826f35fb98ca1bcbdf273"},
    {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
     "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419",
     "39772aef80e0ebe60596361e45b061e8f417429d529171b6764468c22928e28e"},
    {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
     "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7",
     "4652cff7a3f385a6103b5c260fc1593e13c778dbe608efb092fe7ee69df6e9c6"},
};

constexpr std::string_view kContext = "BLAKE3 2019-12-27 16:29:52 test vectors context";

HashKey VectorKey() {
  constexpr std::string_view kText = "whats the Elvish word for friend";
  HashKey key;
  static_assert(kText.size() == sizeof(key));
  std::copy(kText.begin(), kText.end(), key.begin());
  return key;
}

Bytes VectorInput(size_t size) {
  Bytes input(size);
  for (size_t i = 0; i < size; ++i) input[i] = static_cast<uint8_t>(i % 251);
  return input;
}

TEST(Blake3Test, EqualsThePublishedVectors) {
  for (const Vector& vector : kVectors) {
    const Bytes input = VectorInput(vector.input_bytes);
    EXPECT_EQ(HexEncode(Blake3Hash(input)), vector.hash) << vector.input_bytes;
    EXPECT_EQ(HexEncode(Blake3Keyed(VectorKey(), input)), vector.keyed_hash) << vector.input_bytes;
    EXPECT_EQ(HexEncode(Blake3DeriveKey(kContext, input)), vector.derived_key)
        << vector.input_bytes;
  }
}

TEST(Blake3Test, PiecesHashAsTheWhole) {
  const Bytes input = VectorInput(31744);
  for (const size_t piece : {1, 63, 64, 1024, 1025, 30000}) {
    Blake3 plain;
    Blake3 keyed(VectorKey());
    for (size_t at = 0; at < input.size(); at += piece) {
      const ByteSpan part = ByteSpan(input).subspan(at, std::min(piece, input.size() - at));
      plain.Update(part);
      keyed.Update(part);
    }
    EXPECT_EQ(plain.Finish(), Blake3Hash(input)) << piece;
    EXPECT_EQ(keyed.Finish(), Blake3Keyed(VectorKey(), input)) << piece;
  }
}

TEST(Blake3Test, FinishLeavesTheStateAsItWas) {
  Blake3 hasher;
  hasher.Update(AsBytes("ab"));
  EXPECT_EQ(hasher.Finish(), Blake3Hash(AsBytes("ab")));
  hasher.Update(AsBytes("c"));
  Blake3 moved = std::move(hasher);
  EXPECT_EQ(moved.Finish(), Blake3Hash(AsBytes("abc")));
}

// Lengths around all borders of blocks, chunks and trees.
std::vector<size_t> ManyLengths() {
  std::vector<size_t> lengths;
  for (size_t length = 0; length <= 2100; ++length) lengths.push_back(length);
  for (size_t chunks = 3; chunks <= 40; ++chunks) {
    for (const size_t more : {0, 1, 63, 64, 65, 960, 1023}) lengths.push_back(1024 * chunks + more);
  }
  lengths.push_back(1'000'003);
  return lengths;
}

TEST(Blake3ManyTest, GivesOfEachWhatTheLibraryGives) {
  const std::vector<size_t> lengths = ManyLengths();
  const Bytes input = VectorInput(2'000'000);
  std::vector<ByteSpan> inputs;
  for (size_t i = 0; i < lengths.size(); ++i) {
    inputs.push_back(ByteSpan(input).subspan(i, lengths[i]));
  }
  Blake3Many many;
  const std::span<const Hash256> hashes = many.Hash(VectorKey(), inputs);
  ASSERT_EQ(hashes.size(), inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_EQ(hashes[i], Blake3Keyed(VectorKey(), inputs[i])) << lengths[i];
  }
}

TEST(Blake3ManyTest, GivesTheSameForFewAndForOne) {
  const Bytes input = VectorInput(100'000);
  Blake3Many many;
  for (const size_t length : ManyLengths()) {
    if (length > input.size()) continue;
    const ByteSpan whole = ByteSpan(input).first(length);
    const ByteSpan inputs[] = {whole, ByteSpan(input).first(3000), whole};
    for (size_t count = 1; count <= 3; ++count) {
      const auto hashes = many.Hash(VectorKey(), std::span(inputs).first(count));
      ASSERT_EQ(hashes.size(), count);
      for (size_t i = 0; i < count; ++i) {
        EXPECT_EQ(hashes[i], Blake3Keyed(VectorKey(), inputs[i])) << length;
      }
    }
  }
}

TEST(Blake3ManyTest, GivesThePublishedHashes) {
  Bytes input = VectorInput(102400);
  std::vector<ByteSpan> inputs;
  for (const Vector& vector : kVectors) {
    inputs.push_back(ByteSpan(input).first(vector.input_bytes));
  }
  Blake3Many many;
  const auto hashes = many.Hash(VectorKey(), inputs);
  for (size_t i = 0; i < inputs.size(); ++i)
    EXPECT_EQ(HexEncode(hashes[i]), kVectors[i].keyed_hash);
}

// Else the library would stand in, and the other tests would show nothing.
TEST(Blake3ManyTest, UsesItsLanesWhereTheProcessorHasThem) {
  EXPECT_EQ(Blake3Many::UsesLanes(), HasHashLanes());
}

TEST(Blake3ManyTest, OfNothingThereIsNothing) {
  Blake3Many many;
  EXPECT_TRUE(many.Hash(VectorKey(), {}).empty());
}

// As the guard pages of a buffer's end would show.
TEST(Blake3ManyTest, ReadsNothingBehindAnInput) {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  void* const pages =
      ::mmap(nullptr, 5 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  ASSERT_EQ(::mprotect(static_cast<uint8_t*>(pages) + 4 * page, page, PROT_NONE), 0);
  const ByteSpan buffer(static_cast<const uint8_t*>(pages), 4 * page);
  std::vector<ByteSpan> inputs;
  for (size_t length = 0; length < buffer.size(); length += 37) {
    inputs.push_back(buffer.last(length));
  }
  Blake3Many many;
  const auto hashes = many.Hash(VectorKey(), inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_EQ(hashes[i], Blake3Keyed(VectorKey(), inputs[i]));
  }
  EXPECT_EQ(::munmap(pages, 5 * page), 0);
}

TEST(BlobBatchTest, GivesEachBlobTheIdOfItsKindInTheOrderOfAdding) {
  const BlobHasher hasher(VectorKey());
  BlobBatch batch(hasher);
  const Bytes input = VectorInput(50'000);
  for (int round = 0; round < 2; ++round) {
    std::vector<BlobId> expected;
    for (size_t i = 0; i < 40; ++i) {
      const auto kind = static_cast<BlobKind>(i * 7 % kBlobKinds + 1);
      const ByteSpan bytes = ByteSpan(input).subspan(i, 1000 * i);
      batch.Add(kind, bytes);
      expected.push_back(hasher.Hash(kind, bytes));
    }
    EXPECT_THAT(batch.Hash(), ::testing::ElementsAreArray(expected));
    EXPECT_TRUE(batch.Hash().empty());
  }
}

TEST(BlobHasherTest, EqualBytesOfDifferentKindsHaveDifferentIds) {
  const BlobHasher hasher;
  std::vector<std::string> ids;
  for (int kind = 1; kind <= kBlobKinds; ++kind) {
    ids.push_back(hasher.Hash(static_cast<BlobKind>(kind), AsBytes("bytes")).Hex());
  }
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
}

TEST(BlobHasherTest, IdsDependOnTheRepositorysKeyAndNothingElse) {
  EXPECT_EQ(BlobHasher().Hash(BlobKind::kTree, AsBytes("x")),
            BlobHasher(HashKey{}).Hash(BlobKind::kTree, AsBytes("x")));
  EXPECT_NE(BlobHasher().Hash(BlobKind::kTree, AsBytes("x")),
            BlobHasher(VectorKey()).Hash(BlobKind::kTree, AsBytes("x")));
}

TEST(BlobKindTest, OnlyTheKnownValuesAreKinds) {
  EXPECT_FALSE(IsBlobKind(0));
  for (uint64_t kind = 1; kind <= 5; ++kind) EXPECT_TRUE(IsBlobKind(kind));
  EXPECT_FALSE(IsBlobKind(6));
  EXPECT_FALSE(IsBlobKind(257));
  EXPECT_FALSE(IsNode(BlobKind::kChunk));
  EXPECT_TRUE(IsNode(BlobKind::kRoot));
}

}  // namespace
}  // namespace cairn
