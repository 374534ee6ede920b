// SPDX-License-Identifier: Apache-2.0
#include "core/repo/salvage.h"

#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

// Both copies of the journal's only record.
void LoseRecord(MemoryFileSystem& fs) {
  for (const std::string& path : fs.AllPaths()) {
    if (!path.starts_with("journal/0")) continue;
    MustBeOk(fs.Damage(path, [](Bytes& bytes) { bytes.assign(bytes.size(), 0); }));
  }
}

StatusOr<Salvage> SalvageOf(TestRepository& test) {
  Repository& repository = test.repository();
  return SalvageJournal(repository.journal(), repository.store(), repository.keys(), nullptr);
}

TEST(SalvageTest, FindsThePacksOfThisRepositoryOnly) {
  TestRepository other;
  const PackName foreign = other.AddPack({{other.Chunk(2)}});
  TestRepository test;
  const PackName own = test.AddPack({{test.Chunk(1)}});
  LoseRecord(test.fs());
  // Copied here by mistake.
  const std::string path = PackObjectName(foreign);
  const auto file = Must(other.fs().OpenRead(path));
  Bytes bytes(Must(file->Size()));
  Must(file->ReadAt(0, bytes));
  test.fs().CreateDirectory(path.substr(0, path.rfind('/'))).IgnoreError();
  MustBeOk(Must(test.fs().CreateNew(path))->Append(bytes));

  ASSERT_OK_AND_ASSIGN(const Salvage salvage, SalvageOf(test));
  EXPECT_EQ(salvage.lost_records, 1U);
  EXPECT_EQ(salvage.found_packs, 1U);
  EXPECT_NE(salvage.state.FindPack(own), nullptr);
  EXPECT_EQ(salvage.state.FindPack(foreign), nullptr);
}

TEST(SalvageTest, WithoutRecordsAndPacksNothingTellsWhoseItIs) {
  TestRepository test;
  const auto find = [&] {
    return FindRepositoryId(test.repository().store(), test.repository().keys(), std::nullopt);
  };
  EXPECT_THAT(find(), StatusIs(StatusCode::kNotFound));
  test.AddPack({{test.Chunk(1)}});
  LoseRecord(test.fs());
  EXPECT_THAT(find(), IsOkAndHolds(test.repository().config().id));
}

}  // namespace
}  // namespace cairn::testing
