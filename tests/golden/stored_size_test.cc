// SPDX-License-Identifier: Apache-2.0
// What a corpus takes when it is stored, first and after changes: whoever makes it larger, or
// smaller, says so in the numbers here.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zstd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "core/repo/repository.h"
#include "core/repo/snapshot.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

// The numbers hold for this version of the library that compresses.
constexpr unsigned kZstdVersion = 10504;
// Owners and times of the files' entries differ where the test runs.
constexpr double kTolerance = 0.002;

// The same on every machine, unlike the distributions of <random>.
class Corpus {
 public:
  Corpus() {
    for (int i = 0; i < 3000; ++i) {
      std::string word;
      for (uint32_t left = 2 + Pick(9); left > 0; --left) word += static_cast<char>('a' + Pick(26));
      words_.push_back(word);
    }
  }

  uint32_t Pick(uint32_t below) { return static_cast<uint32_t>(random_()) % below; }

  // Frequent words come first, as in a language.
  const std::string& Word() { return words_[Pick(Pick(3000) + 1)]; }

  std::string Line() {
    std::string line(2 * Pick(5), ' ');
    for (uint32_t left = 1 + Pick(9); left > 0; --left) line += Word() + (Pick(4) == 0 ? "(" : " ");
    return line + ";\n";
  }

  std::string Text(size_t bytes) {
    std::string text;
    while (text.size() < bytes) text += Line();
    return text;
  }

  std::string Noise(size_t bytes) {
    std::string noise;
    for (size_t i = 0; i < bytes; ++i) noise += static_cast<char>(random_());
    return noise;
  }

 private:
  std::minstd_rand random_{20260};
  std::vector<std::string> words_;
};

class StoredSizeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (ZSTD_versionNumber() != kZstdVersion) GTEST_SKIP() << "another version of zstd";
    std::string name = ::testing::TempDir() + "cairn_stored_size.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    top_ = name;
    RepositoryConfig config;
    config.id = RandomId<RepositoryId>();
    ASSERT_OK(Repository::Create(fs_, config));
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(fs_, {}));
  }
  void TearDown() override {
    if (!top_.empty()) std::filesystem::remove_all(top_);
  }

  void Write(const std::string& path, const std::string& content) {
    std::filesystem::create_directories((top_ / path).parent_path());
    std::ofstream(top_ / path, std::ios::binary) << content;
  }

  double StoredBySnapshot() {
    SnapshotOptions options;
    options.threads = 1;  // in this order
    const auto result = TakeSnapshot(*repository_, {top_.string()}, options);
    EXPECT_OK(result.status());
    return result.ok() ? static_cast<double>(result->statistics.stored_bytes_added) : 0;
  }

  MemoryFileSystem fs_;
  std::unique_ptr<Repository> repository_;
  std::filesystem::path top_;
};

TEST_F(StoredSizeTest, OfSourceCodeAndOfItsNextRelease) {
  Corpus corpus;
  std::vector<std::string> paths;
  std::vector<std::string> contents;
  for (int i = 0; i < 400; ++i) {
    paths.push_back("d" + std::to_string(i % 20) + "/file" + std::to_string(i) + ".c");
    contents.push_back(corpus.Text(500 + corpus.Pick(40'000)));
    Write(paths.back(), contents.back());
  }
  const double first = StoredBySnapshot();
  EXPECT_NEAR(first, 2756920, 2756920 * kTolerance);

  for (size_t i = 0; i < contents.size(); i += 8) {
    std::string& content = contents[i];
    const size_t line = content.find('\n', content.size() / 3) + 1;
    content.insert(line, corpus.Line() + corpus.Line());
    Write(paths[i], content);
  }
  const double second = StoredBySnapshot();
  // As deltas; a part of it are times, which differ from run to run.
  EXPECT_NEAR(second, 5100, 300);
}

TEST_F(StoredSizeTest, OfALargeFileThatGrowsAndIsChangedWithin) {
  Corpus corpus;
  std::string content = corpus.Text(6'000'000);
  Write("log", content);
  EXPECT_NEAR(StoredBySnapshot(), 2041885, 2041885 * kTolerance);
  content.replace(2'000'000, 20'000, corpus.Text(20'000));
  content += corpus.Text(100'000);
  Write("log", content);
  EXPECT_NEAR(StoredBySnapshot(), 54407, 54407 * kTolerance);
}

TEST_F(StoredSizeTest, OfWhatDoesNotCompress) {
  Corpus corpus;
  for (int i = 0; i < 20; ++i) Write("noise" + std::to_string(i), corpus.Noise(150'000));
  EXPECT_NEAR(StoredBySnapshot(), 3006367, 3006367 * kTolerance);
}

}  // namespace
}  // namespace cairn
