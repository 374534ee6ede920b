// SPDX-License-Identifier: Apache-2.0
// Packs as one would make them who can make their hashes hold, and the bounds of what a pack and a
// frame may be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "core/base/blake3.h"
#include "core/store/features.h"
#include "core/store/pack.h"
#include "tests/store/store_data.h"
#include "tests/support/memory_object_store.h"

namespace cairn {
namespace {

using ::cairn::testing::Filled;
using ::cairn::testing::kRepository;
using ::cairn::testing::kSession;
using ::cairn::testing::MemoryObjectStore;
using ::cairn::testing::SealOf;
using ::cairn::testing::StatusIs;
using ::cairn::testing::TestNoise;
using ::cairn::testing::TestText;
using ::cairn::testing::WritePack;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr size_t kFlagsOffset = 12;
constexpr size_t kContentOffset = 64;

class PackBoundsTest : public ::testing::Test {
 protected:
  PackInfo Write(const std::vector<SealedFrame>& frames) {
    auto info = WritePack(store_, frames, kRepository, kSession);
    EXPECT_OK(info.status());
    return *info;
  }
  // The footer of a pack with this header in place of its own, and a hash that holds.
  StatusOr<PackFooter> ReadWithHeader(PackInfo info, const std::function<void(Bytes&)>& edit) {
    const size_t footer_bytes =
        info.bytes - kPackTrailerBytes - kPackHeaderBytes - frame_.stored.size();
    store_.Damage(PackObjectName(info.name), [&](Bytes& bytes) {
      edit(bytes);
      info.content = bytes[kContentOffset];
      Blake3 hasher(keys_.pack_hash_key());
      hasher.Update(ByteSpan(bytes).first(kPackHeaderBytes));
      hasher.Update(ByteSpan(bytes).last(kPackTrailerBytes + footer_bytes).first(footer_bytes));
      info.hash = PackHash{hasher.Finish()};
      std::ranges::copy(info.hash.bytes, bytes.end() - PackHash::kBytes);
    });
    return ReadPackFooter(store_, keys_, info);
  }

  const RepositoryKeys keys_{kRepository};
  const SealedFrame frame_ = SealOf({TestText(500, 3)});
  MemoryObjectStore store_;
};

TEST_F(PackBoundsTest, AHeaderThatContradictsTheRestIsRefused) {
  const PackInfo info = Write({frame_});
  EXPECT_OK(ReadWithHeader(info, [](Bytes&) {}).status());
  EXPECT_THAT(
      ReadWithHeader(info, [](Bytes& bytes) { bytes[kFlagsOffset] = kFeatureSealed; }),
      StatusIs(StatusCode::kDataLoss, HasSubstr("is encrypted, though its repository is not")));
  EXPECT_THAT(ReadWithHeader(info,
                             [](Bytes& bytes) {
                               bytes[kFlagsOffset] = kFeatureDelta;
                               bytes[kContentOffset] = kPackHasChunks | kPackHasDeltas;
                             }),
              StatusIs(StatusCode::kDataLoss, HasSubstr("delta frames")));
}

TEST_F(PackBoundsTest, BytesOfNoFrameAreRefused) {
  PackInfo info = Write({frame_});
  constexpr size_t kMore = 5;
  store_.Damage(PackObjectName(info.name), [](Bytes& bytes) {
    bytes.insert(bytes.begin() + kPackHeaderBytes, kMore, uint8_t{0});
  });
  info.bytes += kMore;
  EXPECT_THAT(ReadPackFooter(store_, keys_, info),
              StatusIs(StatusCode::kDataLoss, HasSubstr("do not fill it")));
}

TEST_F(PackBoundsTest, ASizeThatNoPackHasIsRefusedBeforeAnythingIsRead) {
  PackInfo info = Write({frame_});
  store_.ResetCounts();
  constexpr uint64_t kLeastBytes = kPackHeaderBytes + kPackTrailerBytes;
  for (const uint64_t bytes : {uint64_t{0}, kLeastBytes - 1, kMaxPackBytes + 1, UINT64_MAX}) {
    info.bytes = bytes;
    EXPECT_THAT(ReadPackFooter(store_, keys_, info),
                StatusIs(StatusCode::kDataLoss, HasSubstr("size is out of bounds")))
        << bytes;
  }
  EXPECT_EQ(store_.reads(), 0U);
  store_.Damage(PackObjectName(info.name), [](Bytes& bytes) { bytes.resize(kLeastBytes - 1); });
  EXPECT_THAT(ReadPackHeader(store_, keys_, info.name),
              StatusIs(StatusCode::kDataLoss, HasSubstr("size is out of bounds")));
}

TEST_F(PackBoundsTest, AFrameOfMoreThanFourMebibytesIsNotRead) {
  const SealedFrame half = SealOf({TestNoise(kMaxFrameBytes / 2 + 1, 1)});
  const PackInfo info = Write({half, half});
  ASSERT_OK_AND_ASSIGN(const PackFooter footer, ReadPackFooter(store_, keys_, info));
  FrameInfo frame = footer.frames[0];
  frame.stored_bytes = kMaxFrameBytes;
  EXPECT_OK(ReadFrame(store_, keys_, info.name, 0, frame).status());
  ++frame.stored_bytes;
  EXPECT_THAT(ReadFrame(store_, keys_, info.name, 0, frame),
              StatusIs(StatusCode::kDataLoss, HasSubstr("larger than it may be")));
}

TEST_F(PackBoundsTest, AFooterThatNobodyCouldReadIsNotWritten) {
  ASSERT_OK_AND_ASSIGN(const auto writer,
                       PackWriter::Create(store_, keys_, kSession, kPackHasChunks));
  SealedFrame wrong = frame_;
  ++wrong.info.raw_bytes;  // which its blobs do not have
  ASSERT_OK(writer->Add(wrong).status());
  EXPECT_THAT(writer->Finish(), StatusIs(StatusCode::kInternal, HasSubstr("footer")));
  EXPECT_THAT(store_.List("packs"), testing::IsOkAndHolds(IsEmpty()));
}

// Takes whatever is written, and keeps nothing.
class BottomlessStore : public MemoryObjectStore {
 public:
  StatusOr<std::unique_ptr<ObjectWriter>> Create(const std::string&, const std::string&) override {
    class Sink : public ObjectWriter {
      Status Append(ByteSpan) override { return OkStatus(); }
      Status Drain() override { return OkStatus(); }
      Status Commit() override { return OkStatus(); }
    };
    return std::make_unique<Sink>();
  }
};

TEST_F(PackBoundsTest, AWriterStopsBeforeFourGibibytes) {
  BottomlessStore store;
  ASSERT_OK_AND_ASSIGN(const auto writer,
                       PackWriter::Create(store, keys_, kSession, kPackHasChunks));
  const SealedFrame largest = SealOf({TestNoise(kMaxFrameBytes, 1)});
  ASSERT_EQ(largest.stored.size(), kMaxFrameBytes);
  Status added;
  while (added.ok() && writer->bytes() <= kMaxPackBytes) added = writer->Add(largest).status();
  EXPECT_THAT(added, StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(writer->Finish(), StatusIs(StatusCode::kInternal));
}

TEST(PackFooterBoundsTest, FramesOfMoreThanFourGibibytesAreRefused) {
  PackFooter footer;
  const auto add = [&footer] {
    const auto number = static_cast<uint32_t>(footer.frames.size());
    FrameInfo frame;
    frame.stored_bytes = frame.raw_bytes = kMaxFrameBytes;
    frame.codec = FrameCodec::kRaw;
    footer.frames.push_back(frame);
    footer.blobs.push_back({.ref = {.kind = BlobKind::kChunk, .id = {}},
                            .frame = number,
                            .offset = 0,
                            .bytes = kMaxFrameBytes});
  };
  while ((footer.frames.size() + 1) * kMaxFrameBytes < kMaxPackBytes) add();
  EXPECT_OK(DecodePackFooter(EncodePackFooter(footer), 0).status());
  add();
  EXPECT_THAT(DecodePackFooter(EncodePackFooter(footer), 0),
              StatusIs(StatusCode::kDataLoss, HasSubstr("larger than a pack")));
}

}  // namespace
}  // namespace cairn
