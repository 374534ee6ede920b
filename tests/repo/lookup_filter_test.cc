// SPDX-License-Identifier: Apache-2.0
#include "core/repo/lookup_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/blake3.h"
#include "core/index/memory_index.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

class BrokenIndex : public Index {
 public:
  StatusOr<std::unique_ptr<IndexReader>> Read() override { return DataLoss("broken"); }
  StatusOr<std::unique_ptr<IndexWriter>> Write() override { return DataLoss("broken"); }
  StatusOr<uint64_t> StoredBytes() override { return 0; }
};

template <typename Id>
Id NumberedId(uint64_t number) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(&number);
  const Hash256 hash = Blake3Hash(ByteSpan(bytes, sizeof(number)));
  return Id::From(ByteSpan(hash).first(Id::kBytes));
}

class LookupFilterTest : public ::testing::Test {
 protected:
  // Blobs `first` to `first` + `count` - 1 come into the index, in a pack of their own.
  Repository::KnownFooters Add(uint64_t first, uint64_t count) {
    constexpr uint32_t kBlobBytes = 100;
    PackFooter footer;
    footer.frames.emplace_back().raw_bytes = static_cast<uint32_t>(count * kBlobBytes);
    for (uint32_t i = 0; i < count; ++i) {
      footer.blobs.push_back({.ref = {BlobKind::kChunk, NumberedId<BlobId>(first + i)},
                              .frame = 0,
                              .offset = i * kBlobBytes,
                              .bytes = kBlobBytes});
    }
    PackInfo info;
    info.name = NumberedId<PackName>(first);
    auto writer = index_->Write();
    EXPECT_OK(writer);
    EXPECT_OK((*writer)->AddPack(info, PackState::kLive, footer.frames, footer.blobs));
    EXPECT_OK((*writer)->Commit());
    return {{info.name, std::move(footer)}};
  }
  void Follow(const Repository::KnownFooters& named = {}) {
    EXPECT_OK(filter_.Follow(*index_, named));
  }
  void Miss(int times) {
    for (int i = 0; i < times; ++i) filter_.CountMiss();
  }
  bool MayHave(uint64_t number) { return filter_.MayHave(NumberedId<BlobId>(number)); }
  bool HasAny(uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; ++i) {
      if (MayHave(i)) return true;
    }
    return false;
  }
  bool HasAll(uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; ++i) {
      if (!MayHave(i)) return false;
    }
    return true;
  }

  const std::unique_ptr<Index> index_ = NewMemoryIndex();
  LookupFilter filter_;
};

TEST_F(LookupFilterTest, KnowsNothingAtFirst) { EXPECT_TRUE(HasAll(0, 100)); }

TEST_F(LookupFilterTest, KnowsAnEmptyIndexAtOnceAndWhatTheWriterAddsToIt) {
  Follow();
  EXPECT_FALSE(HasAny(0, 200));
  Follow(Add(0, 100));
  Follow(Add(100, 50));
  EXPECT_TRUE(HasAll(0, 150));
  EXPECT_FALSE(HasAny(150, 50));
}

TEST_F(LookupFilterTest, LooksThroughTheIndexOnlyAfterManyMisses) {
  Add(0, 800);
  Miss(99);
  Follow();
  EXPECT_TRUE(HasAll(800, 100));
  Miss(1);
  Follow();
  EXPECT_TRUE(HasAll(0, 800));
  EXPECT_FALSE(HasAny(800, 100));
}

TEST_F(LookupFilterTest, NoticesWhatOthersHaveAdded) {
  Follow();
  Follow(Add(0, 800));
  Add(5000, 1);
  Follow();
  EXPECT_TRUE(HasAll(800, 100)) << "not worth another walk through the index yet";
  EXPECT_TRUE(MayHave(5000));
  Miss(101);
  Follow();
  EXPECT_TRUE(HasAll(0, 800));
  EXPECT_TRUE(MayHave(5000));
  EXPECT_FALSE(HasAny(800, 100));
}

TEST_F(LookupFilterTest, DeniesNothingAfterAnError) {
  Follow();
  EXPECT_FALSE(HasAny(0, 100));
  BrokenIndex broken;
  EXPECT_THAT(filter_.Follow(broken, {}), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_TRUE(HasAll(0, 100));
}

}  // namespace
}  // namespace cairn::testing
