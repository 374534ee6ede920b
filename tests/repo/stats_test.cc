// SPDX-License-Identifier: Apache-2.0
#include "core/repo/stats.h"

#include "tests/repo/restore_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::IsEmpty;

class StatsTest : public RestoreTest {};

TEST_F(StatsTest, CountsAnEmptyRepository) {
  ASSERT_OK_AND_ASSIGN(const RepositoryStats stats, StatsOfRepository(*repository_));
  EXPECT_EQ(stats.snapshots, 0U);
  EXPECT_EQ(stats.stored_bytes, 0U);
  EXPECT_EQ(stats.journal_records, 0U);
  EXPECT_EQ(stats.journal_bytes, 0U);
  EXPECT_THAT(stats.sessions, IsEmpty());
}

TEST_F(StatsTest, CountsWhatIsStoredOnce) {
  Write(Source("a"), Noise(3000, 1));
  Write(Source("b"), Noise(3000, 1));
  Take();
  Take();
  ASSERT_OK_AND_ASSIGN(const RepositoryStats stats, StatsOfRepository(*repository_));
  EXPECT_EQ(stats.snapshots, 2U);
  EXPECT_EQ(stats.held, 0U);
  EXPECT_EQ(stats.logical_files, 4U);
  EXPECT_EQ(stats.logical_bytes, 12'000U);
  EXPECT_EQ(stats.chunks, 1U);
  EXPECT_EQ(stats.nodes, 2U);  // a root and a directory
  EXPECT_EQ(stats.blobs, 3U);
  EXPECT_EQ(stats.packs, 1U);
  EXPECT_GE(stats.frames, 1U);
  EXPECT_GT(stats.unique_bytes, 3000U);
  uint64_t pack_bytes = 0;
  uint64_t journal_bytes = 0;
  for (const std::string& path : repository_files_.AllPaths()) {
    const StatusOr<uint64_t> size = repository_files_.FileSize(path);
    if (!size.ok()) continue;
    if (path.starts_with("packs/") && !path.ends_with(".par")) pack_bytes += *size;
    if (path.starts_with("journal/")) journal_bytes += *size;
  }
  EXPECT_EQ(stats.stored_bytes, pack_bytes);
  EXPECT_EQ(stats.journal_bytes, journal_bytes);
  EXPECT_EQ(stats.journal_records, 2U);
}

TEST_F(StatsTest, CountsWhatOnlyOneSnapshotReaches) {
  Write(Source("shared"), Noise(4000, 1));
  Take();
  Write(Source("own"), Noise(2000, 2));
  const SnapshotId second = Take();
  ASSERT_OK_AND_ASSIGN(const SnapshotStats stats, StatsOfSnapshot(*repository_, second, nullptr));
  EXPECT_EQ(stats.files, 2U);
  EXPECT_EQ(stats.directories, 1U);
  EXPECT_EQ(stats.logical_bytes, 6000U);
  EXPECT_EQ(stats.blobs, 4U);
  EXPECT_GT(stats.unique_bytes, 6000U);
  EXPECT_GT(stats.stored_bytes, 6000U);
  EXPECT_EQ(stats.unique_bytes - stats.own_bytes, 4000U);
}

TEST_F(StatsTest, KnowsNothingOfASnapshotThatIsNotThere) {
  EXPECT_THAT(StatsOfSnapshot(*repository_, SnapshotId{}, nullptr),
              StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace cairn::testing
