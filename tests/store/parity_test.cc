// SPDX-License-Identifier: Apache-2.0
#include "core/store/parity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <tuple>

#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "core/store/pack_mend.h"
#include "tests/store/store_data.h"
#include "tests/support/memory_object_store.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::cairn::testing::kRepository;
using ::cairn::testing::kSession;
using ::testing::HasSubstr;
using testing::TestNoise;

TEST(ReedSolomonTest, ChecksumIsCrc32c) {
  EXPECT_EQ(ShardChecksum(AsBytes("123456789")), 0xE3069283U);
}

TEST(ReedSolomonTest, AsManyLostShardsAsRowsAreSolved) {
  constexpr uint32_t kRows = 5;
  std::vector<Bytes> shards(kGroupColumns, Bytes(kShardBytes));
  for (Bytes& shard : shards) FillRandom(shard);
  std::vector<ParityRemainder> parity;
  for (uint32_t row = 0; row < kRows; ++row) parity.push_back({row, Bytes(kShardBytes)});
  std::vector<uint8_t*> rows;
  for (ParityRemainder& row : parity) rows.push_back(row.bytes.data());
  for (uint32_t i = 0; i < kGroupColumns; ++i) AddToParity(i, shards[i], rows);

  // The same at once.
  std::vector<uint32_t> columns;
  std::vector<const uint8_t*> data;
  std::vector<Bytes> at_once(kRows, Bytes(kShardBytes));
  std::vector<uint8_t*> out;
  for (uint32_t i = 0; i < kGroupColumns; ++i) {
    columns.push_back(i);
    data.push_back(shards[i].data());
  }
  for (Bytes& row : at_once) out.push_back(row.data());
  EncodeParity(columns, data, out);
  for (uint32_t row = 0; row < kRows; ++row) EXPECT_EQ(at_once[row], parity[row].bytes);

  const std::vector<uint32_t> lost = {0, 1, 64, 127};
  parity.erase(parity.begin() + 2);  // any rows will do
  for (uint32_t i = 0; i < kGroupColumns; ++i) {
    if (std::ranges::count(lost, i) > 0) continue;
    for (ParityRemainder& row : parity) AddToParityRow(row.number, i, shards[i], row.bytes);
  }
  const std::vector<Bytes> solved = SolveLostShards(lost, parity);
  ASSERT_EQ(solved.size(), lost.size());
  for (size_t i = 0; i < lost.size(); ++i) EXPECT_EQ(solved[i], shards[lost[i]]);
}

TEST(ParityLayoutTest, ColumnsOfOneGroupDiffer) {
  for (const uint32_t shards : {1U, 2U, 128U, 129U, 512U, 513U, 8200U, kWindowShards}) {
    const ParityWindow window = MakeParityWindow(shards, true);
    std::set<std::pair<uint32_t, uint32_t>> seen;
    for (uint32_t i = 0; i < shards; ++i) {
      EXPECT_TRUE(seen.emplace(i % window.groups, ParityColumn(i)).second) << shards << " " << i;
    }
  }
}

TEST(ParityLayoutTest, ABurstOf64KiBIsCoveredFromHalfAMebibyteOn) {
  for (uint32_t shards = 1; shards <= kWindowShards; ++shards) {
    const ParityWindow window = MakeParityWindow(shards, true);
    EXPECT_LE(window.rows, kMaxParityRows) << shards;
    EXPECT_GE(window.rows, 1U) << shards;
    if (shards > 128) {
      EXPECT_GE(window.parity_shards(), kBurstShards) << shards;
    }
    if (shards > 2048) {
      EXPECT_LE(window.parity_shards() * 32, shards + 32) << shards;
    }
    EXPECT_GE(MakeParityWindow(shards, false).parity_shards(), std::min(shards, kBurstShards));
  }
}

TEST(ParityLayoutTest, APackOf32MiBTakesAThirtiethMore) {
  const ParityLayout layout(32 * kMiB + 200 * kKiB);
  EXPECT_LT(layout.file_bytes() * 1000, layout.pack_bytes * 34);
}

// A pack on a disk, with its parity; damaged and mended.
class PackMenderTest : public ::testing::Test {
 protected:
  // Of about `bytes`, in frames of several sizes.
  void MakePack(size_t bytes, uint64_t seed = 1) {
    const uint8_t content = kPackHasChunks | kPackHasParity;
    ASSERT_OK_AND_ASSIGN(
        auto writer, PackWriter::Create(*store_, RepositoryKeys(kRepository), kSession, content));
    for (size_t written = 0; written < bytes;) {
      const size_t size = std::min<size_t>(bytes - written, 1 + (seed * 7919 + written) % 900'000);
      ASSERT_OK(writer->Add(testing::SealOf({TestNoise(size, seed + written)})).status());
      written += size;
    }
    ASSERT_OK_AND_ASSIGN(pack_, writer->Finish());
    const auto parity = writer->TakeParity();
    ASSERT_NE(parity, nullptr);
    ASSERT_OK(parity->Place());
    ASSERT_OK(store_->SyncNames());
    whole_ = Content(PackObjectName(pack_.name));
    parity_ = Content(ParityObjectName(pack_.name));
  }

  Bytes Content(const std::string& name) {
    const StatusOr<Bytes> bytes = store_->ReadAll(name, 1 * kGiB);
    EXPECT_OK(bytes.status());
    return bytes.ok() ? *bytes : Bytes();
  }

  void Damage(const std::function<void(Bytes&)>& edit) {
    ASSERT_OK(fs_.Damage(PackObjectName(pack_.name), edit));
  }
  void DamageParity(const std::function<void(Bytes&)>& edit) {
    ASSERT_OK(fs_.Damage(ParityObjectName(pack_.name), edit));
  }
  void Zero(uint64_t offset, uint64_t size) {
    Damage([&](Bytes& bytes) {
      const uint64_t end = std::min<uint64_t>(bytes.size(), offset + size);
      std::fill(bytes.begin() + static_cast<ptrdiff_t>(offset),
                bytes.begin() + static_cast<ptrdiff_t>(end), uint8_t{0});
    });
  }
  void ResetPack() {
    Damage([&](Bytes& bytes) { bytes = whole_; });
  }

  PackMender Mender() {
    return PackMender(*store_, RepositoryKeys(kRepository), kSession, nullptr);
  }

  void ExpectMended(const std::string& what) {
    PackMender mender = Mender();
    EXPECT_FALSE(mender.Verify(pack_).ok()) << what;
    const StatusOr<PackMender::Patches> patches = mender.Solve(pack_);
    ASSERT_OK(patches.status()) << what;
    ASSERT_OK(mender.Mend(pack_, *patches)) << what;
    EXPECT_EQ(Content(PackObjectName(pack_.name)), whole_) << what;
    EXPECT_OK(mender.Verify(pack_)) << what;
  }
  void ExpectNotMended(const std::string& what) {
    const Bytes before = Content(PackObjectName(pack_.name));
    EXPECT_FALSE(Mender().Solve(pack_).ok()) << what;
    EXPECT_EQ(Content(PackObjectName(pack_.name)), before) << what;
  }

  MemoryFileSystem fs_;
  std::unique_ptr<ObjectStore> store_ = NewLocalObjectStore(fs_);
  PackInfo pack_;
  Bytes whole_;
  Bytes parity_;
};

TEST_F(PackMenderTest, ASectorAnywhereIsMended) {
  for (const size_t bytes : {1'000UL, 5'000UL, 30'000UL, 300'000UL, 3'000'000UL}) {
    MakePack(bytes);
    const size_t sectors = (whole_.size() + kShardBytes - 1) / kShardBytes;
    for (size_t i = 0; i < sectors; i += std::max<size_t>(1, sectors / 40)) {
      Zero(i * kShardBytes, kShardBytes);
      ExpectMended(std::to_string(bytes) + " sector " + std::to_string(i));
    }
    Zero((sectors - 1) * kShardBytes, kShardBytes);
    ExpectMended("last sector");
  }
}

TEST_F(PackMenderTest, AFlippedBitAnywhereIsMended) {
  MakePack(100'000);
  for (size_t at = 0; at < whole_.size(); at += 1 + at % 997) {
    Damage([&](Bytes& bytes) { bytes[at] ^= 0x40; });
    ExpectMended("bit at " + std::to_string(at));
  }
  Damage([&](Bytes& bytes) { bytes.back() ^= 1; });
  ExpectMended("last bit");
}

TEST_F(PackMenderTest, ABurstOf64KiBAnywhereIsMended) {
  for (const size_t bytes : {600'000UL, 2'200'000UL, 9'000'000UL}) {
    MakePack(bytes);
    const size_t step = std::max<size_t>(4096, whole_.size() / 25) + 1;
    for (size_t at = 0; at < whole_.size(); at += step) {
      Zero(at, 64 * kKiB);
      ExpectMended(std::to_string(bytes) + " burst at " + std::to_string(at));
    }
    Zero(whole_.size() - 64 * kKiB, 64 * kKiB);
    ExpectMended("burst at the end");
  }
}

TEST_F(PackMenderTest, ABurstOverTheBorderOfTwoWindowsIsMended) {
  MakePack(size_t{kWindowShards} * kShardBytes + 20'000);
  ASSERT_EQ(ParityLayout(pack_.bytes).windows.size(), 2U);
  Zero(uint64_t{kWindowShards} * kShardBytes - 30'000, 64 * kKiB);
  ExpectMended("border");
}

TEST_F(PackMenderTest, WhatIsCutOffOrAppendedIsMended) {
  MakePack(800'000);
  for (const size_t cut : {1UL, 63UL, 4'096UL, 50'000UL}) {
    Damage([&](Bytes& bytes) { bytes.resize(bytes.size() - cut); });
    ExpectMended("cut by " + std::to_string(cut));
  }
  Damage([](Bytes& bytes) { bytes.resize(bytes.size() + 5000, 7); });
  ExpectMended("appended");
}

// A disk that refuses a sector refuses every read that touches it.
class StoreWithABadSector : public testing::MemoryObjectStore {
 public:
  StatusOr<size_t> ReadAt(const std::string& name, uint64_t offset, MutableByteSpan out) override {
    if (name == bad_object && offset < bad_offset + kShardBytes &&
        bad_offset < offset + out.size()) {
      return Unavailable("bad sector");
    }
    return MemoryObjectStore::ReadAt(name, offset, out);
  }

  std::string bad_object;
  uint64_t bad_offset = 0;
};

TEST_F(PackMenderTest, ASectorThatTheDiskRefusesIsMended) {
  auto store = std::make_unique<StoreWithABadSector>();
  StoreWithABadSector& bad = *store;
  store_ = std::move(store);
  MakePack(800'000);
  bad.bad_object = PackObjectName(pack_.name);
  for (const uint64_t sector : {uint64_t{0}, uint64_t{40}, whole_.size() / kShardBytes}) {
    bad.bad_offset = sector * kShardBytes;
    EXPECT_FALSE(Mender().Verify(pack_).ok());
    ASSERT_OK_AND_ASSIGN(const PackMender::Patches patches, Mender().Solve(pack_));
    EXPECT_EQ(patches.size(), 1U);
    ASSERT_OK(Mender().Mend(pack_, patches));
    bad.bad_offset = whole_.size() + kShardBytes;
    EXPECT_EQ(Content(PackObjectName(pack_.name)), whole_);
  }
}

// A disk whose reads of one object are not all alike.
class FickleStore : public testing::MemoryObjectStore {
 public:
  StatusOr<size_t> ReadAt(const std::string& name, uint64_t offset, MutableByteSpan out) override {
    ASSIGN_OR_RETURN(const size_t got, MemoryObjectStore::ReadAt(name, offset, out));
    if (name != object) return got;
    return ++reads >= fickle_from ? on_read(out.first(got)) : got;
  }

  std::string object;
  size_t reads = 0;
  size_t fickle_from = SIZE_MAX;
  std::function<size_t(MutableByteSpan out)> on_read;
};

TEST_F(PackMenderTest, APackThatShrinksWhileItIsReadIsNotTakenForWhole) {
  auto store = std::make_unique<FickleStore>();
  FickleStore& fickle = *store;
  store_ = std::move(store);
  MakePack(3'000);
  fickle.object = PackObjectName(pack_.name);
  fickle.on_read = [](MutableByteSpan) { return size_t{0}; };
  ASSERT_OK(Mender().Verify(pack_));
  const size_t reads = fickle.reads;
  ASSERT_GT(reads, 3U);
  for (size_t from = 1; from <= reads; ++from) {
    fickle.reads = 0;
    fickle.fickle_from = from;
    EXPECT_THAT(Mender().Verify(pack_), testing::StatusIs(StatusCode::kDataLoss)) << from;
  }
}

TEST_F(PackMenderTest, APackThatReadsOtherwiseWhileItIsSolvedIsNotMended) {
  auto store = std::make_unique<FickleStore>();
  FickleStore& fickle = *store;
  store_ = std::move(store);
  MakePack(100'000);
  fickle.object = PackObjectName(pack_.name);
  fickle.Damage(fickle.object, [](Bytes& bytes) { bytes[10'000] ^= 1; });
  ASSERT_OK(Mender().Solve(pack_).status());
  fickle.on_read = [](MutableByteSpan out) {
    out[0] ^= 1;
    return out.size();
  };
  fickle.reads = 0;
  fickle.fickle_from = 2;  // the first finds what is lost
  EXPECT_THAT(Mender().Solve(pack_).status(),
              testing::StatusIs(StatusCode::kDataLoss, HasSubstr("than a moment ago")));
}

TEST_F(PackMenderTest, ASizeThatNoPackHasIsRefusedBeforeAnythingIsRead) {
  PackInfo info = testing::TestPackInfo(1);
  EXPECT_THAT(Mender().Solve(info).status(), testing::StatusIs(StatusCode::kNotFound));
  for (const uint64_t bytes :
       {uint64_t{0}, kPackHeaderBytes + kPackTrailerBytes - 1, kMaxPackBytes + 1}) {
    info.bytes = bytes;
    EXPECT_THAT(Mender().Solve(info).status(),
                testing::StatusIs(StatusCode::kDataLoss, HasSubstr("out of bounds")))
        << bytes;
  }
}

TEST_F(PackMenderTest, MoreThanParityMendsIsLeftAsItIs) {
  MakePack(800'000);
  Zero(100'000, 200'000);
  ExpectNotMended("a quarter");
  // It stops where it has seen that, and does not gather what it cannot solve.
  EXPECT_THAT(Mender().Solve(pack_).status(),
              testing::StatusIs(StatusCode::kDataLoss, HasSubstr("more of it is lost")));
  ResetPack();
  const ParityWindow window = ParityLayout(pack_.bytes).windows[0];
  for (uint32_t i = 0; i <= window.rows; ++i) {
    Zero(uint64_t{i} * window.groups * kShardBytes, kShardBytes);
  }
  EXPECT_THAT(Mender().Solve(pack_).status(),
              testing::StatusIs(StatusCode::kDataLoss, HasSubstr("10 shards of 4 KiB are lost")));
  ResetPack();
  ASSERT_OK(fs_.Unlink(PackObjectName(pack_.name)));
  store_ = NewLocalObjectStore(fs_);  // that one has it open
  EXPECT_FALSE(Mender().Solve(pack_).ok());
}

TEST_F(PackMenderTest, ParityMayBeDamagedToo) {
  MakePack(800'000);
  const ParityLayout layout(pack_.bytes);
  // One copy of the table, and some parity.
  DamageParity([&](Bytes& bytes) {
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(layout.parity_bytes()), layout.table_bytes(),
                uint8_t{0});
    std::fill_n(bytes.begin(), 2 * kShardBytes, uint8_t{0xff});
  });
  EXPECT_FALSE(Mender().VerifyParity(pack_).ok());
  for (const size_t at : {0UL, 8'192UL, 123'456UL, 700'000UL}) {
    Zero(at, 6 * kShardBytes);
    ExpectMended("at " + std::to_string(at));
  }
}

TEST_F(PackMenderTest, WithoutParityOrWithThatOfAnotherPackNothingIsMended) {
  MakePack(50'000, 1);
  const Bytes other = parity_;
  MakePack(50'000, 2);
  DamageParity([&](Bytes& bytes) { bytes = other; });
  Zero(10'000, 10);
  EXPECT_THAT(Mender().Solve(pack_).status().ToString(), HasSubstr("another pack"));
  ASSERT_OK(fs_.Unlink(ParityObjectName(pack_.name)));
  ExpectNotMended("no parity");
}

TEST_F(PackMenderTest, EveryDamageOfParityIsFound) {
  MakePack(60'000);
  for (size_t at = 0; at < parity_.size(); at += 61) {
    DamageParity([&](Bytes& bytes) { bytes[at] ^= 1; });
    EXPECT_FALSE(Mender().VerifyParity(pack_).ok()) << at;
    DamageParity([&](Bytes& bytes) { bytes = parity_; });
  }
  EXPECT_OK(Mender().VerifyParity(pack_));
  DamageParity([](Bytes& bytes) { bytes.pop_back(); });
  EXPECT_FALSE(Mender().VerifyParity(pack_).ok());
}

TEST_F(PackMenderTest, ParityMadeAnewIsWhatTheWriterMade) {
  for (const size_t bytes : {1'000UL, 700'000UL, 5'000'000UL}) {
    MakePack(bytes);
    ASSERT_OK(fs_.Unlink(ParityObjectName(pack_.name)));
    EXPECT_EQ(Mender().VerifyParity(pack_).code(), StatusCode::kNotFound);
    ASSERT_OK(Mender().MakeParity(pack_));
    EXPECT_EQ(Content(ParityObjectName(pack_.name)), parity_);
    EXPECT_EQ(parity_.size(), ParityLayout(pack_.bytes).file_bytes());
  }
}

TEST_F(PackMenderTest, ParityOfADamagedPackIsNotMade) {
  MakePack(60'000);
  Zero(30'000, 1'000);
  EXPECT_FALSE(Mender().MakeParity(pack_).ok());
  EXPECT_EQ(Content(ParityObjectName(pack_.name)), parity_);
}

}  // namespace
}  // namespace cairn
