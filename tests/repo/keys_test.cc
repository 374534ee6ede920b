// SPDX-License-Identifier: Apache-2.0
// Opening encrypted repositories, their keys, and what somebody sees who has none.
#include "core/repo/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "core/repo/check.h"
#include "core/repo/prune.h"
#include "core/repo/repair.h"
#include "core/repo/snapshot.h"
#include "core/repo/stats.h"
#include "core/store/sessions.h"
#include "tests/fs/temp_tree.h"
#include "tests/support/encryption.h"
#include "tests/support/noise.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::HasSubstr;
using testing::Noise;
using ::testing::SizeIs;
using testing::StatusIs;
using testing::TestKeyFile;
using testing::TestPassword;

class KeysTest : public ::testing::Test {
 protected:
  void SetUp() override {
    RepositoryConfig config;
    config.id = RandomId<RepositoryId>();
    config.pack_target_bytes = 16 * kMiB;
    ASSERT_OK(
        Repository::CreateEncrypted(disk_, config, TestPassword("first"), kLeastPasswordCost));
    repository_ = Open("first");
  }

  static RepositoryOptions By(Credential credential) {
    RepositoryOptions options;
    auto shared = std::make_shared<Credential>(std::move(credential));
    options.credential = [shared]() -> StatusOr<Credential> {
      return Credential{shared->kind, SecretBytes::CopyOf(shared->secret.span())};
    };
    options.must_be_encrypted = true;
    return options;
  }
  StatusOr<std::unique_ptr<Repository>> TryOpen(Credential credential) {
    return Repository::Open(disk_, By(std::move(credential)));
  }
  std::unique_ptr<Repository> Open(std::string_view password) {
    auto repository = TryOpen(TestPassword(password));
    EXPECT_OK(repository.status());
    return repository.ok() ? *std::move(repository) : nullptr;
  }

  SnapshotId Snapshot(Repository& repository, int threads = 1) const {
    SnapshotOptions options;
    options.labels.host = "a-telling-host-name";
    options.threads = threads;
    StatusOr<SnapshotResult> result = TakeSnapshot(repository, {tree_.Path("src")}, options);
    EXPECT_OK(result.status());
    return result.ok() && result->id ? *result->id : SnapshotId{};
  }
  static CheckResult CheckAll(Repository& repository) {
    CheckOptions options;
    options.read_data.kind = ReadSubset::Kind::kAll;
    StatusOr<CheckResult> result = Check(repository, options);
    EXPECT_OK(result.status());
    return result.ok() ? *std::move(result) : CheckResult{};
  }
  Bytes File(const std::string& path) { return *ReadWholeFile(disk_, path, kGiB); }
  bool IsSeen(std::string_view text) {
    for (const std::string& path : disk_.AllPaths()) {
      const StatusOr<Bytes> bytes = ReadWholeFile(disk_, path, kGiB);
      if (!bytes.ok()) continue;
      if (path.find(text) != std::string::npos) return true;
      if (std::ranges::search(*bytes, AsBytes(text)).begin() != bytes->end()) return true;
    }
    return false;
  }

  testing::TempTree tree_;
  MemoryFileSystem disk_;
  std::unique_ptr<Repository> repository_;
};

TEST_F(KeysTest, OpensByItsPasswordAndByNothingElse) {
  EXPECT_THAT(TryOpen(TestPassword("other")).status(), StatusIs(StatusCode::kUnauthenticated));
  EXPECT_THAT(TryOpen(TestKeyFile()).status(), StatusIs(StatusCode::kUnauthenticated));
  EXPECT_THAT(Repository::Open(disk_, {}).status(),
              StatusIs(StatusCode::kUnauthenticated, HasSubstr("encrypted")));
}

TEST_F(KeysTest, APasswordForOneThatIsNotEncryptedIsRefused) {
  MemoryFileSystem disk;
  RepositoryConfig config;
  config.id = RandomId<RepositoryId>();
  ASSERT_OK(Repository::Create(disk, config));
  EXPECT_THAT(Repository::Open(disk, By(TestPassword("x"))).status(),
              StatusIs(StatusCode::kUnauthenticated, HasSubstr("not encrypted")));
}

TEST_F(KeysTest, AConfigurationThatWasExchangedForAPlainOneIsRefused) {
  MemoryFileSystem other;
  RepositoryConfig config;
  config.id = repository_->config().id;
  ASSERT_OK(Repository::Create(other, config));
  const Bytes plain = *ReadWholeFile(other, "config", kMiB);
  ASSERT_OK(disk_.Damage("config", [&](Bytes& bytes) { bytes = plain; }));
  EXPECT_THAT(TryOpen(TestPassword("first")).status(), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(Repository::Open(disk_, {}).status(), StatusIs(StatusCode::kDataLoss));
}

TEST_F(KeysTest, AConfigurationOfAnotherEncryptedRepositoryIsRefused) {
  MemoryFileSystem other;
  RepositoryConfig config;
  config.id = repository_->config().id;
  ASSERT_OK(Repository::CreateEncrypted(other, config, TestPassword("first"), kLeastPasswordCost));
  const Bytes foreign = *ReadWholeFile(other, "config", kMiB);
  ASSERT_OK(disk_.Damage("config", [&](Bytes& bytes) { bytes = foreign; }));
  EXPECT_THAT(TryOpen(TestPassword("first")).status(), StatusIs(StatusCode::kDataLoss));
}

TEST_F(KeysTest, KeysAreAddedReplacedAndRemoved) {
  ASSERT_OK_AND_ASSIGN(const KeyId file, AddKey(*repository_, TestKeyFile(), {}, {50, 0}));
  ASSERT_OK(AddKey(*repository_, TestPassword("second"), kLeastPasswordCost, {60, 0}).status());
  ASSERT_OK_AND_ASSIGN(const std::vector<StoredKey> keys, KeysOf(*repository_));
  EXPECT_THAT(keys, SizeIs(3));
  EXPECT_OK(TryOpen(TestKeyFile()).status());
  EXPECT_OK(TryOpen(TestPassword("second")).status());
  ASSERT_OK(RemoveKey(*repository_, file));
  EXPECT_THAT(TryOpen(TestKeyFile()).status(), StatusIs(StatusCode::kUnauthenticated));
  const auto second = Open("second");
  ASSERT_OK(ReplaceKey(*second, TestPassword("third"), kLeastPasswordCost, {70, 0}).status());
  EXPECT_THAT(TryOpen(TestPassword("second")).status(), StatusIs(StatusCode::kUnauthenticated));
  EXPECT_OK(TryOpen(TestPassword("third")).status());
  EXPECT_OK(TryOpen(TestPassword("first")).status());
}

TEST_F(KeysTest, TheKeyThatOpenedStays) {
  EXPECT_THAT(RemoveKey(*repository_, *repository_->opened_by()),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(RemoveKey(*repository_, RandomId<KeyId>()), StatusIs(StatusCode::kNotFound));
}

// Two processes, each with a key of its own, that remove each other's: one must stay.
TEST_F(KeysTest, WhoseKeyIsRemovedChangesNothingAnyMore) {
  ASSERT_OK(AddKey(*repository_, TestKeyFile(), {}, {}).status());
  ASSERT_OK_AND_ASSIGN(const auto other, TryOpen(TestKeyFile()));
  ASSERT_OK(RemoveKey(*repository_, *other->opened_by()));
  EXPECT_THAT(RemoveKey(*other, *repository_->opened_by()),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(AddKey(*other, TestKeyFile(3), {}, {}).status(),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_OK(TryOpen(TestPassword("first")).status());
}

TEST_F(KeysTest, WhoHasOpenedTheRepositoryGoesOnWhenItsKeyIsRemoved) {
  ASSERT_OK(AddKey(*repository_, TestKeyFile(), {}, {}).status());
  ASSERT_OK_AND_ASSIGN(const auto other, TryOpen(TestKeyFile()));
  ASSERT_OK(RemoveKey(*repository_, *other->opened_by()));
  tree_.MakeDirectory("src");
  tree_.Write("src/file", "content");
  const SnapshotId id = Snapshot(*other);
  EXPECT_TRUE(CheckAll(*other).clean());
  EXPECT_OK(Open("first")->FindSnapshot(id).status());
}

TEST_F(KeysTest, OnlyOneProcessAtATimeChangesThem) {
  ASSERT_OK_AND_ASSIGN(const auto lock, LockForKeys(disk_));
  EXPECT_THAT(AddKey(*repository_, TestKeyFile(), {}, {}).status(),
              StatusIs(StatusCode::kAborted, HasSubstr("changes the keys")));
  EXPECT_THAT(RemoveKey(*repository_, *repository_->opened_by()), StatusIs(StatusCode::kAborted));
}

TEST_F(KeysTest, KeysAreBounded) {
  Status status;
  for (size_t i = 1; i < kMaxKeys && status.ok(); ++i) {
    status = AddKey(*repository_, TestKeyFile(static_cast<uint8_t>(i)), {}, {}).status();
  }
  EXPECT_THAT(status, StatusIs(StatusCode::kResourceExhausted));
  EXPECT_OK(ReplaceKey(*repository_, TestPassword("p"), kLeastPasswordCost, {}).status());
}

TEST_F(KeysTest, OneThatIsNotEncryptedHasNone) {
  MemoryFileSystem disk;
  RepositoryConfig config;
  config.id = RandomId<RepositoryId>();
  ASSERT_OK(Repository::Create(disk, config));
  ASSERT_OK_AND_ASSIGN(const auto repository, Repository::Open(disk, {}));
  EXPECT_THAT(AddKey(*repository, TestKeyFile(), {}, {}).status(),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(KeysOf(*repository).status(), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(KeysTest, NothingOfWhatIsStoredIsSeen) {
  tree_.MakeDirectory("src");
  tree_.Write("src/a-telling-file-name", std::string(3000, 'x') + "a-telling-content");
  Snapshot(*repository_);
  ASSERT_OK_AND_ASSIGN(const auto session, repository_->OpenSession("a-telling-command"));
  EXPECT_FALSE(IsSeen("a-telling"));
  EXPECT_FALSE(IsSeen(tree_.Path("src")));
  ASSERT_OK_AND_ASSIGN(const RepositoryStats stats, StatsOfRepository(*repository_));
  ASSERT_THAT(stats.sessions, SizeIs(1));
  EXPECT_NE(stats.sessions[0].pid, 0);
  EXPECT_EQ(CheckAll(*repository_).damages.size(), 0U);
}

TEST_F(KeysTest, EqualContentHasOtherIdsInEachRepository) {
  tree_.MakeDirectory("src");
  tree_.Write("src/file", std::string(200'000, 'x') + "content");
  MemoryFileSystem other_disk;
  RepositoryConfig config = repository_->config();
  ASSERT_OK(Repository::CreateEncrypted(other_disk, config, TestKeyFile(), {}));
  ASSERT_OK_AND_ASSIGN(const auto other, Repository::Open(other_disk, By(TestKeyFile())));
  Snapshot(*repository_);
  Snapshot(*other);
  const auto ids_of = [](Repository& repository) {
    std::set<BlobId> ids;
    const auto state = repository.journal().ReadState();
    EXPECT_OK(state.status());
    for (const auto& [name, entry] : state->packs()) {
      const auto footer = ReadPackFooter(repository.store(), repository.keys(), entry.info);
      EXPECT_OK(footer.status());
      for (const BlobInfo& blob : footer->blobs) ids.insert(blob.ref.id);
    }
    return ids;
  };
  const std::set<BlobId> one = ids_of(*repository_);
  const std::set<BlobId> two = ids_of(*other);
  EXPECT_FALSE(one.empty());
  for (const BlobId& id : one) EXPECT_FALSE(two.contains(id));
}

TEST_F(KeysTest, PruneSealsWhatItCopiesAnew) {
  tree_.MakeDirectory("src");
  tree_.Write("src/stays", Noise(3'000'000, 1));
  tree_.Write("src/goes", Noise(3'000'000, 2));
  const SnapshotId first = Snapshot(*repository_);
  std::filesystem::remove(tree_.Path("src/goes"));
  Snapshot(*repository_);
  RecordEntries forget;
  forget.forget = {first};
  ASSERT_OK_AND_ASSIGN(JournalState state, repository_->journal().ReadState());
  ASSERT_OK(repository_->journal().Append(state.head(), forget).status());
  PruneOptions options;
  options.max_unused_share = 0;
  ASSERT_OK_AND_ASSIGN(const PruneResult result, Prune(*repository_, options));
  EXPECT_EQ(result.packs_rewritten, 1U);
  const CheckResult checked = CheckAll(*repository_);
  for (const Damage& damage : checked.damages) ADD_FAILURE() << damage.object << damage.what;
}

TEST_F(KeysTest, ADamagedCopyOfAKeyIsFoundAndMended) {
  const std::string name = KeyObjectName(*repository_->opened_by());
  const Bytes whole = File(name);
  ASSERT_OK(disk_.Damage(name, [](Bytes& bytes) { bytes[120] ^= 1; }));
  const CheckResult found = CheckAll(*repository_);
  ASSERT_THAT(found.damages, SizeIs(1));
  EXPECT_EQ(found.damages[0].object, name);
  EXPECT_TRUE(found.damages[0].mendable);
  ASSERT_OK_AND_ASSIGN(const RepairResult repaired, Repair(*repository_, {}));
  EXPECT_EQ(repaired.copies_mended, 1U);
  EXPECT_EQ(File(name), whole);
}

TEST_F(KeysTest, WithoutItsConfigurationItIsStillRead) {
  tree_.MakeDirectory("src");
  tree_.Write("src/file", "content");
  const SnapshotId id = Snapshot(*repository_);
  ASSERT_OK(disk_.Damage("config", [](Bytes& bytes) { bytes.assign(bytes.size(), 0); }));
  EXPECT_THAT(TryOpen(TestPassword("first")).status(), StatusIs(StatusCode::kDataLoss));
  RepositoryOptions options = By(TestPassword("first"));
  options.beside_damage = true;
  ASSERT_OK_AND_ASSIGN(const auto repository, Repository::Open(disk_, options));
  EXPECT_FALSE(repository->damage().ok());
  EXPECT_OK(repository->FindSnapshot(id).status());
}

}  // namespace
}  // namespace cairn
