// SPDX-License-Identifier: Apache-2.0
// What is damaged is mended from the first of parity, the sources and other repositories that has
// it, and what cannot be mended is named; nothing is made worse.
#include <filesystem>
#include <set>

#include "core/repo/prune.h"
#include "core/store/parity.h"
#include "core/store/sessions.h"
#include "tests/repo/repair_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(RepairTest, WithoutDamageNothingIsWritten) {
  TakeFiles();
  Reopen();  // another process's names are not this one's to sync
  const size_t before = repository_files_.operation_count();
  const RepairResult result = Mend();
  EXPECT_EQ(result.damages_found, 0U);
  EXPECT_THAT(result.left.damages, IsEmpty());
  const auto operations = repository_files_.operations();
  for (size_t i = before; i < operations.size(); ++i) {
    EXPECT_TRUE(operations[i].path.starts_with("sessions/") || operations[i].path == "sessions" ||
                operations[i].path == "prune.lock" ||
                (TestsAreEncrypted() && operations[i].path == "keys.lock"))
        << operations[i].path;
  }
}

TEST_F(RepairTest, EveryKindOfDamageThatParityCoversIsMendedBitForBit) {
  TakeFiles();
  ASSERT_EQ(Packs().size(), 1U);
  const std::string pack = Packs().front();
  const Bytes whole = ContentOf(pack);
  const std::vector<size_t> places = {
      0, 100, 4096, whole.size() / 2, whole.size() - 4096, whole.size() - 1};
  for (const size_t at : places) {
    for (const size_t size : {size_t{1}, size_t{4096}, size_t{20'000}}) {
      SCOPED_TRACE(std::to_string(size) + " bytes at " + std::to_string(at));
      Damage(pack, [&](Bytes& bytes) {
        for (size_t i = at; i < std::min(bytes.size(), at + size); ++i) bytes[i] ^= 0x55;
      });
      const CheckResult found = CheckAll(*repository_);
      ASSERT_FALSE(found.clean());
      for (const struct Damage& damage : found.damages) {
        EXPECT_TRUE(damage.mendable || !damage.object.starts_with("pack ")) << damage.what;
      }
      const RepairResult result = Mend();
      EXPECT_EQ(result.packs_mended, 1U);
      EXPECT_EQ(result.packs_replaced, 0U);
      EXPECT_EQ(result.blobs_missing, 0U);
      EXPECT_EQ(ContentOf(pack), whole);
      ExpectSound();
    }
  }
  for (const size_t cut : {size_t{1}, size_t{5000}}) {
    Damage(pack, [&](Bytes& bytes) { bytes.resize(bytes.size() - cut); });
    EXPECT_EQ(Mend().packs_mended, 1U);
    EXPECT_EQ(ContentOf(pack), whole);
  }
  ExpectSound();
  ExpectRestores();
}

TEST_F(RepairTest, AnIndexThatWasMadeBesideTheDamageIsMadeAnew) {
  TakeFiles();
  Damage(Packs().front(), [](Bytes& bytes) { bytes.back() ^= 1; });
  Reopen();  // nothing in the pack can be found
  EXPECT_EQ(Mend().packs_mended, 1U);
  EXPECT_THAT(CheckAll(*repository_).damages, IsEmpty());
  ExpectRestores();
}

TEST_F(RepairTest, WhatStandsTwiceIsMendedFromItsOtherCopy) {
  TakeFiles();
  for (const std::string& path : repository_files_.AllPaths()) {
    if (path != "config" && !path.starts_with("journal/0")) continue;
    SCOPED_TRACE(path);
    const Bytes whole = ContentOf(path);
    const std::vector<std::function<void(Bytes&)>> damages = {
        [](Bytes& bytes) { bytes[100] ^= 1; },
        [](Bytes& bytes) { bytes.back() ^= 1; },
        [](Bytes& bytes) { std::fill_n(bytes.begin(), 4096, uint8_t{0}); },
        [](Bytes& bytes) { bytes.resize(bytes.size() - 7); },
        [](Bytes& bytes) { bytes.resize(bytes.size() + 100); },
    };
    for (const auto& damage : damages) {
      Damage(path, damage);
      EXPECT_EQ(Mend().copies_mended, 1U);
      EXPECT_EQ(ContentOf(path), whole);
    }
  }
  ExpectSound();
}

TEST_F(RepairTest, ParityIsMadeAnew) {
  TakeFiles();
  const std::string parity = Packs().front() + ".par";
  const Bytes whole = ContentOf(parity);
  ASSERT_OK(repository_files_.Unlink(parity));
  EXPECT_EQ(CheckAll(*repository_).packs_without_parity, 1U);
  EXPECT_EQ(Mend().parity_made, 1U);
  EXPECT_EQ(ContentOf(parity), whole);
  Damage(parity, [](Bytes& bytes) { bytes[5] ^= 1; });
  const CheckResult found = CheckAll(*repository_);
  ASSERT_EQ(found.damages.size(), 1U);
  EXPECT_TRUE(found.damages.front().harmless);
  EXPECT_EQ(Mend().parity_made, 1U);
  EXPECT_EQ(ContentOf(parity), whole);
}

TEST_F(RepairTest, BeyondParityTheSourcesHelp) {
  TakeFiles();
  Ruin(Packs().front());
  const RepairResult result = Mend();
  EXPECT_EQ(result.packs_mended, 0U);
  EXPECT_GT(result.blobs_from_sources, 0U);
  EXPECT_EQ(result.blobs_from_others, 0U);
  EXPECT_EQ(result.blobs_missing, 0U);
  EXPECT_EQ(result.packs_replaced, 1U);
  ExpectSound();
  ExpectRestores();
}

TEST_F(RepairTest, ChunksThatMovedInTheSourceAreFound) {
  TakeFiles();
  Ruin(Packs().front());
  Write(Source("a"), "in front of it" + Noise(300'000, 1));
  const RepairResult result = Mend();
  EXPECT_GT(result.blobs_from_sources, 0U);
  // The chunk that the insertion changed is gone.
  for (const AffectedPath& path : result.left.affected) EXPECT_EQ(path.path, Source("a"));
}

TEST_F(RepairTest, WhatNothingHasIsNamedAndTheRestStays) {
  TakeFiles();
  Ruin(Packs().front());
  std::filesystem::remove(Source("a"));
  std::filesystem::remove(Source("folder/b"));
  const RepairResult result = Mend();
  EXPECT_GT(result.blobs_missing, 0U);
  EXPECT_FALSE(result.left.affected.empty());
  EXPECT_THAT(result.left.affected_snapshots, ElementsAre(id_));
  Reopen();
  ASSERT_OK_AND_ASSIGN(const auto snapshots, repository_->Snapshots());
  EXPECT_EQ(snapshots.size(), 1U);
  // The content comes back later, and then all of it is mended.
  Write(Source("a"), Noise(300'000, 1));
  Write(Source("folder/b"), Noise(100'000, 2));
  EXPECT_EQ(Mend().blobs_missing, 0U);
  ExpectSound();
  ExpectRestores();
}

class RepairFromTest : public RepairTest {
 protected:
  void SetUp() override {
    RepairTest::SetUp();
    TakeFiles();
    copy_files_ = repository_files_.CrashedAt(repository_files_.operation_count(),
                                              {.policy = CrashPolicy::kKeepAll});
    ASSERT_OK_AND_ASSIGN(copy_, Repository::Open(*copy_files_, TestRepositoryOptions()));
    std::filesystem::remove_all(Source());
  }
  RepairResult MendFromCopy() {
    RepairOptions options;
    options.from = {copy_.get()};
    return Mend(options);
  }

  std::unique_ptr<MemoryFileSystem> copy_files_;
  std::unique_ptr<Repository> copy_;
};

TEST_F(RepairFromTest, AnotherRepositoryHelpsWhereTheSourcesAreGone) {
  Ruin(Packs().front());
  const RepairResult result = MendFromCopy();
  EXPECT_EQ(result.blobs_from_sources, 0U);
  EXPECT_GT(result.blobs_from_others, 0U);
  EXPECT_EQ(result.blobs_missing, 0U);
  ExpectSound();
  ExpectRestores();
}

TEST_F(RepairFromTest, AMissingPackIsMadeUpFor) {
  for (const bool index_knows : {true, false}) {
    SCOPED_TRACE(index_knows);
    RepositoryOptions options = TestRepositoryOptions();
    options.cache_directory = Path("cache");
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(repository_files_, options));
    for (const std::string& pack : Packs()) ASSERT_OK(repository_files_.Unlink(pack));
    if (!index_knows) std::filesystem::remove_all(Path("cache"));
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(repository_files_, options));
    const RepairResult result = MendFromCopy();
    EXPECT_GT(result.blobs_from_others, 0U);
    EXPECT_EQ(result.blobs_missing, 0U);
    ExpectSound();
    ExpectRestores();
  }
}

TEST_F(RepairFromTest, ADryRunSaysSoAndWritesNothing) {
  Ruin(Packs().front());
  const size_t before = repository_files_.operation_count();
  RepairOptions options;
  options.dry_run = true;
  EXPECT_GT(Mend(options).blobs_missing, 0U);
  options.from = {copy_.get()};
  const RepairResult result = Mend(options);
  EXPECT_EQ(result.blobs_missing, 0U);
  EXPECT_GT(result.blobs_from_others, 0U);
  const auto operations = repository_files_.operations();
  for (size_t i = before; i < operations.size(); ++i) {
    EXPECT_TRUE(operations[i].path.starts_with("sessions")) << operations[i].path;
  }
}

TEST_F(RepairTest, ADryRunCountsWhatParityMends) {
  TakeFiles();
  const std::string pack = Packs().front();
  Damage(pack, [](Bytes& bytes) { bytes[5000] ^= 1; });
  const Bytes damaged = ContentOf(pack);
  std::filesystem::remove_all(Source());
  RepairOptions options;
  options.dry_run = true;
  const RepairResult result = Mend(options);
  EXPECT_EQ(result.packs_mended, 1U);
  EXPECT_EQ(result.blobs_missing, 0U);
  EXPECT_EQ(ContentOf(pack), damaged);
}

TEST_F(RepairTest, ABlobThatOnlyACondemnedPackStillHasIsNotLost) {
  TakeFiles();
  const std::string old = Packs().front();
  // A copy of everything in a new pack, the old one condemned and not purged yet.
  {
    ASSERT_OK_AND_ASSIGN(const auto other, Session::Open(repository_files_, "restore"));
    ASSERT_OK(other->SetStart(0));
    PruneOptions options;
    options.replace = {NameOf(old)};
    ASSERT_OK_AND_ASSIGN(const PruneResult pruned, Prune(*repository_, options));
    ASSERT_EQ(pruned.packs_waiting, 1U);
  }
  std::filesystem::remove_all(Source());
  for (const std::string& pack : Packs()) {
    if (pack != old) Ruin(pack);
  }
  const RepairResult result = Mend();
  EXPECT_EQ(result.blobs_missing, 0U);
  ExpectSound();
  ExpectRestores();
}

TEST_F(RepairTest, DeltasWhoseBaseIsLostAreMendedFromTheSource) {
  Write(Source("big"), Noise(400'000, 5));
  Take();
  const std::vector<std::string> first = Packs();
  std::string changed = Noise(400'000, 5);
  for (size_t i = 1000; i < changed.size(); i += 20'000) ++changed[i];
  Write(Source("big"), changed);
  const SnapshotId second = Take();
  ASSERT_GT(Packs().size(), first.size());
  for (const std::string& pack : first) Ruin(pack);
  Reopen();  // it has read the base
  const RepairResult result = Mend();
  EXPECT_GT(result.blobs_from_sources, 0U);
  for (const AffectedPath& path : result.left.affected) EXPECT_NE(path.snapshot, second);
  std::filesystem::remove_all(Target());
  RestoreAll(Place(second));
  EXPECT_EQ(Read(Target("big")), changed);
}

TEST_F(RepairTest, BesideAPruneItIsRefused) {
  TakeFiles();
  ASSERT_OK_AND_ASSIGN(const auto lock, LockForPrune(repository_files_));
  EXPECT_THAT(Repair(*repository_, {}), StatusIs(StatusCode::kAborted));
}

}  // namespace
}  // namespace cairn::testing
