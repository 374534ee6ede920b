// SPDX-License-Identifier: Apache-2.0
// The vectors in tests/chunker/vectors, made by an implementation that shares no code with this
// one (generate.py). They are frozen: a failure here means that repositories would stop sharing
// chunks with their own past.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/hex.h"
#include "core/chunker/chunker.h"
#include "tests/chunker/chunk_data.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::cairn::testing::RandomBytes;
using ::testing::ElementsAreArray;
using ::testing::SizeIs;

const std::string kVectors = CAIRN_SOURCE_DIR "/tests/chunker/vectors/";

struct CutVector {
  std::string name;
  Bytes data;
  ChunkerOptions options;
  HashKey key;
  std::vector<size_t> lengths;
};

Bytes MakeData(const std::string& kind, uint64_t seed, size_t size) {
  if (kind == "zeros") return Bytes(size);
  if (kind == "period") {
    Bytes data = RandomBytes(seed, 37);
    for (size_t i = 0; data.size() < size; ++i) data.push_back(data[i]);
    return data;
  }
  Bytes data = RandomBytes(seed, size);
  if (kind == "four") {
    for (uint8_t& byte : data) byte &= 3;
  } else if (kind == "islands") {
    for (size_t i = 0; i < size; ++i) {
      if (i % 3000 >= 1000) data[i] = 0;
    }
  } else {
    EXPECT_EQ(kind, "random");
  }
  return data;
}

std::vector<CutVector> ReadCutVectors() {
  std::vector<CutVector> vectors;
  std::ifstream file(kVectors + "cuts.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream fields(line);
    CutVector vector;
    std::string kind;
    std::string key;
    uint64_t seed = 0;
    size_t size = 0;
    size_t count = 0;
    fields >> vector.name >> kind >> seed >> size >> vector.options.min_size >>
        vector.options.avg_size >> vector.options.max_size >> key >> count;
    vector.lengths.resize(count);
    for (size_t& length : vector.lengths) fields >> length;
    EXPECT_TRUE(fields) << line;
    const std::optional<Bytes> key_bytes = HexDecode(key);
    EXPECT_TRUE(key_bytes.has_value() && key_bytes->size() == vector.key.size()) << line;
    std::copy_n(key_bytes->begin(), vector.key.size(), vector.key.begin());
    vector.data = MakeData(kind, seed, size);
    vectors.push_back(std::move(vector));
  }
  return vectors;
}

TEST(GearTableGoldenTest, TableOfTheZeroKeyIsFrozen) {
  std::vector<uint64_t> frozen;
  std::ifstream file(kVectors + "gear_table.txt");
  for (uint64_t value = 0; file >> std::hex >> value;) frozen.push_back(value);
  ASSERT_THAT(frozen, SizeIs(256));
  const GearTable table(HashKey{});
  for (size_t i = 0; i < frozen.size(); ++i) {
    EXPECT_EQ(table[static_cast<uint8_t>(i)], frozen[i]) << "entry " << i;
  }
}

class ChunkerGoldenTest : public ::testing::TestWithParam<ChunkerPath> {};

TEST_P(ChunkerGoldenTest, CutsAreFrozen) {
  if (!Chunker::Supports(GetParam())) GTEST_SKIP() << "this processor lacks the path";
  const std::vector<CutVector> vectors = ReadCutVectors();
  ASSERT_THAT(vectors, SizeIs(18));
  for (const CutVector& vector : vectors) {
    SCOPED_TRACE(vector.name);
    ASSERT_OK_AND_ASSIGN(const Chunker chunker,
                         Chunker::Create(vector.options, GearTable(vector.key), GetParam()));
    std::vector<size_t> lengths;
    chunker.ForEachChunk(vector.data, [&](ByteSpan chunk) { lengths.push_back(chunk.size()); });
    EXPECT_THAT(lengths, ElementsAreArray(vector.lengths));
  }
}

INSTANTIATE_TEST_SUITE_P(Paths, ChunkerGoldenTest, ::testing::ValuesIn(testing::kChunkerPaths),
                         [](const auto& tested) { return testing::NameOf(tested.param); });

}  // namespace
}  // namespace cairn
