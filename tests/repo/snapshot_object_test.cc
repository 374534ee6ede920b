// SPDX-License-Identifier: Apache-2.0
#include "core/repo/snapshot_object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <functional>

#include "core/base/coding.h"
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

// As the encoder writes it, but for one list.
StatusOr<SnapshotObject> DecodeWithOwners(const std::function<void(Encoder&)>& put_owners) {
  SnapshotObject object = Sample();
  object.program = "";
  Bytes bytes = EncodeSnapshotObject(object);
  // From the end: nonce, length of the program, the empty list of owners.
  bytes.resize(bytes.size() - object.nonce.size() - 3);
  Encoder out(bytes);
  put_owners(out);
  out.String("");
  out.Raw(object.nonce);
  return DecodeSnapshotObject(bytes);
}

struct ForgedList {
  const char* what;
  uint8_t form;
  uint64_t bytes;
  std::vector<uint64_t> parts;
  bool good;
};

TEST(SnapshotObjectTest, RefusesAListThatDoesNotAddUp) {
  constexpr uint64_t kLong = kMaxInlineListBytes + 1;
  for (const ForgedList& list : std::vector<ForgedList>{
           {"as it should be", 1, kLong, {kLong}, true},
           {"of two parts", 1, kLong + 5, {5, kLong}, true},
           {"of unknown form", 2, kLong, {kLong}, false},
           {"in blobs though it is short", 1, kMaxInlineListBytes, {kMaxInlineListBytes}, false},
           {"shorter than its parts", 1, kLong, {kLong, 1}, false},
           {"longer than its parts", 1, kLong + 1, {kLong}, false},
           {"of no parts", 1, kLong, {}, false},
           {"of a part that is too long", 1, 2 * kMiB, {2 * kMiB}, false},
           {"too long for one object", 0, kLong, {}, false},
           {"as long as it may be", 0, kMaxInlineListBytes, {}, true},
       }) {
    const StatusOr<SnapshotObject> decoded = DecodeWithOwners([&](Encoder& out) {
      out.Varint(list.bytes);
      out.Fixed8(list.form);
      if (list.form == 0) return out.Raw(Bytes(list.bytes));
      out.Varint(list.parts.size());
      for (const uint64_t part : list.parts) {
        out.Varint(part);
        out.Raw(BlobId{.bytes = {1}}.span());
      }
    });
    if (list.good) {
      EXPECT_OK(decoded.status()) << list.what;
    } else {
      EXPECT_THAT(decoded, StatusIs(StatusCode::kDataLoss)) << list.what;
    }
  }
}

TEST(SnapshotObjectTest, RefusesOneOfNoPath) {
  SnapshotObject object = Sample();
  object.paths.clear();
  EXPECT_THAT(DecodeSnapshotObject(EncodeSnapshotObject(object)), StatusIs(StatusCode::kDataLoss));
}

TEST(SnapshotObjectTest, RefusesPathsThatAreNotAbsoluteAndClean) {
  using std::string_literals::operator""s;
  SnapshotObject object = Sample();
  for (const std::string& path : {"/"s, "/a"s, "/a/b c"s}) {
    object.paths = {path};
    EXPECT_OK(DecodeSnapshotObject(EncodeSnapshotObject(object))) << path;
  }
  for (const std::string& path :
       {""s, "a"s, "/a/"s, "//a"s, "/a//b"s, "/a/../b"s, "/./a"s, "/a\0b"s}) {
    object.paths = {path};
    EXPECT_THAT(DecodeSnapshotObject(EncodeSnapshotObject(object)), StatusIs(StatusCode::kDataLoss))
        << path;
  }
}

TEST(SnapshotObjectTest, RefusesAParentMarkThatIsNone) {
  SnapshotObject object = Sample();
  object.parent.reset();
  object.tags = {"tag"};
  Bytes bytes = EncodeSnapshotObject(object);
  const Bytes tag = ToBytes("tag");
  const auto mark = std::ranges::search(bytes, tag).end();
  ASSERT_NE(mark, bytes.end());
  ASSERT_EQ(*mark, 0);
  *mark = 2;
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

TEST(SnapshotObjectTest, RefusesALongListWhoseBlobHasAnotherSize) {
  MemoryBlobs blobs;
  const Bytes bytes(kMaxInlineListBytes + 1, 'x');
  ASSERT_OK_AND_ASSIGN(LongList list, MakeLongList(bytes, blobs));
  ++list.parts.front().bytes;
  EXPECT_THAT(ReadLongList(list, blobs), StatusIs(StatusCode::kDataLoss));
}

TEST(SnapshotObjectTest, RefusesToMakeAListOfMoreThanAGigabyte) {
  // Reserved, and never touched.
  constexpr size_t kSize = (size_t{1} << 30) + 1;
  void* const map =
      ::mmap(nullptr, kSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(map, MAP_FAILED);
  MemoryBlobs blobs;
  EXPECT_THAT(MakeLongList(ByteSpan(static_cast<const uint8_t*>(map), kSize), blobs),
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_EQ(blobs.writes(), 0U);
  ::munmap(map, kSize);
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
