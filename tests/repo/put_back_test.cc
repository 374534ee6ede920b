// SPDX-License-Identifier: Apache-2.0
// What everything rests on and is lost in both copies comes back from a copy of the repository, if
// what is left proves that it was here; nothing else does.
#include "core/repo/put_back.h"

#include "core/store/key_ring.h"
#include "tests/repo/repair_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::SizeIs;

class PutBackTest : public RepairTest {
 protected:
  void SetUp() override {
    RepairTest::SetUp();
    for (int i = 0; i < 4; ++i) {
      Write(Source("file"), "state " + std::to_string(i));
      ids_.push_back(Take());
    }
    copy_files_ = Copy();
  }
  std::unique_ptr<MemoryFileSystem> Copy() {
    return repository_files_.CrashedAt(repository_files_.operation_count(),
                                       {.policy = CrashPolicy::kKeepAll});
  }
  std::vector<std::string> Records() const {
    std::vector<std::string> records;
    for (const std::string& path : repository_files_.AllPaths()) {
      if (path.starts_with("journal/0")) records.push_back(path);
    }
    return records;
  }
  // Both copies; of a small twin the second begins with the second sector.
  void Lose(const std::string& path) {
    Damage(path, [](Bytes& bytes) {
      bytes[100] ^= 1;
      bytes[4096 + 100] ^= 1;
    });
  }
  // So that nothing of it is left.
  void Wipe(const std::string& path) {
    Damage(path, [](Bytes& bytes) { std::ranges::fill(bytes, uint8_t{0}); });
  }
  StatusOr<uint64_t> PutBack(FileSystem& copy, bool dry_run = false) {
    const std::unique_ptr<ObjectStore> store = NewLocalObjectStore(copy);
    PutBackOptions options;
    options.from = {store.get()};
    options.dry_run = dry_run;
    return PutBackLost(repository_files_, TestRepositoryOptions().credential, options);
  }
  uint64_t PutBack() {
    const StatusOr<uint64_t> count = PutBack(*copy_files_);
    EXPECT_OK(count);
    return count.value_or(0);
  }
  bool Opens() { return Repository::Open(repository_files_, TestRepositoryOptions()).ok(); }
  void ExpectWhole(const std::string& path, const Bytes& whole) {
    EXPECT_EQ(ContentOf(path), whole) << path;
    ExpectSound();
  }

  std::vector<SnapshotId> ids_;
  std::unique_ptr<MemoryFileSystem> copy_files_;
};

TEST_F(PutBackTest, AnyRecordThatIsDamagedInBothCopies) {
  ASSERT_THAT(Records(), SizeIs(4));
  for (const std::string& record : Records()) {
    SCOPED_TRACE(record);
    const Bytes whole = ContentOf(record);
    Lose(record);
    EXPECT_FALSE(Opens());
    EXPECT_EQ(PutBack(), 1U);
    ExpectWhole(record, whole);
  }
}

TEST_F(PutBackTest, SeveralInARowWipedOrGone) {
  const std::vector<std::string> records = Records();
  std::vector<Bytes> whole;
  for (const std::string& record : records) whole.push_back(ContentOf(record));
  ASSERT_OK(repository_files_.Unlink(records[0]));
  ASSERT_OK(repository_files_.Unlink(records[1]));
  Wipe(records[2]);
  EXPECT_FALSE(Opens());
  EXPECT_EQ(PutBack(), 3U);
  for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(ContentOf(records[i]), whole[i]);
  ExpectSound();
}

TEST_F(PutBackTest, TheLastRecordOnlyByWhatIsLeftOfIt) {
  const std::string last = Records().back();
  const Bytes whole = ContentOf(last);
  Wipe(last);
  EXPECT_EQ(PutBack(), 0U);
  EXPECT_FALSE(Opens());
  Damage(last, [&](Bytes& bytes) {
    bytes = whole;
    bytes[100] ^= 1;
    std::fill(bytes.begin() + 4096, bytes.end(), uint8_t{0});
  });
  EXPECT_FALSE(Opens());
  EXPECT_EQ(PutBack(), 1U);
  ExpectWhole(last, whole);
}

TEST_F(PutBackTest, WhatOnlyTheCopyHasDoesNotComeBack) {
  // An older state, which somebody has put in place of a newer one.
  const std::string last = Records().back();
  ASSERT_OK(repository_files_.Unlink(last));
  EXPECT_EQ(PutBack(), 0U);
  Reopen();
  ASSERT_OK_AND_ASSIGN(const auto snapshots, repository_->Snapshots());
  EXPECT_THAT(snapshots, SizeIs(3));
}

TEST_F(PutBackTest, ACopyThatWentAnotherWayGivesOnlyWhatIsCommon) {
  // Both go on from record 3.
  const std::vector<std::string> records = Records();
  ASSERT_OK(copy_files_->Unlink(records[3]));
  {
    ASSERT_OK_AND_ASSIGN(const auto other, Repository::Open(*copy_files_, TestRepositoryOptions()));
    SnapshotOptions options;
    options.labels.host = "elsewhere";
    ASSERT_OK(TakeSnapshot(*other, {Source()}, options).status());
  }
  const Bytes third = ContentOf(records[2]);
  Lose(records[2]);
  EXPECT_EQ(PutBack(), 1U);
  ExpectWhole(records[2], third);
  Lose(records[3]);
  EXPECT_EQ(PutBack(), 0U);
  EXPECT_FALSE(Opens());
}

TEST_F(PutBackTest, TheConfigurationDamagedOrGone) {
  const Bytes whole = ContentOf("config");
  Lose("config");
  EXPECT_FALSE(Opens());
  EXPECT_EQ(PutBack(), 1U);
  ExpectWhole("config", whole);
  ASSERT_OK(repository_files_.Unlink("config"));
  EXPECT_FALSE(Opens());
  EXPECT_EQ(PutBack(), 1U);
  ExpectWhole("config", whole);
}

TEST_F(PutBackTest, AnotherRepositoryGivesNothing) {
  MemoryFileSystem others;
  RepositoryConfig config;
  config.id.bytes = {'o', 't', 'h', 'e', 'r'};
  ASSERT_OK(CreateTestRepository(others, config));
  {
    ASSERT_OK_AND_ASSIGN(const auto other, Repository::Open(others, TestRepositoryOptions()));
    for (int i = 0; i < 4; ++i) {
      ASSERT_OK(TakeSnapshot(*other, {Source()}, {}).status());
    }
  }
  Lose("config");
  Lose(Records()[1]);
  const Bytes damaged_config = ContentOf("config");
  const Bytes damaged_record = ContentOf(Records()[1]);
  const StatusOr<uint64_t> count = PutBack(others);
  EXPECT_EQ(count.value_or(0), 0U);
  EXPECT_EQ(ContentOf("config"), damaged_config);
  EXPECT_EQ(ContentOf(Records()[1]), damaged_record);
  EXPECT_EQ(PutBack(), 2U);
  ExpectSound();
}

TEST_F(PutBackTest, AFoldAndTheRecordsAfterIt) {
  ASSERT_OK_AND_ASSIGN(const JournalState state, repository_->journal().ReadState());
  ASSERT_OK(
      repository_->journal().FoldIfDue(state, {.min_records = 1, .ratio = 1, .keep_single = 2}));
  const std::string fold = "journal/folds/00000000000000000002";
  const Bytes whole = ContentOf(fold);
  ASSERT_THAT(Records(), SizeIs(2));
  const std::string record = Records().front();
  const Bytes whole_record = ContentOf(record);
  copy_files_ = Copy();
  Lose(fold);
  EXPECT_FALSE(Opens());
  EXPECT_EQ(PutBack(), 1U);
  ExpectWhole(fold, whole);
  ASSERT_OK(repository_files_.Unlink(fold));
  Lose(record);
  EXPECT_FALSE(Opens());
  EXPECT_EQ(PutBack(), 2U);
  ExpectWhole(fold, whole);
  EXPECT_EQ(ContentOf(record), whole_record);
}

TEST_F(PutBackTest, ADryRunWritesNothing) {
  Lose("config");
  Lose(Records()[1]);
  const size_t before = repository_files_.operation_count();
  ASSERT_OK_AND_ASSIGN(const uint64_t count, PutBack(*copy_files_, /*dry_run=*/true));
  EXPECT_EQ(count, 2U);
  EXPECT_EQ(repository_files_.operation_count(), before);
}

TEST_F(PutBackTest, BesideAPruneItIsRefused) {
  Lose("config");
  ASSERT_OK_AND_ASSIGN(const auto lock, LockForPrune(repository_files_));
  EXPECT_THAT(PutBack(*copy_files_), StatusIs(StatusCode::kAborted));
}

class KeyPutBackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    RepositoryConfig config;
    config.id.bytes = {'k', 'e', 'y'};
    ASSERT_OK(Repository::CreateEncrypted(files_, config, TestKeyFile(1), kLeastPasswordCost));
    const auto store = NewLocalObjectStore(files_);
    ASSERT_OK_AND_ASSIGN(const OpenedKeys opened, OpenKeys(*store, TestKeyFile(1)));
    ASSERT_OK_AND_ASSIGN(second_, WrapMasterKey(config.id, TestKeyFile(2), kLeastPasswordCost,
                                                {.seconds = 1}, opened.keys.master()));
    ASSERT_OK(PlaceKey(*store, second_, TestKeyFile(2)));
    first_name_ = KeyObjectName(opened.by);
    copy_ = files_.CrashedAt(files_.operation_count(), {.policy = CrashPolicy::kKeepAll});
  }
  StatusOr<uint64_t> PutBack(uint8_t key_file) {
    const auto store = NewLocalObjectStore(*copy_);
    PutBackOptions options;
    options.from = {store.get()};
    return PutBackLost(
        files_, [key_file] { return StatusOr<Credential>(TestKeyFile(key_file)); }, options);
  }
  bool Opens(uint8_t key_file) {
    return OpenKeys(*NewLocalObjectStore(files_), TestKeyFile(key_file)).ok();
  }
  void Ruin(const std::string& path) {
    ASSERT_OK(files_.Damage(path, [](Bytes& bytes) { std::ranges::fill(bytes, uint8_t{7}); }));
  }

  MemoryFileSystem files_;
  std::unique_ptr<MemoryFileSystem> copy_;
  KeyObject second_;
  std::string first_name_;
};

TEST_F(KeyPutBackTest, WhereAllAreGoneTheOneThatIsGivenComesBack) {
  ASSERT_OK(files_.Unlink(first_name_));
  ASSERT_OK(files_.Unlink(KeyObjectName(second_.id)));
  EXPECT_THAT(PutBack(3), StatusIs(StatusCode::kUnauthenticated));
  ASSERT_OK_AND_ASSIGN(const uint64_t count, PutBack(2));
  EXPECT_EQ(count, 1U);
  EXPECT_TRUE(Opens(2));
  EXPECT_FALSE(Opens(1));
}

TEST_F(KeyPutBackTest, OneThatWasRemovedDoesNotComeBack) {
  ASSERT_OK(files_.Unlink(KeyObjectName(second_.id)));
  EXPECT_THAT(PutBack(2), StatusIs(StatusCode::kUnauthenticated));
  ASSERT_OK_AND_ASSIGN(const uint64_t count, PutBack(1));
  EXPECT_EQ(count, 0U);
  EXPECT_FALSE(Opens(2));
}

TEST_F(KeyPutBackTest, OneThatIsDamagedComesBackByWhateverOpens) {
  Ruin(KeyObjectName(second_.id));
  ASSERT_OK_AND_ASSIGN(uint64_t count, PutBack(1));
  EXPECT_EQ(count, 1U);
  EXPECT_TRUE(Opens(2));
  Ruin(KeyObjectName(second_.id));
  ASSERT_OK_AND_ASSIGN(count, PutBack(2));
  EXPECT_EQ(count, 1U);
  EXPECT_TRUE(Opens(2));
}

TEST_F(KeyPutBackTest, SoItDoesByARepair) {
  Ruin(KeyObjectName(second_.id));
  RepositoryOptions options;
  options.credential = [] { return StatusOr<Credential>(TestKeyFile(1)); };
  ASSERT_OK_AND_ASSIGN(const auto repository, Repository::Open(files_, options));
  ASSERT_OK_AND_ASSIGN(const auto copy, Repository::Open(*copy_, options));
  RepairOptions repair;
  repair.from = {copy.get()};
  ASSERT_OK_AND_ASSIGN(const RepairResult result, Repair(*repository, repair));
  EXPECT_EQ(result.objects_from_others, 1U);
  EXPECT_TRUE(result.left.clean());
  EXPECT_TRUE(Opens(2));
}

TEST_F(KeyPutBackTest, AKeyThatOpensAnotherRepositoryIsRefused) {
  copy_ = std::make_unique<MemoryFileSystem>();
  RepositoryConfig config;
  config.id.bytes = {'k', 'e', 'y'};  // the same id, and another master key
  ASSERT_OK(Repository::CreateEncrypted(*copy_, config, TestKeyFile(2), kLeastPasswordCost));
  ASSERT_OK(files_.Unlink(first_name_));
  ASSERT_OK(files_.Unlink(KeyObjectName(second_.id)));
  EXPECT_THAT(PutBack(2), StatusIs(StatusCode::kUnauthenticated));
  EXPECT_FALSE(Opens(2));
}

TEST_F(KeyPutBackTest, WithoutAKeyNothingComesBack) {
  Ruin(first_name_);
  const auto store = NewLocalObjectStore(*copy_);
  PutBackOptions options;
  options.from = {store.get()};
  EXPECT_THAT(PutBackLost(files_, nullptr, options), StatusIs(StatusCode::kUnauthenticated));
}

}  // namespace
}  // namespace cairn::testing
