// SPDX-License-Identifier: Apache-2.0
#include "core/repo/former_version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/tree/builder.h"
#include "tests/support/memory_blobs.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::SizeIs;

constexpr uint64_t kChunkBytes = 16 * kKiB;

ContentItem Item(uint32_t number, uint64_t bytes = kChunkBytes) {
  ContentItem item{.bytes = bytes, .zero = false, .id = {}};
  for (int i = 0; i < 4; ++i) item.id.bytes[i] = static_cast<uint8_t>(number >> (8 * i));
  return item;
}

BlobRef Ref(uint32_t number) { return {BlobKind::kChunk, Item(number).id}; }

ContentItem Zeros(uint64_t bytes) { return {.bytes = bytes, .zero = true, .id = {}}; }

class FormerVersionTest : public ::testing::Test {
 protected:
  // Up to 16 items.
  FormerVersion Of(const std::vector<ContentItem>& items) {
    Content content;
    content.items = items;
    return FormerVersion(blobs_, content);
  }
  // Items of these numbers, in list nodes.
  FormerVersion OfRange(uint32_t begin, uint32_t end) {
    ListBuilder list(blobs_);
    for (uint32_t i = begin; i < end; ++i) MustBeOk(list.Add(Item(i)));
    StatusOr<Content> content = list.Finish();
    EXPECT_OK(content.status());
    return FormerVersion(blobs_, *content);
  }
  static void MustBeOk(const Status& status) { EXPECT_OK(status); }
  std::vector<BlobRef> Take() { return std::exchange(replaced_, {}); }

  MemoryBlobs blobs_;
  std::vector<BlobRef> replaced_;
};

TEST_F(FormerVersionTest, WhatStandsBetweenEqualChunksWasReplaced) {
  FormerVersion former = Of({Item(1), Item(2), Item(3), Item(4)});
  former.Follow(Item(1), false, replaced_);
  EXPECT_THAT(Take(), IsEmpty());
  former.Follow(Item(100), true, replaced_);
  EXPECT_THAT(Take(), IsEmpty());
  former.Follow(Item(3), false, replaced_);
  EXPECT_THAT(Take(), ElementsAre(Ref(2)));
  former.Follow(Item(4), false, replaced_);
  former.EndFile(replaced_);
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(FormerVersionTest, TheLastChunkOfAFileThatGrewWasReplaced) {
  FormerVersion former = Of({Item(1), Item(2, 100)});
  former.Follow(Item(1), false, replaced_);
  former.Follow(Item(100, 5000), true, replaced_);
  former.EndFile(replaced_);
  EXPECT_THAT(Take(), ElementsAre(Ref(2)));
}

TEST_F(FormerVersionTest, NothingIsReplacedByWhatIsStoredAlready) {
  FormerVersion former = Of({Item(1), Item(2), Item(3)});
  former.Follow(Item(100), false, replaced_);
  former.Follow(Item(3), false, replaced_);
  former.EndFile(replaced_);
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(FormerVersionTest, NothingIsReplacedByAnInsertion) {
  FormerVersion former = Of({Item(1), Item(2)});
  former.Follow(Item(1), false, replaced_);
  former.Follow(Item(100), true, replaced_);
  former.Follow(Item(2), false, replaced_);
  former.EndFile(replaced_);
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(FormerVersionTest, RunsOfZerosTakePartButAreNoBases) {
  FormerVersion former = Of({Zeros(uint64_t{1} << 62), Item(1), Zeros(kMiB), Item(2)});
  former.Follow(Zeros(uint64_t{1} << 62), false, replaced_);
  former.Follow(Item(100), true, replaced_);
  former.Follow(Item(2), false, replaced_);
  EXPECT_THAT(Take(), ElementsAre(Ref(1)));
}

TEST_F(FormerVersionTest, OfAFileThatChangedWhollyTheOffsetsTell) {
  FormerVersion former = OfRange(0, 1000);
  for (uint32_t i = 0; i < 1000; ++i) {
    former.Follow(Item(5000 + i), true, replaced_);
    EXPECT_THAT(Take(), IsEmpty());
    if (i % 64 != 63) continue;
    former.EndFrame(replaced_);
    const std::vector<BlobRef> found = Take();
    // Those of the frame, and few beside it.
    std::vector<BlobRef> expected;
    for (uint32_t n = i - 63; n <= i; ++n) expected.push_back(Ref(n));
    EXPECT_THAT(found, IsSupersetOf(expected)) << i;
    EXPECT_LE(found.size(), 64 + 10U);
  }
}

TEST_F(FormerVersionTest, FindsItselfAgainAfterALongInsertion) {
  FormerVersion former = OfRange(0, 500);
  former.Follow(Item(0), false, replaced_);
  for (uint32_t i = 0; i < 600; ++i) {
    former.Follow(Item(5000 + i), true, replaced_);
    if (i % 64 == 63) former.EndFrame(replaced_);
  }
  former.Follow(Item(1), false, replaced_);
  Take();
  former.Follow(Item(9000), true, replaced_);
  former.Follow(Item(3), false, replaced_);
  EXPECT_THAT(Take(), ElementsAre(Ref(2)));
}

TEST_F(FormerVersionTest, OfALongDeletionOnlyTheEndsCount) {
  FormerVersion former = OfRange(0, 200);
  former.Follow(Item(0), false, replaced_);
  former.Follow(Item(5000), true, replaced_);
  former.Follow(Item(150), false, replaced_);
  const std::vector<BlobRef> found = Take();
  EXPECT_LE(found.size(), 12U);
  EXPECT_THAT(found, IsSupersetOf({Ref(1), Ref(149)}));
}

TEST_F(FormerVersionTest, OneThatCannotBeReadEndsEarly) {
  Content lost;
  lost.is_list = true;
  FormerVersion former(blobs_, lost);
  former.Follow(Item(1), true, replaced_);
  former.EndFrame(replaced_);
  former.EndFile(replaced_);
  EXPECT_THAT(Take(), IsEmpty());
}

}  // namespace
}  // namespace cairn::testing
