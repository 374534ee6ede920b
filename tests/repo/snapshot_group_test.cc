// SPDX-License-Identifier: Apache-2.0
#include "core/repo/snapshot_group.h"

#include <gtest/gtest.h>

#include "tests/repo/snapshot_builder.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MakeSnapshot;
using testing::StatusIs;

std::vector<std::vector<uint64_t>> Records(const std::vector<SnapshotGroup>& groups) {
  std::vector<std::vector<uint64_t>> records;
  for (const SnapshotGroup& group : groups) {
    records.emplace_back();
    for (const SnapshotInfo& snapshot : group.snapshots) records.back().push_back(snapshot.record);
  }
  return records;
}

std::vector<SnapshotInfo> Sample() {
  SnapshotInfo a = MakeSnapshot(1, 100);
  a.paths = {"/b", "/a"};
  SnapshotInfo b = MakeSnapshot(2, 200);
  b.paths = {"/a", "/b", "/a"};
  b.tags = {"t"};
  SnapshotInfo c = MakeSnapshot(3, 300);
  c.host = "other";
  c.paths = {"/a", "/b"};
  SnapshotInfo d = MakeSnapshot(4, 100);
  d.paths = {"/a"};
  return {a, b, c, d};
}

TEST(SnapshotGroupTest, GroupsByHostAndPathsWhateverTheirOrder) {
  const std::vector<SnapshotGroup> groups = GroupSnapshots(Sample(), {});
  EXPECT_THAT(Records(groups), ElementsAre(ElementsAre(4), ElementsAre(2, 1), ElementsAre(3)));
  EXPECT_EQ(groups[1].key.host, "host");
  EXPECT_THAT(groups[1].key.paths, ElementsAre("/a", "/b"));
  EXPECT_THAT(groups[1].key.tags, IsEmpty());
}

TEST(SnapshotGroupTest, GroupsByEachPropertyAlone) {
  EXPECT_THAT(Records(GroupSnapshots(Sample(), {true, false, false})),
              ElementsAre(ElementsAre(2, 4, 1), ElementsAre(3)));
  EXPECT_THAT(Records(GroupSnapshots(Sample(), {false, true, false})),
              ElementsAre(ElementsAre(4), ElementsAre(3, 2, 1)));
  EXPECT_THAT(Records(GroupSnapshots(Sample(), {false, false, true})),
              ElementsAre(ElementsAre(3, 4, 1), ElementsAre(2)));
}

TEST(SnapshotGroupTest, NoPropertyMakesOneGroupNewestFirst) {
  EXPECT_THAT(Records(GroupSnapshots(Sample(), {false, false, false})),
              ElementsAre(ElementsAre(3, 2, 4, 1)));
}

TEST(SnapshotGroupTest, NothingMakesNoGroup) { EXPECT_THAT(GroupSnapshots({}, {}), IsEmpty()); }

TEST(SnapshotGroupTest, NamesItsKeyForPeople) {
  EXPECT_EQ(FormatGroupKey({"h", {"/a", "/b"}, {"t"}}), "host h, paths /a /b, tags t");
  EXPECT_EQ(FormatGroupKey({}), "all snapshots");
}

TEST(ParseGroupByTest, ReadsAnyChoice) {
  const auto parsed = [](const char* text) {
    const StatusOr<GroupBy> by = ParseGroupBy(text);
    EXPECT_OK(by);
    return by.ok() ? std::vector<bool>{by->host, by->paths, by->tags} : std::vector<bool>{};
  };
  EXPECT_THAT(parsed("host,paths"), ElementsAre(true, true, false));
  EXPECT_THAT(parsed("tags,host"), ElementsAre(true, false, true));
  EXPECT_THAT(parsed("path"), ElementsAre(false, true, false));
  EXPECT_THAT(parsed(""), ElementsAre(false, false, false));
}

TEST(ParseGroupByTest, RefusesOtherWords) {
  for (const char* text : {"user", "host,,tags", ",host", "host, paths", "Host"}) {
    EXPECT_THAT(ParseGroupBy(text),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("host,paths,tags")))
        << text;
  }
}

}  // namespace
}  // namespace cairn
