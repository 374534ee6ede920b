// SPDX-License-Identifier: Apache-2.0
// A power cut after every single operation of a repair: nothing is worse than before it began, and
// the next repair finishes the work, unless the first has said that it is done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "core/repo/check.h"
#include "core/repo/put_back.h"
#include "core/repo/repair.h"
#include "core/repo/repository.h"
#include "core/repo/snapshot.h"
#include "core/store/object_store.h"
#include "core/store/pack.h"
#include "tests/crash/each_crash.h"
#include "tests/support/encryption.h"
#include "tests/support/noise.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

// What check has to say.
struct Judgement {
  std::set<std::pair<SnapshotId, std::string>> affected;
  std::set<std::string> damaged;

  bool Includes(const Judgement& other) const {
    return std::ranges::includes(affected, other.affected) &&
           std::ranges::includes(damaged, other.damaged);
  }
};

class RepairPowerCutTest : public ::testing::TestWithParam<CrashPolicy> {
 protected:
  void SetUp() override {
    char path[] = "/var/tmp/cairn-crash-XXXXXX";
    source_ = ::mkdtemp(path);
    RepositoryConfig config;
    config.id = RandomId<RepositoryId>();
    config.pack_target_bytes = 64 * kKiB;
    ASSERT_OK(testing::CreateTestRepository(disk_, config));
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(disk_, testing::TestRepositoryOptions()));
  }
  void TearDown() override { std::filesystem::remove_all(source_); }

  void WriteNoise(const std::string& name, size_t bytes, uint64_t seed) const {
    std::ofstream(source_ + "/" + name, std::ios::binary) << testing::Noise(bytes, seed);
  }
  void Snapshot() {
    SnapshotOptions options;
    options.labels.host = "host";
    options.threads = 1;
    ASSERT_OK(TakeSnapshot(*repository_, {source_}, options).status());
    ++snapshots_;
  }
  std::vector<std::string> Packs() const {
    std::vector<std::string> packs;
    for (const std::string& path : disk_.AllPaths()) {
      if (path.starts_with("packs/") && path.size() > 10 && !path.ends_with(".par")) {
        packs.push_back(path);
      }
    }
    return packs;
  }
  void Zero(const std::string& path, size_t offset, size_t size) {
    ASSERT_OK(disk_.Damage(path, [&](Bytes& bytes) {
      for (size_t i = offset; i < std::min(bytes.size(), offset + size); ++i) bytes[i] ^= 0xff;
    }));
  }

  static CheckResult CheckAll(Repository& repository) {
    CheckOptions options;
    options.read_data.kind = ReadSubset::Kind::kAll;
    options.threads = 1;
    StatusOr<CheckResult> result = Check(repository, options);
    EXPECT_OK(result.status());
    return result.ok() ? *std::move(result) : CheckResult{};
  }
  static Judgement Judge(const CheckResult& result) {
    Judgement judgement;
    for (const AffectedPath& each : result.affected) {
      judgement.affected.emplace(each.snapshot, each.path);
    }
    for (const Damage& damage : result.damages) judgement.damaged.insert(damage.object);
    return judgement;
  }

  // Runs `verify` on the disk as each cut of what was done since `begin` can have left it.
  void ForEachCut(size_t begin,
                  const std::function<void(MemoryFileSystem& disk, bool is_done)>& verify) {
    size_t states = 0;
    for (size_t n = begin; n <= disk_.operation_count(); ++n) {
      SCOPED_TRACE("cut after operation " + std::to_string(n));
      const bool is_done = n == disk_.operation_count();
      states += testing::ForEachCrash(disk_, n, testing::CrashChoicesOf(GetParam(), n, begin),
                                      [&](MemoryFileSystem& disk) { verify(disk, is_done); });
      if (HasFailure()) return;
    }
    RecordProperty("states", static_cast<int>(states));
  }
  // `is_done`: the repair has said so.
  void VerifyNothingIsWorse(MemoryFileSystem& disk, const Judgement& before, bool is_done) const {
    ASSERT_OK_AND_ASSIGN(const auto repository,
                         Repository::Open(disk, testing::TestRepositoryOptions()));
    const Judgement after = Judge(CheckAll(*repository));
    EXPECT_TRUE(before.Includes(after));
    VerifyMended(*repository, is_done);
  }
  // By a repair, or by the one that was cut off if that has said so.
  void VerifyMended(Repository& repository, bool is_done) const {
    ASSERT_OK_AND_ASSIGN(const auto snapshots, repository.Snapshots());
    EXPECT_EQ(snapshots.size(), snapshots_);
    if (!is_done) {
      RepairOptions options;
      options.threads = 1;
      ASSERT_OK(Repair(repository, options).status());
    }
    const CheckResult mended = CheckAll(repository);
    for (const Damage& damage : mended.damages) {
      ADD_FAILURE() << damage.object << ": " << damage.what;
    }
    EXPECT_EQ(mended.packs_without_parity, 0U);
  }

  MemoryFileSystem disk_;
  std::string source_;
  std::unique_ptr<Repository> repository_;
  size_t snapshots_ = 0;  // taken
};

TEST_P(RepairPowerCutTest, AfterAnyOperationNothingIsWorse) {
  WriteNoise("one", 150'000, 1);
  WriteNoise("two", 60'000, 2);
  Snapshot();
  WriteNoise("three", 100'000, 3);
  Snapshot();
  const std::vector<std::string> packs = Packs();
  ASSERT_GE(packs.size(), 2U);
  ASSERT_OK_AND_ASSIGN(const uint64_t bytes, disk_.FileSize(packs[1]));
  Zero(packs[0], 10'000, 4096);      // for parity
  Zero(packs[1], 1'000, bytes / 2);  // for the sources: the nodes stand behind
  Zero("config", 50, 1);             // for the other copy
  ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(disk_, testing::TestRepositoryOptions()));
  const Judgement before = Judge(CheckAll(*repository_));
  EXPECT_FALSE(before.affected.empty());

  const size_t begin = disk_.operation_count();
  RepairOptions options;
  options.threads = 1;
  ASSERT_OK_AND_ASSIGN(const RepairResult result, Repair(*repository_, options));
  EXPECT_EQ(result.packs_mended, 1U);
  EXPECT_EQ(result.copies_mended, 1U);
  EXPECT_GT(result.blobs_from_sources, 0U);
  EXPECT_EQ(result.blobs_missing, 0U);
  ForEachCut(begin, [&](MemoryFileSystem& disk, bool is_done) {
    VerifyNothingIsWorse(disk, before, is_done);
  });
}

TEST_P(RepairPowerCutTest, PacksThatChangedPlacesAreNeverLost) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    WriteNoise(std::to_string(seed), 20'000, seed);
    Snapshot();
  }
  std::filesystem::remove_all(source_);  // nothing but the packs has it
  const std::vector<std::string> packs = Packs();
  ASSERT_EQ(packs.size(), 6U);
  std::vector<Bytes> whole;
  for (const std::string& pack : packs) {
    ASSERT_OK_AND_ASSIGN(whole.emplace_back(), ReadWholeFile(disk_, pack, kGiB));
  }
  // Two are exchanged, three stand in a circle; the sixth has a name that nobody knows, and in its
  // own place stands what is damaged.
  const size_t now_at[] = {1, 0, 3, 4, 2};
  for (size_t i = 0; i < 5; ++i) {
    ASSERT_OK(disk_.Damage(packs[now_at[i]], [&](Bytes& bytes) { bytes = whole[i]; }));
  }
  const std::string unknown = PackObjectName(RandomId<PackName>());
  disk_.CreateDirectory(unknown.substr(0, unknown.rfind('/'))).IgnoreError();  // it may be there
  ASSERT_OK(disk_.RenameNoReplace(packs[5], unknown));
  ASSERT_OK_AND_ASSIGN(const auto damaged, disk_.CreateNew(packs[5]));
  ASSERT_OK(damaged->Append(Bytes(1000)));
  ASSERT_OK(damaged->Sync());
  for (const std::string& path : {unknown, packs[5]}) {
    ASSERT_OK(disk_.SyncDirectory(path.substr(0, path.rfind('/'))));
  }
  ASSERT_OK(disk_.SyncDirectory("packs"));
  ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(disk_, testing::TestRepositoryOptions()));

  const size_t begin = disk_.operation_count();
  RepairOptions options;
  options.threads = 1;
  ASSERT_OK_AND_ASSIGN(const RepairResult result, Repair(*repository_, options));
  EXPECT_EQ(result.packs_renamed, 6U);
  EXPECT_EQ(result.blobs_missing, 0U);
  ForEachCut(begin, [&](MemoryFileSystem& disk, bool is_done) {
    ASSERT_OK_AND_ASSIGN(const auto repository,
                         Repository::Open(disk, testing::TestRepositoryOptions()));
    VerifyMended(*repository, is_done);
    for (size_t i = 0; i < packs.size(); ++i) {
      EXPECT_THAT(ReadWholeFile(disk, packs[i], kGiB), testing::IsOkAndHolds(whole[i]));
    }
  });
}

TEST_P(RepairPowerCutTest, WhatIsPutBackFromACopyIsFinishedByTheNext) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    WriteNoise("one", 5'000, seed);
    Snapshot();
  }
  const std::unique_ptr<MemoryFileSystem> copy =
      disk_.CrashedAt(disk_.operation_count(), {.policy = CrashPolicy::kKeepAll});
  const std::unique_ptr<ObjectStore> from = NewLocalObjectStore(*copy);
  PutBackOptions options;
  options.from = {from.get()};
  const auto credential = testing::TestRepositoryOptions().credential;
  std::vector<std::string> records;
  for (const std::string& path : disk_.AllPaths()) {
    if (path.starts_with("journal/0")) records.push_back(path);
  }
  ASSERT_EQ(records.size(), 4U);
  for (const std::string& path : {std::string("config"), records[0], records[2]}) {
    Zero(path, 0, 100'000);
  }
  ASSERT_OK(disk_.Unlink(records[1]));

  const size_t begin = disk_.operation_count();
  ASSERT_OK_AND_ASSIGN(const uint64_t count, PutBackLost(disk_, credential, options));
  EXPECT_EQ(count, 4U);
  ForEachCut(begin, [&](MemoryFileSystem& disk, bool is_done) {
    if (!is_done) {
      ASSERT_OK(PutBackLost(disk, credential, options).status());
    }
    ASSERT_OK_AND_ASSIGN(const auto repository,
                         Repository::Open(disk, testing::TestRepositoryOptions()));
    EXPECT_TRUE(CheckAll(*repository).clean());
    ASSERT_OK_AND_ASSIGN(const auto snapshots, repository->Snapshots());
    EXPECT_EQ(snapshots.size(), 4U);
  });
}

INSTANTIATE_TEST_SUITE_P(Policies, RepairPowerCutTest,
                         ::testing::Values(CrashPolicy::kKeepAll, CrashPolicy::kDropUnsynced,
                                           CrashPolicy::kKeepNamesDropData, CrashPolicy::kRandom));

// Less at a time, as there are many more states.
using RepairEveryStateTest = RepairPowerCutTest;

TEST_P(RepairEveryStateTest, WhatParityAndTheOtherCopyMend) {
  WriteNoise("one", 9'000, 1);
  Snapshot();
  Zero(Packs().front(), 5'000, 100);
  Zero("config", 50, 1);
  ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(disk_, testing::TestRepositoryOptions()));
  const Judgement before = Judge(CheckAll(*repository_));
  const size_t begin = disk_.operation_count();
  ASSERT_OK_AND_ASSIGN(const RepairResult result, Repair(*repository_, {}));
  EXPECT_EQ(result.packs_mended, 1U);
  EXPECT_EQ(result.copies_mended, 1U);
  ForEachCut(begin, [&](MemoryFileSystem& disk, bool is_done) {
    VerifyNothingIsWorse(disk, before, is_done);
  });
}

TEST_P(RepairEveryStateTest, TwoPacksThatWereExchanged) {
  WriteNoise("one", 9'000, 1);
  Snapshot();
  WriteNoise("two", 9'000, 2);
  Snapshot();
  std::filesystem::remove_all(source_);
  const std::vector<std::string> packs = Packs();
  ASSERT_EQ(packs.size(), 2U);
  ASSERT_OK_AND_ASSIGN(const Bytes first, ReadWholeFile(disk_, packs[0], kGiB));
  ASSERT_OK_AND_ASSIGN(const Bytes second, ReadWholeFile(disk_, packs[1], kGiB));
  ASSERT_OK(disk_.Damage(packs[0], [&](Bytes& bytes) { bytes = second; }));
  ASSERT_OK(disk_.Damage(packs[1], [&](Bytes& bytes) { bytes = first; }));
  ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(disk_, testing::TestRepositoryOptions()));
  const size_t begin = disk_.operation_count();
  ASSERT_OK_AND_ASSIGN(const RepairResult result, Repair(*repository_, {}));
  EXPECT_EQ(result.packs_renamed, 2U);
  ForEachCut(begin, [&](MemoryFileSystem& disk, bool is_done) {
    ASSERT_OK_AND_ASSIGN(const auto repository,
                         Repository::Open(disk, testing::TestRepositoryOptions()));
    VerifyMended(*repository, is_done);
    EXPECT_THAT(ReadWholeFile(disk, packs[0], kGiB), testing::IsOkAndHolds(first));
    EXPECT_THAT(ReadWholeFile(disk, packs[1], kGiB), testing::IsOkAndHolds(second));
  });
}

INSTANTIATE_TEST_SUITE_P(Chosen, RepairEveryStateTest, ::testing::Values(CrashPolicy::kChosen));

}  // namespace
}  // namespace cairn
