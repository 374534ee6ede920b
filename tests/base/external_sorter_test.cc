// SPDX-License-Identifier: Apache-2.0
#include "core/base/external_sorter.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

StatusOr<std::vector<std::string>> Sorted(const ExternalSorter::Options& options,
                                          const std::vector<std::string>& records) {
  ExternalSorter sorter(options);
  for (const std::string& record : records) RETURN_IF_ERROR(sorter.Add(AsBytes(record)));
  RETURN_IF_ERROR(sorter.Finish());
  std::vector<std::string> sorted;
  Bytes record;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, sorter.Next(&record));
    if (!more) return sorted;
    sorted.emplace_back(AsText(record));
  }
}

std::vector<std::string> RandomRecords(uint64_t seed, size_t count, size_t max_bytes) {
  std::mt19937_64 random(seed);
  std::vector<std::string> records(count);
  for (std::string& record : records) {
    record.resize(random() % (max_bytes + 1));
    // Few values, so that there are duplicates, prefixes, NULs and bytes over 127.
    for (char& c : record) c = "\0a\x7f\xff"[random() % 4];
  }
  return records;
}

std::vector<std::string> StdSorted(std::vector<std::string> records) {
  std::sort(records.begin(), records.end());
  return records;
}

constexpr char kNoDirectory[] = "/nonexistent-directory";

TEST(ExternalSorterTest, NothingGivesNothing) {
  EXPECT_THAT(Sorted({.temp_directory = kNoDirectory}, {}), IsOkAndHolds(IsEmpty()));
}

TEST(ExternalSorterTest, SortsInMemoryWithoutAFile) {
  EXPECT_THAT(Sorted({.temp_directory = kNoDirectory}, {"b", "", "\xff", "ab", "a", "b", "a\x01"}),
              IsOkAndHolds(ElementsAre("", "a", "a\x01", "ab", "b", "b", "\xff")));
  const std::vector<std::string> records = RandomRecords(1, 20000, 40);
  ASSERT_OK_AND_ASSIGN(const auto sorted, Sorted({.temp_directory = kNoDirectory}, records));
  EXPECT_TRUE(sorted == StdSorted(records));
}

TEST(ExternalSorterTest, SaysWhereItCannotMakeAFile) {
  EXPECT_THAT(
      Sorted({.memory_bytes = 100, .temp_directory = kNoDirectory}, RandomRecords(1, 100, 10)),
      StatusIs(StatusCode::kNotFound, HasSubstr(kNoDirectory)));
}

TEST(ExternalSorterTest, EqualsStdSortWithLittleMemory) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    std::mt19937_64 random(seed);
    const ExternalSorter::Options options{.memory_bytes = 1 + random() % 5000,
                                          .temp_directory = ::testing::TempDir(),
                                          .max_fan_in = 2 + random() % 6};
    const auto records = RandomRecords(seed, random() % 3000, 1 + random() % 30);
    ASSERT_OK_AND_ASSIGN(const auto sorted, Sorted(options, records));
    ASSERT_TRUE(sorted == StdSorted(records)) << "seed " << seed;
  }
}

TEST(ExternalSorterTest, EqualsStdSortWhereRecordsBeginAlike) {
  std::vector<std::string> records = RandomRecords(1, 3000, 12);
  for (std::string& record : records) record.insert(0, "all the same");
  for (const size_t memory_bytes : {size_t{5000}, size_t{1} << 20}) {
    ASSERT_OK_AND_ASSIGN(
        const auto sorted,
        Sorted({.memory_bytes = memory_bytes, .temp_directory = ::testing::TempDir()}, records));
    EXPECT_TRUE(sorted == StdSorted(records));
  }
}

TEST(ExternalSorterTest, MergesInPassesWhereThereAreManyRuns) {
  // One record a run, so 1,000 runs: three levels of ten.
  const ExternalSorter::Options options{
      .memory_bytes = 1, .temp_directory = ::testing::TempDir(), .max_fan_in = 10};
  const auto records = RandomRecords(3, 1000, 20);
  ASSERT_OK_AND_ASSIGN(const auto sorted, Sorted(options, records));
  EXPECT_TRUE(sorted == StdSorted(records));
}

TEST(ExternalSorterTest, TakesRecordsLongerThanItsMemoryAndBuffers) {
  const ExternalSorter::Options options{
      .memory_bytes = 10000, .temp_directory = ::testing::TempDir(), .max_fan_in = 3};
  const std::vector<std::string> records = {
      std::string(3 * kMiB, 'c'), "b", std::string(70000, 'a'),
      std::string(3 * kMiB, 'b'), "c", std::string(9000, 'd')};
  ASSERT_OK_AND_ASSIGN(const auto sorted, Sorted(options, records));
  EXPECT_TRUE(sorted == StdSorted(records));
}

TEST(ExternalSorterTest, KeepsEmptyRecordsThroughFiles) {
  const std::vector<std::string> records(500);
  ASSERT_OK_AND_ASSIGN(
      const auto sorted,
      Sorted({.memory_bytes = 100, .temp_directory = ::testing::TempDir()}, records));
  EXPECT_TRUE(sorted == records);
}

TEST(ExternalSorterTest, ItsFilesHaveNoNames) {
  std::string directory = ::testing::TempDir() + "cairn-sorter-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  {
    ExternalSorter sorter({.memory_bytes = 100, .temp_directory = directory});
    for (const std::string& record : RandomRecords(1, 1000, 10)) {
      ASSERT_OK(sorter.Add(AsBytes(record)));
    }
    EXPECT_TRUE(std::filesystem::is_empty(directory));
    ASSERT_OK(sorter.Finish());
    EXPECT_TRUE(std::filesystem::is_empty(directory));
  }
  std::filesystem::remove(directory);
}

TEST(ExternalSorterTest, ReportsAWriteThatFails) {
  rlimit old_limit;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {.rlim_cur = 10000, .rlim_max = old_limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto sorted = Sorted({.memory_bytes = 50000, .temp_directory = ::testing::TempDir()},
                             RandomRecords(1, 10000, 20));
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  ::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(sorted, StatusIs(StatusCode::kUnavailable, HasSubstr("write a temporary file")));
}

TEST(ExternalSorterTest, SaysFalseAgainAfterTheEnd) {
  ExternalSorter sorter({.memory_bytes = 1, .temp_directory = ::testing::TempDir()});
  ASSERT_OK(sorter.Add(AsBytes("b")));
  ASSERT_OK(sorter.Add(AsBytes("a")));
  ASSERT_OK(sorter.Finish());
  Bytes record;
  EXPECT_THAT(sorter.Next(&record), IsOkAndHolds(true));
  EXPECT_THAT(sorter.Next(&record), IsOkAndHolds(true));
  EXPECT_EQ(AsText(record), "b");
  EXPECT_THAT(sorter.Next(&record), IsOkAndHolds(false));
  EXPECT_THAT(sorter.Next(&record), IsOkAndHolds(false));
}

TEST(ExternalSorterTest, ATemporaryFileThatIsCutShortIsAnError) {
  ExternalSorter sorter({.memory_bytes = 1000});
  for (const std::string& record : RandomRecords(1, 2000, 100)) {
    ASSERT_OK(sorter.Add(AsBytes(record)));
  }
  // It has no name; what is open and has none is its.
  size_t cut = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string file = std::filesystem::read_symlink(entry.path(), gone);
    struct stat status {};
    const int fd = std::stoi(entry.path().filename());
    if (fd <= 2 || !file.ends_with("(deleted)")) continue;
    if (::fstat(fd, &status) != 0 || status.st_size == 0) continue;
    ASSERT_EQ(::ftruncate(fd, status.st_size - 1), 0);
    ++cut;
  }
  ASSERT_GT(cut, 0U);
  Status status = sorter.Finish();
  Bytes record;
  for (bool more = true; status.ok() && more;) {
    StatusOr<bool> next = sorter.Next(&record);
    status = next.status();
    more = next.ok() && *next;
  }
  EXPECT_THAT(status, StatusIs(StatusCode::kDataLoss, HasSubstr("ends within a record")));
}

}  // namespace
}  // namespace cairn
