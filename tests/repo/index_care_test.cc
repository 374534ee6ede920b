// SPDX-License-Identifier: Apache-2.0
// The index holds no truth: whatever becomes of it, nothing but time is lost.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/repo/check.h"
#include "core/repo/forget.h"
#include "core/repo/prune.h"
#include "tests/repo/index_answers.h"
#include "tests/repo/restore_fixture.h"
#include "tests/support/encryption.h"

namespace cairn::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::IsEmpty;
using ::testing::Lt;

class IndexCareTest : public RestoreTest {
 protected:
  void SetUp() override {
    RestoreTest::SetUp();
    repository_.reset();
    ASSERT_OK_AND_ASSIGN(repository_, Open());
  }
  std::string Cache() const { return cache_.Path("cache"); }
  std::string DataFile() const {
    return Cache() + "/" + repository_->config().id.Hex() + "/index-2/data.mdb";
  }
  StatusOr<std::unique_ptr<Repository>> Open() {
    RepositoryOptions options = TestRepositoryOptions();
    options.cache_directory = Cache();
    options.warn = [this](const std::string& text) { warnings_.push_back(text); };
    return Repository::Open(repository_files_, options);
  }
  void TakeSome() {
    for (int i = 0; i < 4; ++i) {
      Write(Source("file" + std::to_string(i)), Noise(100'000, static_cast<uint64_t>(i)));
      Write(Source("small/" + std::to_string(i)), std::to_string(i));
      taken_.push_back(Take());
    }
  }
  void DeleteIndex() { std::filesystem::remove_all(Cache()); }
  // Once, when a record or a pack is about to get its name.
  void DeleteIndexWhenPlaced(const std::string& prefix) {
    const int before = deletions_;
    repository_files_.SetHook([this, prefix, before](const DiskOperation& operation) {
      if (deletions_ == before && operation.kind == DiskOperation::Kind::kRename &&
          operation.to.starts_with(prefix)) {
        ++deletions_;
        DeleteIndex();
      }
      return OkStatus();
    });
  }
  // The index on disk, for another process and this one, says what one made from nothing says.
  void ExpectRightIndex() {
    repository_files_.SetHook(nullptr);
    ASSERT_OK_AND_ASSIGN(const auto from_nothing,
                         Repository::Open(repository_files_, TestRepositoryOptions()));
    ASSERT_OK_AND_ASSIGN(const Answers expected, AnswersOf(from_nothing->index()));
    EXPECT_FALSE(expected.places.empty());
    ASSERT_OK_AND_ASSIGN(const auto other, Open());
    ASSERT_OK_AND_ASSIGN(const Answers on_disk, AnswersOf(other->index()));
    EXPECT_TRUE(on_disk == expected);
    ASSERT_OK(repository_->Refresh());
    ASSERT_OK_AND_ASSIGN(const Answers own, AnswersOf(repository_->index()));
    EXPECT_TRUE(own == expected);
    ASSERT_OK_AND_ASSIGN(const CheckResult result, Check(*other, {}));
    EXPECT_THAT(result.damages, IsEmpty());
  }

  TempTree cache_;
  std::vector<std::string> warnings_;
  std::vector<SnapshotId> taken_;
  int deletions_ = 0;
};

TEST_F(IndexCareTest, DeletedInTheMiddleOfASnapshotItCostsTimeOnly) {
  TakeSome();
  for (const std::string prefix : {"packs/", "journal/"}) {
    SCOPED_TRACE(prefix);
    Write(Source("more-" + prefix.substr(0, 4)), Noise(50'000, 99 + prefix.size()));
    const int before = deletions_;
    DeleteIndexWhenPlaced(prefix);
    const SnapshotId id = Take();
    EXPECT_EQ(deletions_, before + 1);
    ExpectRightIndex();
    std::filesystem::remove_all(Target());
    RestoreAll(Place(id));
    EXPECT_EQ(Read(Target("file0")), Read(Source("file0")));
  }
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(IndexCareTest, DeletedInTheMiddleOfAPruneItCostsTimeOnly) {
  TakeSome();
  for (const std::string prefix : {"packs/", "journal/"}) {
    SCOPED_TRACE(prefix);
    std::filesystem::remove(Source("file" + std::to_string(deletions_)));
    Write(Source("new"), Noise(1000, static_cast<uint64_t>(deletions_)));
    const SnapshotId last = Take();
    std::vector<SnapshotId> all;
    ASSERT_OK_AND_ASSIGN(const auto infos, repository_->SnapshotInfos());
    for (const SnapshotInfo& info : infos) {
      if (info.id != last) all.push_back(info.id);
    }
    ASSERT_OK(ForgetSnapshots(*repository_, all));
    const int before = deletions_;
    DeleteIndexWhenPlaced(prefix);
    PruneOptions options;
    options.max_unused_share = 0;
    options.threads = 1;
    ASSERT_OK(Prune(*repository_, options));
    EXPECT_EQ(deletions_, before + 1);
    ExpectRightIndex();
    std::filesystem::remove_all(Target());
    RestoreAll(Place(last));
    EXPECT_EQ(Read(Target("new")), Read(Source("new")));
  }
}

TEST_F(IndexCareTest, BuiltByRecordsItSaysWhatOneBuiltFromNothingSays) {
  TakeSome();
  ASSERT_OK(HoldSnapshots(*repository_, {taken_[1]}, true));
  ASSERT_OK(TagSnapshots(*repository_, {taken_[2]}, {.replace = true, .add = {"t"}, .remove = {}}));
  ASSERT_OK(ForgetSnapshots(*repository_, {taken_[0]}));
  ASSERT_OK(Prune(*repository_, {}));
  ExpectRightIndex();
  ASSERT_OK(repository_->RebuildIndex());
  ExpectRightIndex();
}

TEST_F(IndexCareTest, TwoWhoFillItAtOnceLeaveItWhole) {
  TakeSome();
  ASSERT_OK_AND_ASSIGN(const auto other, Open());
  // While one has emptied the index and reads footers, another empties and fills it.
  bool done = false;
  repository_files_.SetHook([&](const DiskOperation& operation) {
    if (!done && operation.kind == DiskOperation::Kind::kRead &&
        operation.path.starts_with("packs/")) {
      done = true;
      return other->RebuildIndex();
    }
    return OkStatus();
  });
  ASSERT_OK(repository_->RebuildIndex());
  ExpectRightIndex();
}

TEST_F(IndexCareTest, OneWhoseFileIsDamagedIsThrownAwayAndMadeAnew) {
  TakeSome();
  Write(Source("later"), "later");
  ASSERT_OK_AND_ASSIGN(const auto other,
                       Repository::Open(repository_files_, TestRepositoryOptions()));
  SnapshotOptions options;
  options.labels.host = "other";
  ASSERT_OK(TakeSnapshot(*other, {Source()}, options));
  {
    // All pages but those that say where the others are.
    std::fstream file(DataFile(), std::ios::in | std::ios::out | std::ios::binary);
    const auto size = std::filesystem::file_size(DataFile());
    file.seekp(8192);
    file << std::string(size - 8192, '\0');
  }
  ASSERT_OK(repository_->Refresh());
  EXPECT_THAT(warnings_, IsEmpty());
  ExpectRightIndex();
  EXPECT_TRUE(std::filesystem::exists(DataFile()));
}

TEST_F(IndexCareTest, OneThatGrewIsMadeSmallAndWhoHasItOpenGoesOn) {
  TakeSome();
  for (int i = 0; i < 2000; ++i) Write(Source("many/" + std::to_string(i)), std::to_string(i));
  const SnapshotId large = Take();
  ASSERT_OK_AND_ASSIGN(const auto reader, Open());
  std::filesystem::remove_all(Source("many"));
  Take();
  ASSERT_OK(ForgetSnapshots(*repository_, {large}));
  ASSERT_OK(Prune(*repository_, {}));
  // What was freed while a reader could see it is used again by the next writes only.
  ASSERT_OK_AND_ASSIGN(const uint64_t before, repository_->index().StoredBytes());
  ASSERT_OK_AND_ASSIGN(const bool compacted, repository_->CompactIndexIfGrown(/*min_bytes=*/0));
  EXPECT_TRUE(compacted);
  EXPECT_THAT(repository_->index().StoredBytes(), IsOkAndHolds(Lt(before / 2)));
  EXPECT_THAT(repository_->CompactIndexIfGrown(/*min_bytes=*/0), IsOkAndHolds(false));
  // Who has the old one open reads, and writes, with it.
  ASSERT_OK(reader->Refresh());
  EXPECT_THAT(reader->Snapshots(), IsOk());
  Write(Source("from-old"), "x");
  SnapshotOptions options;
  options.labels.host = "old";
  ASSERT_OK(TakeSnapshot(*reader, {Source()}, options));
  ExpectRightIndex();
  EXPECT_FALSE(AnswersOf(reader->index())->places.empty());
  ASSERT_OK(Check(*reader, {}));
}

TEST_F(IndexCareTest, ASmallOneIsLeftAsItIs) {
  TakeSome();
  EXPECT_THAT(repository_->CompactIndexIfGrown(), IsOkAndHolds(false));
}

}  // namespace
}  // namespace cairn::testing
