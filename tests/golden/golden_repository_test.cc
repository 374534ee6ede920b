// SPDX-License-Identifier: Apache-2.0
// Repositories of every released format stay readable: tests/golden/vN/repository, made once by
// tests/golden/vN/make and never again.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "core/base/file_system.h"
#include "core/base/memory_file_system.h"
#include "core/repo/browse.h"
#include "core/repo/check.h"
#include "core/repo/repository.h"
#include "core/repo/stats.h"
#include "core/store/pack_mend.h"
#include "core/store/parity.h"
#include "tests/support/encryption.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

class GoldenRepositoryTest : public ::testing::Test {
 protected:
  void Open(const std::string& version, const RepositoryOptions& options = {}) {
    StatusOr<std::unique_ptr<FileSystem>> fs = OpenPosixFileSystem(
        CAIRN_SOURCE_DIR "/tests/golden/" + version + "/repository", /*create=*/false);
    ASSERT_OK(fs.status());
    fs_ = *std::move(fs);
    StatusOr<std::unique_ptr<Repository>> repository = Repository::Open(*fs_, options);
    ASSERT_OK(repository.status());
    repository_ = *std::move(repository);
  }

  // Files by name, as their content; symlinks as "-> target".
  std::map<std::string, std::string> Contents(const SnapshotView& snapshot) {
    std::map<std::string, std::string> contents;
    const std::string top = snapshot.object.paths.front();
    const auto visit = [&](const LocatedEntry& located) -> StatusOr<bool> {
      std::string content;
      if (located.entry.type == EntryType::kSymlink) content = "-> " + located.entry.target;
      if (located.entry.type == EntryType::kFile) {
        const auto append = [&](ByteSpan bytes) {
          content += AsText(bytes);
          return OkStatus();
        };
        RETURN_IF_ERROR(ReadFileContent(*repository_, located.entry, nullptr, append));
      }
      contents[located.path.substr(top.size())] = content;
      return true;
    };
    EXPECT_OK(ListPath(*repository_, snapshot, top, /*recursive=*/true, nullptr, visit));
    return contents;
  }

  void ExpectSound(uint64_t snapshots) {
    CheckOptions options;
    options.read_data.kind = ReadSubset::Kind::kAll;
    ASSERT_OK_AND_ASSIGN(const CheckResult result, Check(*repository_, options));
    for (const Damage& damage : result.damages)
      ADD_FAILURE() << damage.object << ": " << damage.what;
    EXPECT_EQ(result.snapshots, snapshots);
  }

  std::unique_ptr<FileSystem> fs_;
  std::unique_ptr<Repository> repository_;
};

std::string Numbers() {
  std::string text;
  for (int i = 1; i <= 60000; ++i) text += std::to_string(i) + "\n";
  return text;
}

TEST_F(GoldenRepositoryTest, SnapshotsOfVersionOneAreRead) {
  Open("v1");
  ASSERT_OK_AND_ASSIGN(const std::vector<SnapshotView> snapshots, repository_->Snapshots());
  ASSERT_EQ(snapshots.size(), 2u);
  EXPECT_EQ(snapshots[0].object.message, "first");
  EXPECT_EQ(snapshots[0].object.time, (Timestamp{1767225600, 0}));
  EXPECT_EQ(snapshots[1].info.tags, std::vector<std::string>{"two"});
  EXPECT_EQ(snapshots[1].object.parent, snapshots[0].info.id);

  std::map<std::string, std::string> expected = {
      {"/folder", ""},
      {"/folder/linked", "hello\n"},
      {"/folder/symlink", "-> ../hello"},
      {"/hello", "hello\n"},
      {"/numbers", Numbers()},
      {"/sparse", std::string(1 << 20, '\0') + "end"},
  };
  EXPECT_EQ(Contents(snapshots[0]), expected);
  expected["/hello2"] = "hello again\n";
  EXPECT_EQ(Contents(snapshots[1]), expected);
}

TEST_F(GoldenRepositoryTest, EveryByteOfVersionOneIsSound) {
  Open("v1");
  ExpectSound(2);
}

TEST_F(GoldenRepositoryTest, DeltasOfVersionOneAreRead) {
  Open("v1-delta");
  ASSERT_OK_AND_ASSIGN(const std::vector<SnapshotView> snapshots, repository_->Snapshots());
  ASSERT_EQ(snapshots.size(), 3u);
  std::map<std::string, std::string> expected = {{"/hello", "hello\n"}, {"/numbers", Numbers()}};
  EXPECT_EQ(Contents(snapshots[0]), expected);
  const auto replace = [&](const std::string& number, const std::string& text) {
    std::string& numbers = expected["/numbers"];
    numbers.replace(numbers.find("\n" + number + "\n") + 1, number.size(), text);
  };
  replace("30000", "thirty thousand");
  EXPECT_EQ(Contents(snapshots[1]), expected);
  replace("30001", "thirty thousand and one");
  EXPECT_EQ(Contents(snapshots[2]), expected);
  ASSERT_OK_AND_ASSIGN(const RepositoryStats stats, StatsOfRepository(*repository_));
  EXPECT_EQ(stats.delta_frames, 2u);
}

TEST_F(GoldenRepositoryTest, EveryByteOfTheDeltasIsSound) {
  Open("v1-delta");
  ExpectSound(3);
}

TEST_F(GoldenRepositoryTest, PacksWithParityAreRead) {
  Open("v1-parity");
  ASSERT_OK_AND_ASSIGN(const std::vector<SnapshotView> snapshots, repository_->Snapshots());
  ASSERT_EQ(snapshots.size(), 2u);
  std::map<std::string, std::string> expected = {{"/hello", "hello\n"}, {"/numbers", Numbers()}};
  EXPECT_EQ(Contents(snapshots[0]), expected);
  expected["/hello2"] = "hello again\n";
  EXPECT_EQ(Contents(snapshots[1]), expected);
  ExpectSound(2);
}

TEST_F(GoldenRepositoryTest, TheParityOfVersionOneMends) {
  Open("v1-parity");
  ASSERT_OK_AND_ASSIGN(const JournalState state, repository_->journal().ReadState());
  ASSERT_EQ(state.packs().size(), 2u);
  for (const auto& [name, entry] : state.packs()) {
    const PackInfo& info = entry.info;
    EXPECT_NE(info.content & kPackHasParity, 0);
    ASSERT_OK_AND_ASSIGN(const Bytes whole,
                         repository_->store().ReadAll(PackObjectName(name), kGiB));
    ASSERT_OK_AND_ASSIGN(const Bytes parity,
                         repository_->store().ReadAll(ParityObjectName(name), kGiB));
    for (size_t at = 0; at < whole.size(); at += kShardBytes) {
      MemoryFileSystem fs;
      const auto store = NewLocalObjectStore(fs);
      Bytes damaged = whole;
      damaged[at] ^= 1;
      ASSERT_OK(store->PutIfAbsent(PackObjectName(name), damaged, nullptr));
      ASSERT_OK(store->PutIfAbsent(ParityObjectName(name), parity, nullptr));
      PackMender mender(*store, repository_->keys(), SessionId{}, nullptr);
      ASSERT_OK(mender.VerifyParity(info));
      ASSERT_OK_AND_ASSIGN(const PackMender::Patches patches, mender.Solve(info));
      ASSERT_OK(mender.Mend(info, patches));
      EXPECT_EQ(*store->ReadAll(PackObjectName(name), kGiB), whole);
    }
  }
}

TEST_F(GoldenRepositoryTest, WhatVersionOneEncryptedIsRead) {
  const auto by_password = [] {
    return StatusOr<Credential>(testing::TestPassword("golden password"));
  };
  const auto by_key_file = []() -> StatusOr<Credential> {
    ASSIGN_OR_RETURN(
        const auto fs,
        OpenPosixFileSystem(CAIRN_SOURCE_DIR "/tests/golden/v1-encrypted", /*create=*/false));
    ASSIGN_OR_RETURN(const Bytes key, ReadWholeFile(*fs, "key", kKiB));
    return Credential{KeyKind::kKeyFile, SecretBytes::CopyOf(key)};
  };
  for (const bool password : {true, false}) {
    RepositoryOptions options;
    if (password) {
      options.credential = by_password;
    } else {
      options.credential = by_key_file;
    }
    Open("v1-encrypted", options);
    ASSERT_NE(repository_, nullptr);
    ASSERT_OK_AND_ASSIGN(const std::vector<SnapshotView> snapshots, repository_->Snapshots());
    ASSERT_EQ(snapshots.size(), 2u);
    std::map<std::string, std::string> expected = {{"/hello", "hello\n"}, {"/numbers", Numbers()}};
    EXPECT_EQ(Contents(snapshots[0]), expected);
    std::string& numbers = expected["/numbers"];
    numbers.replace(numbers.find("\n30000\n") + 1, 5, "thirty thousand");
    EXPECT_EQ(Contents(snapshots[1]), expected);
    ExpectSound(2);
  }
}

}  // namespace
}  // namespace cairn
