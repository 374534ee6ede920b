// SPDX-License-Identifier: Apache-2.0
// The table of a parity file as one would make it who can make checksums hold, and the order in
// which a parity file is made.
#include "core/store/parity_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "core/base/coding.h"
#include "core/store/parity.h"
#include "tests/store/store_data.h"
#include "tests/support/memory_object_store.h"

namespace cairn {
namespace {

using ::cairn::testing::kRepository;
using ::cairn::testing::kSession;
using ::cairn::testing::StatusIs;
using ::cairn::testing::TestPackInfo;
using ::testing::HasSubstr;

// Of one shard and one of parity, so that a copy is one block.
const PackInfo kTablePack = TestPackInfo(1);

// Both copies with this content.
Bytes Copies(const std::function<void(Bytes&)>& edit) {
  const ParityTable table{.repository = kRepository,
                          .name = kTablePack.name,
                          .pack_bytes = kTablePack.bytes,
                          .hash = kTablePack.hash,
                          .shards = {5},
                          .parity = {6}};
  Bytes copy = EncodeParityTable(table);
  copy.resize(copy.size() - kChecksumBytes);
  edit(copy);
  Encoder(copy).Fixed32(ShardChecksum(copy));
  Bytes copies = copy;
  Append(copies, copy);
  return copies;
}

StatusOr<DecodedParityTable> DecodeCopies(const Bytes& copies) {
  return DecodeParityTable(copies, kTablePack, kRepository);
}

TEST(ParityTableTest, ComesBack) {
  ASSERT_OK_AND_ASSIGN(const DecodedParityTable decoded, DecodeCopies(Copies([](Bytes&) {})));
  EXPECT_TRUE(decoded.whole);
  EXPECT_EQ(decoded.table.shards[0], 5U);
  EXPECT_EQ(decoded.table.parity[0], 6U);
}

TEST(ParityTableTest, RefusesAHeadThatIsNotOfThisPackOrThisVersion) {
  const auto with = [](size_t offset, uint8_t flip) {
    return DecodeCopies(Copies([&](Bytes& content) { content[offset] ^= flip; }));
  };
  EXPECT_THAT(with(0, 1), StatusIs(StatusCode::kDataLoss, HasSubstr("magic")));
  EXPECT_THAT(with(8, 3), StatusIs(StatusCode::kUnimplemented, HasSubstr("version 2")));
  EXPECT_THAT(with(12, 4), StatusIs(StatusCode::kUnimplemented, HasSubstr("flags 0x4")));
  for (const size_t offset : {16, 32, 48, 56}) {  // repository, name, size, hash
    EXPECT_THAT(with(offset, 1), StatusIs(StatusCode::kDataLoss, HasSubstr("another pack")));
  }
}

TEST(ParityTableTest, OneCopyOfTheHeadIsEnoughAndNoneIsNot) {
  const Bytes copies = Copies([](Bytes&) {});
  for (const size_t damaged : {size_t{20}, copies.size() / 2 + 20}) {
    Bytes bytes = copies;
    bytes[damaged] ^= 1;
    ASSERT_OK_AND_ASSIGN(const DecodedParityTable decoded, DecodeCopies(bytes));
    EXPECT_FALSE(decoded.whole);
  }
  Bytes both = copies;
  both[20] ^= 1;
  both[copies.size() / 2 + 20] ^= 1;
  EXPECT_THAT(DecodeCopies(both), StatusIs(StatusCode::kDataLoss, HasSubstr("in both copies")));
}

TEST(ParityTableTest, RefusesCopiesOfAnotherSize) {
  Bytes copies = Copies([](Bytes&) {});
  copies.resize(copies.size() - 2);
  EXPECT_THAT(DecodeCopies(copies), StatusIs(StatusCode::kDataLoss, HasSubstr("size")));
  EXPECT_THAT(DecodeCopies({}), StatusIs(StatusCode::kDataLoss, HasSubstr("size")));
}

class ParityWriterTest : public ::testing::Test {
 protected:
  std::unique_ptr<ParityWriter> Create() {
    auto writer =
        ParityWriter::Create(store_, kRepository, kSession, kTablePack.name, /*replace=*/false);
    EXPECT_OK(writer.status());
    return *std::move(writer);
  }
  // All of the pack appended.
  std::unique_ptr<ParityWriter> Whole() {
    auto writer = Create();
    EXPECT_OK(writer->Append(Bytes(kTablePack.bytes)));
    return writer;
  }

  testing::MemoryObjectStore store_;
};

TEST_F(ParityWriterTest, GoesFromAppendOverFinishToPlaceAndNoOtherWay) {
  const auto refused = StatusIs(StatusCode::kInternal, HasSubstr("its end"));
  const auto writer = Whole();
  EXPECT_THAT(Create()->Place(), refused);
  ASSERT_OK(writer->Finish(kTablePack));
  EXPECT_THAT(writer->Append(Bytes(1)), refused);
  EXPECT_THAT(writer->Finish(kTablePack), refused);
  ASSERT_OK(writer->Place());
  EXPECT_THAT(writer->Place(), refused);
  EXPECT_OK(store_.Size(ParityObjectName(kTablePack.name)).status());
}

TEST_F(ParityWriterTest, RefusesToBecomeTheParityOfAnotherPack) {
  PackInfo other = kTablePack;
  other.name = testing::Filled<PackName>(9);
  EXPECT_THAT(Whole()->Finish(other), StatusIs(StatusCode::kInternal, HasSubstr("another pack")));
  other = kTablePack;
  other.bytes += kShardBytes;
  const auto writer = Whole();
  EXPECT_THAT(writer->Finish(other), StatusIs(StatusCode::kInternal, HasSubstr("another pack")));
  EXPECT_THAT(writer->Place(), StatusIs(StatusCode::kInternal));
}

}  // namespace
}  // namespace cairn
