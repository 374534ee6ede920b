// SPDX-License-Identifier: Apache-2.0
// The part of the index's conformance suite that is about snapshots.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tests/conformance/index_conformance.h"

namespace cairn::testing {

using ::testing::ElementsAreArray;

TEST_P(IndexConformanceTest, KeepsSnapshotsInTheOrderOfTheirRecords) {
  IndexSnapshot tagged = MakeSnapshot(1, 300);
  tagged.held = true;
  tagged.tags = {"a", "b"};
  IndexSnapshot untagged = MakeSnapshot(2, 2);
  untagged.tags = std::vector<std::string>();
  const IndexSnapshot plain = MakeSnapshot(3, 70000);
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.PutSnapshot(plain));
    EXPECT_OK(writer.PutSnapshot(tagged));
    return writer.PutSnapshot(untagged);
  });
  EXPECT_THAT(AllSnapshots(), ElementsAre(untagged, tagged, plain));
  EXPECT_THAT(Read()->FindSnapshot(tagged.id), IsOkAndHolds(Optional(tagged)));
}

TEST_P(IndexConformanceTest, ReplacesASnapshotOfTheSameId) {
  IndexSnapshot snapshot = MakeSnapshot(1, 5);
  Write([&](IndexWriter& writer) { return writer.PutSnapshot(snapshot); });
  snapshot.record = 9;
  snapshot.tags = {"kept"};
  Write([&](IndexWriter& writer) { return writer.PutSnapshot(snapshot); });
  EXPECT_THAT(AllSnapshots(), ElementsAre(snapshot));
}

TEST_P(IndexConformanceTest, FindsSnapshotsByTime) {
  const auto at = [](uint64_t number, uint64_t record, Timestamp time) {
    IndexSnapshot snapshot = MakeSnapshot(number, record);
    snapshot.time = time;
    return snapshot;
  };
  const IndexSnapshot ancient = at(1, 9, {-5, 0});
  const IndexSnapshot first = at(2, 2, {100, 7});
  const IndexSnapshot second = at(3, 300, {100, 7});
  const IndexSnapshot last = at(4, 1, {100, 8});
  EXPECT_THAT(SnapshotsBefore({100, 8}), IsEmpty());
  Write([&](IndexWriter& writer) -> Status {
    for (const IndexSnapshot& snapshot : {second, ancient, last, first}) {
      EXPECT_OK(writer.PutSnapshot(snapshot));
    }
    return OkStatus();
  });
  EXPECT_THAT(SnapshotsBefore({100, 9}), ElementsAre(last.id, second.id, first.id, ancient.id));
  EXPECT_THAT(SnapshotsBefore({100, 8}), ElementsAre(last.id, second.id, first.id, ancient.id));
  EXPECT_THAT(SnapshotsBefore({100, 7}), ElementsAre(second.id, first.id, ancient.id));
  EXPECT_THAT(SnapshotsBefore({100, 6}), ElementsAre(ancient.id));
  EXPECT_THAT(SnapshotsBefore({-5, 0}), ElementsAre(ancient.id));
  EXPECT_THAT(SnapshotsBefore({-6, 999'999'999}), IsEmpty());
  EXPECT_THAT(SnapshotsBefore({100, 9}, 2), ElementsAre(last.id, second.id));

  IndexSnapshot moved = first;
  moved.time = {200, 0};
  Write([&](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.RemoveSnapshot(second.id));
    return writer.PutSnapshot(moved);
  });
  EXPECT_THAT(SnapshotsBefore({300, 0}), ElementsAre(first.id, last.id, ancient.id));
  Write([](IndexWriter& writer) { return writer.Clear(); });
  EXPECT_THAT(SnapshotsBefore({300, 0}), IsEmpty());
}

TEST_P(IndexConformanceTest, FindsSnapshotsById) {
  std::vector<SnapshotId> ids;
  Write([&](IndexWriter& writer) -> Status {
    for (uint64_t number = 1; number <= 20; ++number) {
      ids.push_back(TestId<SnapshotId>(number));
      EXPECT_OK(writer.PutSnapshot(MakeSnapshot(number, 21 - number)));
    }
    return OkStatus();
  });
  std::ranges::sort(ids);
  EXPECT_THAT(SnapshotsFrom({}), ElementsAreArray(ids));
  EXPECT_THAT(SnapshotsFrom(ids[17]), ElementsAre(ids[17], ids[18], ids[19]));
  SnapshotId behind = ids[17];
  ++behind.bytes.back();
  EXPECT_THAT(SnapshotsFrom(behind, 1), ElementsAre(ids[18]));
  behind.bytes.fill(0xff);
  EXPECT_THAT(SnapshotsFrom(behind), IsEmpty());
  Write([&](IndexWriter& writer) { return writer.RemoveSnapshot(ids[18]); });
  EXPECT_THAT(SnapshotsFrom(ids[17]), ElementsAre(ids[17], ids[19]));
}

TEST_P(IndexConformanceTest, RemovesSnapshots) {
  Write([](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.PutSnapshot(MakeSnapshot(1, 1)));
    return writer.PutSnapshot(MakeSnapshot(2, 2));
  });
  Write([](IndexWriter& writer) -> Status {
    EXPECT_OK(writer.RemoveSnapshot(TestId<SnapshotId>(3)));
    return writer.RemoveSnapshot(TestId<SnapshotId>(1));
  });
  EXPECT_THAT(AllSnapshots(), ElementsAre(MakeSnapshot(2, 2)));
  EXPECT_THAT(Read()->FindSnapshot(TestId<SnapshotId>(1)), IsOkAndHolds(Eq(std::nullopt)));
}

TEST_P(IndexConformanceTest, KeepsASnapshotObjectOfManyPages) {
  IndexSnapshot snapshot = MakeSnapshot(1, 1);
  snapshot.object.assign(100'000, 7);
  Write([&](IndexWriter& writer) { return writer.PutSnapshot(snapshot); });
  EXPECT_THAT(Read()->FindSnapshot(snapshot.id), IsOkAndHolds(Optional(snapshot)));
}

}  // namespace cairn::testing
