// SPDX-License-Identifier: Apache-2.0
#include "core/chunker/chunker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "tests/chunker/chunk_data.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::cairn::testing::RandomBytes;
using ::cairn::testing::SplitMix64;
using ::cairn::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr ChunkerOptions kDefaults;
constexpr ChunkerOptions kSmall = {.min_size = 64, .avg_size = 4096, .max_size = 8192};
constexpr ChunkerOptions kAllOptions[] = {
    kDefaults,
    kSmall,
    {.min_size = 1024, .avg_size = 4096, .max_size = 16384},
    {.min_size = 65, .avg_size = 4096, .max_size = 4097},
    {.min_size = 777, .avg_size = 8192, .max_size = 9999},
    {.min_size = 4095, .avg_size = 4096, .max_size = 70001},
    {.min_size = 4096, .avg_size = 4096, .max_size = 4096},
    {.min_size = 100, .avg_size = 1 << 16, .max_size = 4 << 20},
};

Chunker MakeChunker(const ChunkerOptions& options, ChunkerPath path = ChunkerPath::kAuto,
                    const HashKey& key = {}) {
  StatusOr<Chunker> chunker = Chunker::Create(options, GearTable(key), path);
  CHECK(chunker.ok());
  return *std::move(chunker);
}

std::vector<size_t> Lengths(const Chunker& chunker, ByteSpan data) {
  std::vector<size_t> lengths;
  chunker.ForEachChunk(data, [&](ByteSpan chunk) { lengths.push_back(chunk.size()); });
  return lengths;
}

// The definition in chunker.h, word for word: every hash anew from its 64 bytes.
size_t CutByDefinition(const ChunkerOptions& options, const GearTable& gear, ByteSpan d) {
  const size_t end = std::min<size_t>(d.size(), options.max_size);
  if (d.size() <= options.min_size) return d.size();
  const int a = std::countr_zero(options.avg_size);
  for (size_t p = options.min_size; p < end; ++p) {
    uint64_t hash = 0;
    for (size_t i = 0; i < 64; ++i) hash += gear[d[p - i]] << i;
    const int high = p < options.avg_size ? a - 8 : a - 12;
    const uint64_t mask = 0xFFC0 | (high == 0 ? 0 : ~uint64_t{0} << (64 - high));
    if ((hash & mask) == 0) return p + 1;
  }
  return end;
}

struct Input {
  std::string name;
  Bytes data;
};

Bytes LowEntropy(uint64_t seed, size_t size, uint8_t bits) {
  Bytes data = RandomBytes(seed, size);
  for (uint8_t& byte : data) byte &= bits;
  return data;
}

// Random bytes with blocks of zeros between them, of all kinds of lengths.
Bytes ZeroBlocks(uint64_t seed, size_t size) {
  Bytes data = RandomBytes(seed, size);
  SplitMix64 random(seed);
  for (size_t at = random.Below(5000); at < size; at += random.Below(20000)) {
    const size_t zeros = std::min<size_t>(size - at, random.Below(20000));
    std::fill_n(data.begin() + static_cast<ptrdiff_t>(at), zeros, uint8_t{0});
    at += zeros;
  }
  return data;
}

// 64 random bytes whose hash has no bit of `mask`: they end a chunk wherever they stand.
Bytes CuttingBytes(const GearTable& gear, SplitMix64& random, uint64_t mask) {
  Bytes window;
  uint64_t hash = 0;
  while (window.size() < 64 || (hash & mask) != 0) {
    window.push_back(static_cast<uint8_t>(random.Next()));
    hash = (hash << 1) + gear[window.back()];
  }
  return Bytes(window.end() - 64, window.end());
}

// Cuts at distances of 64 to 264 bytes, so at every place of a block of any size.
Bytes DenseCuts(const GearTable& gear, uint64_t seed, size_t size) {
  SplitMix64 random(seed);
  const uint64_t strictest = 0xFF0000000000FFC0;  // S of the largest average below
  std::vector<Bytes> cutting;
  for (int i = 0; i < 8; ++i) cutting.push_back(CuttingBytes(gear, random, strictest));
  Bytes data;
  while (data.size() < size) {
    Append(data, RandomBytes(random.Next(), random.Below(200)));
    Append(data, cutting[random.Below(cutting.size())]);
  }
  data.resize(size);
  return data;
}

std::vector<Input> Inputs(uint64_t seed, size_t size) {
  return {{"random", RandomBytes(seed, size)},
          {"two values", LowEntropy(seed + 1, size, 1)},
          {"sixteen values", LowEntropy(seed + 2, size, 0x33)},
          {"zeros", Bytes(size)},
          {"ones", Bytes(size, 0xFF)},
          {"zero blocks", ZeroBlocks(seed + 3, size)}};
}

TEST(ChunkerOptionsTest, DefaultsAndBordersAreValid) {
  EXPECT_OK(ChunkerOptions{}.Validate());
  for (const ChunkerOptions& options : kAllOptions) EXPECT_OK(options.Validate());
  EXPECT_OK((ChunkerOptions{64, 4096, 4 << 20}.Validate()));
  EXPECT_OK((ChunkerOptions{4 << 20, 4 << 20, 4 << 20}.Validate()));
}

TEST(ChunkerOptionsTest, RejectsWhatCannotBe) {
  const struct {
    ChunkerOptions options;
    const char* message;
  } kBad[] = {
      {{63, 16384, 65536}, "minimum of 63"},
      {{0, 16384, 65536}, "minimum of 0"},
      {{4096, 0, 65536}, "average of 0"},
      {{4096, 16383, 65536}, "power of two"},
      {{4096, 24576, 65536}, "power of two"},
      {{64, 2048, 65536}, "average of 2048"},
      {{16385, 16384, 65536}, "do not ascend"},
      {{4096, 16384, 16383}, "do not ascend"},
      {{4096, 16384, 0}, "do not ascend"},
      {{4096, 16384, (4 << 20) + 1}, "maximum of 4194305"},
      {{4096, 1u << 31, ~0u}, "maximum of 4294967295"},
  };
  for (const auto& [options, message] : kBad) {
    EXPECT_THAT(options.Validate(), StatusIs(StatusCode::kInvalidArgument, HasSubstr(message)));
    EXPECT_THAT(Chunker::Create(options, GearTable(HashKey{})),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(message)));
  }
}

TEST(GearTableTest, KeysGiveUnlikeTables) {
  HashKey key = {};
  key[31] = 1;
  const GearTable zero(HashKey{});
  const GearTable one(key);
  for (size_t i = 0; i < 256; ++i) {
    const uint8_t byte = static_cast<uint8_t>(i);
    EXPECT_NE(zero[byte], one[byte]);
    EXPECT_EQ(one.low_words()[i], one[byte] & 0xFFFF);
    EXPECT_EQ(one.low_plane()[i] | one.high_plane()[i] << 8, one[byte] & 0xFFFF);
  }
}

TEST(ChunkerTest, AutoPicksTheFastestSupportedPath) {
  EXPECT_TRUE(Chunker::Supports(ChunkerPath::kAuto));
  EXPECT_TRUE(Chunker::Supports(ChunkerPath::kScalar));
  ChunkerPath fastest = ChunkerPath::kScalar;
  for (const ChunkerPath path : {ChunkerPath::kAvx512, ChunkerPath::kVbmi}) {
    if (Chunker::Supports(path)) {
      fastest = path;
    } else {
      EXPECT_THAT(Chunker::Create(kDefaults, GearTable(HashKey{}), path),
                  StatusIs(StatusCode::kUnimplemented));
    }
  }
  EXPECT_EQ(MakeChunker(kDefaults).path(), fastest);
}

TEST(ChunkerTest, ForEachChunkEndsAtTheFirstError) {
  const Bytes data = RandomBytes(1, 1 << 20);
  int calls = 0;
  const Status status = MakeChunker(kDefaults).ForEachChunk(
      data, [&](ByteSpan) -> Status { return ++calls == 3 ? Aborted("third") : OkStatus(); });
  EXPECT_THAT(status, StatusIs(StatusCode::kAborted));
  EXPECT_EQ(calls, 3);
}

class ChunkerPathTest : public ::testing::TestWithParam<ChunkerPath> {
 protected:
  void SetUp() override {
    if (!Chunker::Supports(GetParam())) GTEST_SKIP() << "this processor lacks the path";
  }
  static Chunker Make(const ChunkerOptions& options) { return MakeChunker(options, GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Paths, ChunkerPathTest, ::testing::ValuesIn(testing::kChunkerPaths),
                         [](const auto& tested) { return testing::NameOf(tested.param); });

TEST_P(ChunkerPathTest, FollowsTheDefinition) {
  HashKey key = {};
  key[0] = 42;
  const GearTable gear(key);
  for (const ChunkerOptions& options : kAllOptions) {
    const Chunker chunker = MakeChunker(options, GetParam(), key);
    std::vector<Input> inputs = Inputs(1, 150000);
    inputs.push_back({"dense cuts", DenseCuts(gear, 2, 100000)});
    for (const auto& [name, data] : inputs) {
      for (ByteSpan rest = data; !rest.empty();) {
        const size_t cut = chunker.NextCut(rest);
        ASSERT_EQ(cut, CutByDefinition(options, gear, rest)) << name;
        rest = rest.subspan(cut);
      }
    }
  }
}

TEST_P(ChunkerPathTest, ChunksFollowEachOtherWithinMinAndMax) {
  for (const ChunkerOptions& options : kAllOptions) {
    const Chunker chunker = Make(options);
    for (const Input& input : Inputs(3, 1 << 20)) {
      SCOPED_TRACE(input.name);
      const uint8_t* next = input.data.data();
      const uint8_t* const end = next + input.data.size();
      chunker.ForEachChunk(input.data, [&](ByteSpan chunk) {
        ASSERT_EQ(chunk.data(), next);
        next += chunk.size();
        ASSERT_LE(chunk.size(), options.max_size);
        if (next != end) {
          ASSERT_GE(chunk.size(), options.min_size);
        }
      });
      EXPECT_EQ(next, end);
    }
  }
}

TEST_P(ChunkerPathTest, NothingHasNoChunksAndLittleHasOne) {
  const Chunker chunker = Make(kDefaults);
  EXPECT_EQ(chunker.NextCut({}), 0u);
  EXPECT_THAT(Lengths(chunker, {}), IsEmpty());
  for (size_t size : {1, 63, 64, 65, 4095, 4096, 4097}) {
    EXPECT_THAT(Lengths(chunker, Bytes(size, 7)), ElementsAre(size));
  }
}

TEST_P(ChunkerPathTest, NeverReadsPastTheData) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t room = 4 * page;
  void* const mapped =
      mmap(nullptr, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  uint8_t* const bytes = static_cast<uint8_t*>(mapped);
  ASSERT_EQ(mprotect(bytes + room, page, PROT_NONE), 0);
  const Bytes data = RandomBytes(4, room);
  std::copy(data.begin(), data.end(), bytes);
  const Chunker chunker = Make(kSmall);
  for (size_t size = 0; size < 400; ++size) {
    const ByteSpan last(bytes + room - size, size);
    EXPECT_EQ(chunker.NextCut(last), CutByDefinition(kSmall, GearTable(HashKey{}), last)) << size;
  }
  ASSERT_EQ(munmap(mapped, room + page), 0);
}

// The vector path sees zeros where its last block passes the limit: here they seem to end a chunk.
TEST_P(ChunkerPathTest, CutsPastTheLimitDoNotCount) {
  constexpr size_t kZerosPastLimit = 3;
  const GearTable gear(HashKey{});
  Bytes cutting;
  SplitMix64 random(11);
  uint64_t hash = 0;
  do {
    cutting = RandomBytes(random.Next(), 64 - kZerosPastLimit);
    cutting.resize(64);
    hash = 0;
    for (const uint8_t byte : cutting) hash = (hash << 1) + gear[byte];
  } while ((hash & 0xF00000000000FFC0) != 0);

  for (uint32_t max = 4096; max < 4096 + 64; ++max) {
    const Chunker chunker = Make({.min_size = 64, .avg_size = 4096, .max_size = max});
    Bytes data(max + kZerosPastLimit - cutting.size());
    Append(data, cutting);
    ASSERT_EQ(chunker.NextCut(data), max);
    ASSERT_EQ(chunker.NextCut(ByteSpan(data).first(max)), max);
    ASSERT_EQ(MakeChunker({64, 4096, max + 64}, GetParam()).NextCut(data), max + kZerosPastLimit);
    ASSERT_EQ(MakeChunker({64, 4096, max + 64}, GetParam()).NextCut(ByteSpan(data).first(max)),
              max);
  }
}

// As a caller does: read, refill to max_size or the end, cut, drop the chunk.
std::vector<size_t> LengthsByReads(const Chunker& chunker, ByteSpan data,
                                   const std::function<size_t()>& read_size) {
  std::vector<size_t> lengths;
  Bytes buffer;
  do {
    while (buffer.size() < chunker.options().max_size && !data.empty()) {
      const size_t read = std::min(data.size(), read_size());
      Append(buffer, data.first(read));
      data = data.subspan(read);
    }
    if (buffer.empty()) break;
    lengths.push_back(chunker.NextCut(buffer));
    buffer.erase(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(lengths.back()));
  } while (true);
  return lengths;
}

TEST_P(ChunkerPathTest, EverySplitIntoTwoReadsGivesTheSameCuts) {
  const Chunker chunker = Make({.min_size = 64, .avg_size = 4096, .max_size = 4096});
  const Bytes data = DenseCuts(GearTable(HashKey{}), 5, 9000);
  const std::vector<size_t> whole = Lengths(chunker, data);
  ASSERT_GT(whole.size(), 10u);
  for (size_t split = 1; split < data.size(); ++split) {
    size_t reads = 0;
    ASSERT_EQ(
        LengthsByReads(chunker, data, [&] { return reads++ == 0 ? split : data.size() - split; }),
        whole)
        << split;
  }
}

TEST_P(ChunkerPathTest, RandomReadsGiveTheSameCuts) {
  for (const ChunkerOptions& options : {kDefaults, kSmall}) {
    const Chunker chunker = Make(options);
    for (const auto& [name, data] : Inputs(6, 400000)) {
      const std::vector<size_t> whole = Lengths(chunker, data);
      for (const size_t largest : {100u, 5000u, 70000u, 200000u}) {
        SplitMix64 random(largest);
        ASSERT_EQ(LengthsByReads(chunker, data, [&] { return 1 + random.Below(largest); }), whole)
            << name << ", reads of up to " << largest;
      }
    }
  }
}

TEST_P(ChunkerPathTest, BytesPastMaxChangeNothing) {
  const Chunker chunker = Make(kDefaults);
  for (const auto& [name, data] : Inputs(7, 1 << 19)) {
    for (ByteSpan rest = data; rest.size() > kDefaults.max_size + 1000;) {
      const size_t cut = chunker.NextCut(rest);
      ASSERT_EQ(chunker.NextCut(rest.first(kDefaults.max_size)), cut) << name;
      ASSERT_EQ(chunker.NextCut(rest.first(kDefaults.max_size + 999)), cut) << name;
      rest = rest.subspan(cut);
    }
  }
}

TEST_P(ChunkerPathTest, OneInsertedByteChangesOnlyNearbyChunks) {
  const Chunker chunker = Make(kDefaults);
  const Bytes before = RandomBytes(8, 4 << 20);
  for (const size_t place : {size_t{0}, size_t{1234567}, size_t{3} << 20}) {
    Bytes after = before;
    after.insert(after.begin() + static_cast<ptrdiff_t>(place), uint8_t{0x5A});
    std::set<std::string> old_chunks;
    chunker.ForEachChunk(before, [&](ByteSpan chunk) { old_chunks.emplace(AsText(chunk)); });
    size_t new_chunks = 0;
    size_t at = 0;
    chunker.ForEachChunk(after, [&](ByteSpan chunk) {
      at += chunk.size();
      if (old_chunks.contains(std::string(AsText(chunk)))) return;
      ++new_chunks;
      EXPECT_GT(at, place);
      EXPECT_LT(at, place + 6 * kDefaults.max_size);
    });
    EXPECT_GE(new_chunks, 1u);
    EXPECT_LE(new_chunks, 10u);
  }
}

// Expected by the definition: min, then a cut at each position with probability 2^-(a+2) up to avg
// and 2^-(a-2) after it; 1.14 times avg with min = avg / 4.
TEST_P(ChunkerPathTest, AverageOnRandomDataIsNearTheOneAskedFor) {
  for (const uint32_t avg : {4096u, 16384u, 65536u}) {
    const Chunker chunker = Make({.min_size = avg / 4, .avg_size = avg, .max_size = avg * 4});
    const Bytes data = RandomBytes(avg, size_t{1000} * avg);
    const double mean =
        static_cast<double>(data.size()) / static_cast<double>(Lengths(chunker, data).size());
    EXPECT_GT(mean, 1.07 * avg);
    EXPECT_LT(mean, 1.21 * avg);
  }
}

class ChunkerPathsAgreeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Chunker::Supports(ChunkerPath::kAvx512)) GTEST_SKIP() << "this processor has one path";
  }

  // Returns the number of cuts.
  static size_t ExpectSameCuts(const ChunkerOptions& options, const HashKey& key, ByteSpan data) {
    const std::vector<size_t> scalar =
        Lengths(MakeChunker(options, ChunkerPath::kScalar, key), data);
    for (const ChunkerPath path : testing::kChunkerPaths) {
      if (!Chunker::Supports(path)) continue;
      EXPECT_EQ(Lengths(MakeChunker(options, path, key), data), scalar)
          << testing::NameOf(path) << ": " << options.min_size << " " << options.avg_size << " "
          << options.max_size;
    }
    return scalar.size();
  }
};

TEST_F(ChunkerPathsAgreeTest, OnAHundredThousandDenseCuts) {
  size_t cuts = 0;
  for (uint8_t i = 0; i < 4; ++i) {
    HashKey key = {};
    key[0] = i;
    const Bytes data = DenseCuts(GearTable(key), i, 7 << 20);
    cuts += ExpectSameCuts({64u + i, 4096, 16384}, key, data);
  }
  EXPECT_GT(cuts, 100000u);
}

TEST_F(ChunkerPathsAgreeTest, OnManyKindsOfData) {
  for (uint8_t i = 0; i < 4; ++i) {
    HashKey key = {};
    key[0] = i;
    for (const auto& [name, data] : Inputs(100 + i, 2 << 20)) {
      SCOPED_TRACE(name);
      for (const ChunkerOptions& options : kAllOptions) {
        EXPECT_GT(ExpectSameCuts(options, key, data), 0u);
      }
    }
  }
}

TEST_F(ChunkerPathsAgreeTest, OnRandomOptionsAndShortInputs) {
  SplitMix64 random(9);
  const Bytes data = DenseCuts(GearTable(HashKey{}), 10, 1 << 18);
  for (int round = 0; round < 3000; ++round) {
    const uint32_t avg = uint32_t{4096} << random.Below(3);
    const ChunkerOptions options = {
        .min_size = static_cast<uint32_t>(64 + random.Below(random.Below(2) == 0 ? 300 : 4000)),
        .avg_size = avg,
        .max_size = static_cast<uint32_t>(avg + random.Below(5000))};
    const size_t start = random.Below(data.size() - 20000);
    ExpectSameCuts(options, {}, ByteSpan(data).subspan(start, random.Below(20000)));
  }
}

}  // namespace
}  // namespace cairn
