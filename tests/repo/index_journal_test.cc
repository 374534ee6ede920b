// SPDX-License-Identifier: Apache-2.0
// An index that is behind the journal, ahead of it, or another history's.
#include <string>
#include <vector>

#include "core/base/random.h"
#include "tests/fs/temp_tree.h"
#include "tests/repo/test_repository.h"
#include "tests/support/encryption.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class IndexJournalTest : public ::testing::Test {
 protected:
  IndexJournalTest() { MustBeOk(CreateTestRepository(files_, Config())); }

  static RepositoryConfig Config() {
    RepositoryConfig config;
    config.id.bytes = {'i', 'n', 'd', 'e', 'x'};
    return config;
  }
  // All of them share one index.
  std::unique_ptr<Repository> Open(FileSystem& files) {
    RepositoryOptions options = TestRepositoryOptions();
    options.cache_directory = cache_.Path("cache");
    options.warn = [this](const std::string& text) { warnings_.push_back(text); };
    return Must(Repository::Open(files, options));
  }
  std::unique_ptr<MemoryFileSystem> Copy(const MemoryFileSystem& files) const {
    return files.CrashedAt(files.operation_count(), {.policy = CrashPolicy::kKeepAll});
  }
  // A record with a snapshot; its id.
  static SnapshotId Add(FileSystem& files) {
    RepositoryOptions options = TestRepositoryOptions();
    const auto repository = Must(Repository::Open(files, options));
    SnapshotObject object;
    object.root.bytes[0] = 1;
    object.host = "host";
    object.paths = {"/data"};
    object.program = "test";
    FillRandom(object.nonce);
    Bytes bytes = EncodeSnapshotObject(object);
    const SnapshotId id = HashSnapshotObject(repository->keys(), bytes);
    RecordEntries entries;
    entries.snapshots = {{id, std::move(bytes)}};
    const JournalState state = Must(repository->journal().ReadState());
    Must(repository->journal().Append(state.head(), entries));
    return id;
  }
  static std::vector<SnapshotId> IdsOf(Repository& repository) {
    std::vector<SnapshotId> ids;
    for (const SnapshotInfo& info : Must(repository.SnapshotInfos())) ids.push_back(info.id);
    return ids;
  }

  MemoryFileSystem files_;
  TempTree cache_;
  std::vector<std::string> warnings_;
};

TEST_F(IndexJournalTest, OneThatLagsIsBroughtUp) {
  const SnapshotId first = Add(files_);
  EXPECT_THAT(IdsOf(*Open(files_)), ElementsAre(first));
  const SnapshotId second = Add(files_);
  const SnapshotId third = Add(files_);
  EXPECT_THAT(IdsOf(*Open(files_)), ElementsAre(first, second, third));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(IndexJournalTest, OneThatIsAheadIsMadeAnewAndItIsSaid) {
  const SnapshotId first = Add(files_);
  const auto old_state = Copy(files_);
  Add(files_);
  EXPECT_THAT(IdsOf(*Open(files_)), SizeIs(2));
  // An older state of the repository is put in its place.
  EXPECT_THAT(IdsOf(*Open(*old_state)), ElementsAre(first));
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("an older state of the repository")));
}

TEST_F(IndexJournalTest, ACopyThatWentAnotherWayIsNotTakenForItsOriginal) {
  const SnapshotId first = Add(files_);
  const auto copy = Copy(files_);
  const SnapshotId original = Add(files_);
  const SnapshotId in_copy = Add(*copy);
  // Both have records of the same numbers.
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(IdsOf(*Open(files_)), ElementsAre(first, original));
    EXPECT_THAT(IdsOf(*Open(*copy)), ElementsAre(first, in_copy));
  }
  const SnapshotId later = Add(*copy);
  EXPECT_THAT(IdsOf(*Open(files_)), ElementsAre(first, original));
  EXPECT_THAT(IdsOf(*Open(*copy)), ElementsAre(first, in_copy, later));
}

TEST_F(IndexJournalTest, OneOfBeforeAFoldGoesOnFromIt) {
  const SnapshotId first = Add(files_);
  EXPECT_THAT(IdsOf(*Open(files_)), ElementsAre(first));
  const SnapshotId second = Add(files_);
  const SnapshotId third = Add(files_);
  {
    const auto other = Must(Repository::Open(files_, TestRepositoryOptions()));
    const JournalState state = Must(other->journal().ReadState());
    ASSERT_OK(other->journal().FoldIfDue(state, {.min_records = 0, .ratio = 1, .keep_single = 1}));
  }
  EXPECT_THAT(IdsOf(*Open(files_)), ElementsAre(first, second, third));
  EXPECT_THAT(IdsOf(*Open(files_)), ElementsAre(first, second, third));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(IndexJournalTest, OneOfAnotherPastThanTheFoldIsMadeAnew) {
  const SnapshotId first = Add(files_);
  const auto copy = Copy(files_);
  Add(*copy);
  EXPECT_THAT(IdsOf(*Open(*copy)), SizeIs(2));
  const SnapshotId second = Add(files_);
  const SnapshotId third = Add(files_);
  {
    const auto other = Must(Repository::Open(files_, TestRepositoryOptions()));
    const JournalState state = Must(other->journal().ReadState());
    ASSERT_OK(other->journal().FoldIfDue(state, {.min_records = 0, .ratio = 1, .keep_single = 1}));
  }
  EXPECT_THAT(IdsOf(*Open(files_)), ElementsAre(first, second, third));
}

// Whoever looks into it meanwhile would miss everything.
TEST_F(IndexJournalTest, OneWhoseJournalGoesOnMeanwhileIsNotEmptied) {
  for (const bool folds : {false, true}) {
    bool done = true;
    for (int stop = 0; done; ++stop) {
      SCOPED_TRACE(stop);
      Add(files_);
      const auto repository = Open(files_);
      const auto reader = Must(repository->index().Read());
      const auto fillings = Must(reader->FindNote(AsBytes("filling")));
      int operation = 0;
      done = false;
      files_.SetHook([&](const DiskOperation&) {
        if (done || operation++ < stop) return OkStatus();
        done = true;
        Add(files_);
        const auto other = Open(files_);
        if (!folds) return OkStatus();
        const JournalState state = Must(other->journal().ReadState());
        return other->journal().FoldIfDue(state, {.min_records = 0, .ratio = 1, .keep_single = 0});
      });
      ASSERT_OK(repository->Refresh());
      files_.SetHook(nullptr);
      const auto later = Must(repository->index().Read());
      EXPECT_EQ(Must(later->FindNote(AsBytes("filling"))), fillings);
    }
  }
}

TEST_F(IndexJournalTest, OneThatAnotherEmptiesIsFilledBeforeAnybodyLooksIntoIt) {
  const SnapshotId id = Add(files_);
  const auto repository = Open(files_);
  const auto other = Open(files_);
  const auto empty = [&] {
    const auto writer = Must(other->index().Write());
    MustBeOk(writer->Clear());
    MustBeOk(writer->Commit());
  };
  empty();
  EXPECT_OK(repository->FindSnapshot(id));
  empty();
  EXPECT_THAT(IdsOf(*repository), ElementsAre(id));
}

}  // namespace
}  // namespace cairn::testing
