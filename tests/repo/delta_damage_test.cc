// SPDX-License-Identifier: Apache-2.0
// Delta frames whose bases are not what a writer makes of them.
#include "tests/repo/hostile_repository.h"

namespace cairn::testing {
namespace {

using ::testing::HasSubstr;

TEST(DeltaDamageTest, AFrameWhoseBaseIsNowhereSaysSo) {
  TestRepository test;
  const TestBlob base = test.Chunk(1, kBigChunk);
  const TestBlob variant = test.Variant(base, 1);
  test.AddDeltaPack({variant}, {base});
  EXPECT_THAT(test.Open()->ReadBlob(variant.ref),
              StatusIs(StatusCode::kNotFound, HasSubstr("is in no plain frame")));
}

// The frame is sound, but the blob in it is not the one that its pack says.
TEST(DeltaDamageTest, ABaseThatIsWrongInOnePlaceIsTakenFromAnother) {
  TestRepository test;
  const TestBlob base = test.Chunk(1, kBigChunk);
  const TestBlob variant = test.Variant(base, 1);
  test.AddPack({{{base.ref, test.Chunk(2, kBigChunk).bytes}}});
  test.AddDeltaPack({variant}, {base});
  EXPECT_THAT(test.Open()->ReadBlob(variant.ref), StatusIs(StatusCode::kDataLoss));
  test.AddPack({{base}});
  EXPECT_EQ(Must(test.Open()->ReadBlob(variant.ref)), variant.bytes);
}

// What a reader would have to hold is bounded. The frame itself needs the last base only, and would
// decode with all of them.
TEST(DeltaDamageTest, MoreBasesThanAFrameMayRestOnAreNotRead) {
  HostileRepository test;
  const TestBlob base = test.Chunk(1, kBigChunk);
  const TestBlob variant = test.Variant(base, 1);
  const TestBlob large = test.Chunk(2, kMaxBlobBytes);
  test.AddPack({{base}});
  test.AddPack({{large}});
  FramePrefix prefix{{BaseIdOf(large.ref.id), BaseIdOf(base.ref.id)}, base.bytes};
  RawFrame frame;
  frame.Add(variant.ref, variant.bytes);
  RecordEntries entries;
  {
    const auto writer =
        Must(PackWriter::Create(test.repository().store(), test.repository().keys(),
                                RandomId<SessionId>(), kPackHasChunks | kPackHasDeltas));
    FrameCodecContext codec(3);
    Must(writer->Add(Must(codec.SealDelta(frame, prefix, 1))));
    entries.packs = {Must(writer->Finish())};
    MustBeOk(test.repository().store().SyncNames());
  }
  test.Append(entries);
  EXPECT_THAT(test.Open()->ReadBlob(variant.ref),
              StatusIs(StatusCode::kDataLoss, HasSubstr("longer than they may be")));
  MustBeOk(test.repository().Refresh().status());
  EXPECT_THAT(test.Findings(), HasSubstr("longer than they may be"));
}

}  // namespace
}  // namespace cairn::testing
