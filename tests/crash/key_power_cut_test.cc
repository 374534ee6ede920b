// SPDX-License-Identifier: Apache-2.0
// A power cut after every single operation of `init --encrypt` and of each change of the keys: the
// repository opens by what opened it before, or by what does after, and never by nothing.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "core/repo/keys.h"
#include "core/repo/repository.h"
#include "tests/crash/each_crash.h"
#include "tests/support/encryption.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using testing::TestKeyFile;

class KeyPowerCutTest : public ::testing::TestWithParam<CrashPolicy> {
 protected:
  static StatusOr<std::unique_ptr<Repository>> OpenBy(FileSystem& fs, uint8_t key) {
    RepositoryOptions options;
    options.credential = [key] { return StatusOr<Credential>(TestKeyFile(key)); };
    return Repository::Open(fs, options);
  }
  static bool Opens(FileSystem& fs, uint8_t key) {
    const auto repository = OpenBy(fs, key);
    if (!repository.ok()) {
      EXPECT_EQ(repository.status().code(), StatusCode::kUnauthenticated) << repository.status();
    }
    return repository.ok();
  }

  void Make() {
    RepositoryConfig config;
    config.id = RandomId<RepositoryId>();
    ASSERT_OK(Repository::CreateEncrypted(disk_, config, TestKeyFile(1), kLeastPasswordCost));
  }
  // Runs `verify` on the disk as each cut of what was done since `begin` can have left it.
  void ForEachCut(size_t begin,
                  const std::function<void(MemoryFileSystem& disk, bool done)>& verify) {
    size_t states = 0;
    for (size_t n = begin; n <= disk_.operation_count(); ++n) {
      SCOPED_TRACE("cut after operation " + std::to_string(n));
      states += testing::ForEachCrash(
          disk_, n, testing::CrashChoicesOf(GetParam(), n, begin),
          [&](MemoryFileSystem& disk) { verify(disk, n == disk_.operation_count()); });
      if (HasFailure()) return;
    }
    RecordProperty("states", static_cast<int>(states));
  }

  MemoryFileSystem disk_;
};

TEST_P(KeyPowerCutTest, ARepositoryIsThereWithItsKeyOrNotAtAll) {
  Make();
  ForEachCut(0, [](MemoryFileSystem& disk, bool done) {
    const auto repository = OpenBy(disk, 1);
    if (done) {
      ASSERT_OK(repository.status());
    }
    if (!repository.ok()) {
      EXPECT_EQ(repository.status().code(), StatusCode::kNotFound) << repository.status();
    }
  });
}

TEST_P(KeyPowerCutTest, AnAddedKeyIsThereOnceItIsSaid) {
  Make();
  ASSERT_OK_AND_ASSIGN(const auto repository, OpenBy(disk_, 1));
  const size_t begin = disk_.operation_count();
  ASSERT_OK(AddKey(*repository, TestKeyFile(2), {}, {}).status());
  ForEachCut(begin, [](MemoryFileSystem& disk, bool done) {
    EXPECT_TRUE(Opens(disk, 1));
    EXPECT_TRUE(Opens(disk, 2) || !done);
  });
}

TEST_P(KeyPowerCutTest, ARemovedKeyIsGoneOnceItIsSaid) {
  Make();
  ASSERT_OK_AND_ASSIGN(const auto repository, OpenBy(disk_, 1));
  ASSERT_OK_AND_ASSIGN(const KeyId id, AddKey(*repository, TestKeyFile(2), {}, {}));
  const size_t begin = disk_.operation_count();
  ASSERT_OK(RemoveKey(*repository, id));
  ForEachCut(begin, [](MemoryFileSystem& disk, bool done) {
    EXPECT_TRUE(Opens(disk, 1));
    EXPECT_FALSE(Opens(disk, 2) && done);
  });
}

TEST_P(KeyPowerCutTest, WhileAKeyIsReplacedOneOfThemOpens) {
  Make();
  ASSERT_OK_AND_ASSIGN(const auto repository, OpenBy(disk_, 1));
  const size_t begin = disk_.operation_count();
  ASSERT_OK(ReplaceKey(*repository, TestKeyFile(2), {}, {}).status());
  ForEachCut(begin, [](MemoryFileSystem& disk, bool done) {
    const bool by_old = Opens(disk, 1);
    const bool by_new = Opens(disk, 2);
    EXPECT_TRUE(by_old || by_new);
    EXPECT_TRUE(!done || (by_new && !by_old));
  });
}

INSTANTIATE_TEST_SUITE_P(Policies, KeyPowerCutTest,
                         ::testing::Values(CrashPolicy::kKeepAll, CrashPolicy::kDropUnsynced,
                                           CrashPolicy::kKeepNamesDropData, CrashPolicy::kRandom,
                                           CrashPolicy::kChosen));

}  // namespace
}  // namespace cairn
