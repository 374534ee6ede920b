// SPDX-License-Identifier: Apache-2.0
// Packs whose files have the names of others get their own back, and nothing that is a pack goes
// under the name of another.
#include <filesystem>

#include "core/base/random.h"
#include "tests/repo/repair_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RepairMisplacedTest : public RepairTest {
 protected:
  // Files a, b and c, in packs_[0] and so on.
  void SetUp() override {
    RepairTest::SetUp();
    uint64_t seed = 0;
    for (const char* const file : {"a", "b", "c"}) {
      packs_.push_back(TakeInPackOfItsOwn(file, 300'000, ++seed));
      whole_.push_back(ContentOf(packs_.back()));
    }
  }
  // What has this very content.
  std::vector<std::string> FilesWith(const Bytes& content) {
    std::vector<std::string> files;
    for (const std::string& pack : Packs()) {
      if (ContentOf(pack) == content) files.push_back(pack);
    }
    return files;
  }
  // Of a pack that nobody knows.
  std::string NewFileName() {
    const std::string name = PackObjectName(RandomId<PackName>());
    repository_files_.CreateDirectory(name.substr(0, name.rfind('/'))).IgnoreError();
    return name;
  }
  void ExpectAllInPlace() {
    for (size_t i = 0; i < packs_.size(); ++i) EXPECT_EQ(ContentOf(packs_[i]), whole_[i]) << i;
    EXPECT_THAT(Packs(), SizeIs(packs_.size()));
    ExpectSound();
  }
  void Flip(const std::string& path, size_t at) {
    Damage(path, [&](Bytes& bytes) { bytes[at] ^= 1; });
  }

  std::vector<std::string> packs_;
  std::vector<Bytes> whole_;
};

TEST_F(RepairMisplacedTest, PacksThatChangedPlacesGetTheirNamesBack) {
  std::filesystem::remove(Source("b"));  // nothing but the pack has it
  Rotate({packs_[0], packs_[1]});
  for (const struct Damage& damage : CheckAll(*repository_).damages) {
    EXPECT_TRUE(damage.mendable || !damage.object.starts_with("pack ")) << damage.object;
  }
  const RepairResult result = Mend();
  EXPECT_EQ(result.packs_renamed, 2U);
  EXPECT_EQ(result.packs_mended, 0U);
  EXPECT_EQ(result.packs_replaced, 0U);
  EXPECT_EQ(result.blobs_from_sources, 0U);
  EXPECT_EQ(result.blobs_missing, 0U);
  EXPECT_THAT(result.left.damages, IsEmpty());
  ExpectAllInPlace();
}

TEST_F(RepairMisplacedTest, ADryRunSaysSoAndRenamesNothing) {
  std::filesystem::remove_all(Source());
  // The index knows what is in them.
  Damage(packs_[0], [&](Bytes& bytes) { bytes = whole_[1]; });
  Damage(packs_[1], [&](Bytes& bytes) { bytes = whole_[0]; });
  const size_t before = repository_files_.operation_count();
  std::vector<std::string> told;
  RepairOptions options;
  options.dry_run = true;
  options.on_mended = [&](const std::string& what) { told.push_back(what); };
  const RepairResult result = Mend(options);
  EXPECT_EQ(result.packs_renamed, 2U);
  EXPECT_EQ(result.packs_mended, 0U);
  EXPECT_EQ(result.blobs_missing, 0U);
  EXPECT_THAT(told, Contains("pack " + NameOf(packs_[0]).Hex() +
                             ": its file had the name of pack " + NameOf(packs_[1]).Hex()));
  const auto operations = repository_files_.operations();
  for (size_t i = before; i < operations.size(); ++i) {
    EXPECT_TRUE(operations[i].path.starts_with("sessions")) << operations[i].path;
  }
}

TEST_F(RepairMisplacedTest, ACircleOfThreeIsUndone) {
  std::filesystem::remove_all(Source());
  Rotate(packs_);
  EXPECT_EQ(Mend().packs_renamed, 3U);
  ExpectAllInPlace();
}

TEST_F(RepairMisplacedTest, ALineIsMovedFromItsEnd) {
  std::filesystem::remove_all(Source());
  // The first has the second's name, that the third's, and the third's has one that nobody knows.
  const std::string unknown = NewFileName();
  ASSERT_OK(repository_files_.RenameNoReplace(packs_[2], unknown));
  ASSERT_OK(repository_files_.RenameNoReplace(packs_[1], packs_[2]));
  ASSERT_OK(repository_files_.RenameNoReplace(packs_[0], packs_[1]));
  Reopen();
  EXPECT_EQ(Mend().packs_renamed, 3U);
  ExpectAllInPlace();
}

TEST_F(RepairMisplacedTest, AWholeFileTakesThePlaceOfADamagedOne) {
  std::filesystem::remove_all(Source());
  Ruin(packs_[0]);
  ASSERT_OK(repository_files_.RenameNoReplace(packs_[1], NewFileName()));
  Put(packs_[1], whole_[0]);
  Reopen();
  EXPECT_EQ(Mend().packs_renamed, 2U);
  ExpectAllInPlace();
}

TEST_F(RepairMisplacedTest, ADamagedFileTakesNoPlaceThatIsNotFree) {
  Ruin(packs_[0]);
  Bytes other_copy = whole_[0];
  other_copy[200] ^= 1;
  ASSERT_OK(repository_files_.Unlink(packs_[1]));
  Put(packs_[1], other_copy);
  const Bytes ruined = ContentOf(packs_[0]);
  Reopen();
  EXPECT_EQ(Mend().packs_renamed, 0U);
  EXPECT_EQ(ContentOf(packs_[0]), ruined);
  EXPECT_EQ(ContentOf(packs_[1]), other_copy);
}

TEST_F(RepairMisplacedTest, ParityMendsAPackThatHasItsNameBack) {
  std::filesystem::remove_all(Source());
  Rotate({packs_[0], packs_[1]});
  Flip(packs_[0], 10'000);
  const RepairResult result = Mend();
  EXPECT_EQ(result.packs_renamed, 2U);
  EXPECT_EQ(result.packs_mended, 1U);
  ExpectAllInPlace();
}

TEST_F(RepairMisplacedTest, ADamagedCopyMakesRoom) {
  Bytes other_copy = whole_[0];
  std::fill_n(other_copy.begin() + 200, 100'000, uint8_t{0});
  const std::string unknown = NewFileName();
  ASSERT_OK(repository_files_.RenameNoReplace(packs_[1], unknown));
  Put(packs_[1], other_copy);
  Ruin(packs_[0]);
  Reopen();
  EXPECT_EQ(Mend().packs_renamed, 1U);
  EXPECT_EQ(ContentOf(packs_[1]), whole_[1]);
  EXPECT_THAT(FilesWith(other_copy), SizeIs(1));
  ExpectSound();
}

TEST_F(RepairMisplacedTest, WhatParityAloneMakesDoesNotReplaceADamagedCopy) {
  const std::string small = TakeInPackOfItsOwn("small", 100, 9);
  std::filesystem::remove(Source("a"));
  Ruin(packs_[0]);
  Bytes other_copy = whole_[0];
  other_copy[200] ^= 1;
  ASSERT_OK(repository_files_.Unlink(small));
  Put(small, other_copy);
  Reopen();
  EXPECT_EQ(Mend().packs_mended, 0U);
  EXPECT_THAT(FilesWith(other_copy), SizeIs(1));
}

TEST_F(RepairMisplacedTest, APackOfAnotherRepositoryIsNone) {
  // Its header names a pack of this one.
  PackHeader header;
  header.sealed = TestsAreEncrypted();
  header.repository = RandomId<RepositoryId>();
  header.name = NameOf(packs_[0]);
  ASSERT_OK(repository_files_.Unlink(packs_[0]));
  ASSERT_OK(repository_files_.Unlink(packs_[1]));
  Put(packs_[1], EncodePackHeader(header));
  Reopen();
  EXPECT_EQ(Mend().packs_renamed, 0U);
}

}  // namespace
}  // namespace cairn::testing
