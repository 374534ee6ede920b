// SPDX-License-Identifier: Apache-2.0
#include "core/repo/snapshot_object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/memory_blobs.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

SnapshotObject Sample() {
  SnapshotObject object;
  object.root.bytes.fill(7);
  object.time = {1'700'000'000, 999'999'999};
  object.started = {-5, 1};
  object.host = "host";
  object.user = "ann";
  object.uid = UINT32_MAX;
  object.message = "before the upgrade";
  object.paths = {"/etc", "/home/ann"};
  object.tags = {"a", "b"};
  object.parent = SnapshotId{.bytes = {1}};
  object.statistics.files = 3;
  object.statistics.stored_bytes_added = UINT64_MAX;
  object.excludes.inline_bytes = ToBytes("*.o\n");
  object.errors.parts = {{1 << 20, BlobId{.bytes = {2}}}, {5, BlobId{.bytes = {3}}}};
  object.program = "cairn 0.1.0";
  object.nonce.fill(9);
  return object;
}

TEST(SnapshotObjectTest, DecodesToWhatWasEncoded) {
  EXPECT_THAT(DecodeSnapshotObject(EncodeSnapshotObject(Sample())), IsOkAndHolds(Sample()));
}

TEST(SnapshotObjectTest, RefersToItsRootAndTheChunksOfItsLists) {
  const SnapshotObject object = Sample();
  EXPECT_THAT(SnapshotReferences(object),
              ::testing::ElementsAre(BlobRef{BlobKind::kRoot, object.root},
                                     BlobRef{BlobKind::kChunk, BlobId{.bytes = {2}}},
                                     BlobRef{BlobKind::kChunk, BlobId{.bytes = {3}}}));
}

TEST(SnapshotObjectTest, RefusesBytesThatAreCutShortOrFollowed) {
  const Bytes bytes = EncodeSnapshotObject(Sample());
  for (size_t size = 1; size < bytes.size(); ++size) {
    EXPECT_THAT(DecodeSnapshotObject(ByteSpan(bytes).first(size)), StatusIs(StatusCode::kDataLoss))
        << size;
  }
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_THAT(DecodeSnapshotObject(longer), StatusIs(StatusCode::kDataLoss));
}

TEST(SnapshotObjectTest, RefusesAListOfUnknownForm) {
  SnapshotObject object = Sample();
  object.program = "";
  Bytes bytes = EncodeSnapshotObject(object);
  // From the end: nonce, length of the program, the empty list of owners.
  const size_t form = bytes.size() - object.nonce.size() - 2;
  ASSERT_EQ(bytes[form], 0);
  bytes[form] = 2;
  EXPECT_THAT(DecodeSnapshotObject(bytes), StatusIs(StatusCode::kDataLoss));
}

TEST(SnapshotObjectTest, RefusesTagsOutOfOrder) {
  SnapshotObject object = Sample();
  object.tags = {"b", "a"};
  EXPECT_THAT(DecodeSnapshotObject(EncodeSnapshotObject(object)), StatusIs(StatusCode::kDataLoss));
}

TEST(SnapshotObjectTest, SaysThatANewerVersionIsUnknown) {
  Bytes bytes = EncodeSnapshotObject(Sample());
  bytes.front() = 2;
  EXPECT_THAT(DecodeSnapshotObject(bytes), StatusIs(StatusCode::kUnimplemented));
}

TEST(SnapshotObjectTest, KeepsLongListsInBlobs) {
  for (const size_t size :
       {size_t{0}, kMaxInlineListBytes, kMaxInlineListBytes + 1, size_t{3} << 20}) {
    MemoryBlobs blobs;
    const Bytes bytes(size, 'x');
    ASSERT_OK_AND_ASSIGN(const LongList list, MakeLongList(bytes, blobs));
    EXPECT_EQ(list.parts.empty(), size <= kMaxInlineListBytes) << size;
    EXPECT_THAT(ReadLongList(list, blobs), IsOkAndHolds(bytes)) << size;
  }
}

TEST(SnapshotObjectTest, PathNotesThatAreCutShortAreRefused) {
  const std::vector<PathNote> notes = {{"/a", "gone"}, {"/b/c", ""}};
  const Bytes bytes = EncodePathNotes(notes);
  EXPECT_THAT(DecodePathNotes(bytes), IsOkAndHolds(notes));
  EXPECT_THAT(DecodePathNotes(ByteSpan(bytes).first(bytes.size() - 1)),
              StatusIs(StatusCode::kDataLoss));
}

TEST(SnapshotObjectTest, TheTopIsTheSourceOrTheDeepestDirectoryAboveAll) {
  const auto top = [](std::vector<std::string> paths) {
    SnapshotObject object;
    object.paths = std::move(paths);
    return TopPath(object);
  };
  EXPECT_EQ(top({"/home/ann"}), "/home/ann");
  EXPECT_EQ(top({"/home/ann", "/home/bob"}), "/home");
  EXPECT_EQ(top({"/home/ann", "/home/anna"}), "/home");
  EXPECT_EQ(top({"/etc", "/home"}), "/");
}

}  // namespace
}  // namespace cairn::testing
