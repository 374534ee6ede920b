// SPDX-License-Identifier: Apache-2.0
#include "core/index/lmdb_index.h"

#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/index/index_row.h"
#include "core/index/lmdb.h"
#include "core/index/lmdb_rows.h"
#include "core/index/stop_gate.h"
#include "tests/index/index_data.h"
#include "tests/index/lmdb_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Lt;
using ::testing::Optional;
using ::testing::SizeIs;

namespace stdfs = std::filesystem;

TEST_F(LmdbIndexTest, IsThereAgainWhenOpenedAgain) {
  const TestPack pack = MakePack(1, 100);
  {
    const auto index = Open();
    ASSERT_OK(AddPack(*index, pack));
    ASSERT_OK(SetHead(*index, 5));
  }
  const auto index = Open();
  EXPECT_THAT(HeadNumber(*index), IsOkAndHolds(5));
  EXPECT_THAT(CountPlaces(*index, pack.blobs[7].ref), IsOkAndHolds(1));
  ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
  EXPECT_THAT(reader->FindBlob(pack.blobs[70].ref),
              IsOkAndHolds(ElementsAre(PlaceIn(pack, 1, 70))));
}

TEST_F(LmdbIndexTest, IsSharedByAllWhoOpenItInOneProcess) {
  const auto one = Open();
  auto other = Open();
  ASSERT_OK(SetHead(*one, 3));
  EXPECT_THAT(HeadNumber(*other), IsOkAndHolds(3));
  other.reset();
  ASSERT_OK(SetHead(*one, 4));
  EXPECT_THAT(HeadNumber(*one), IsOkAndHolds(4));
}

TEST_F(LmdbIndexTest, CanBeOpenedAndClosedByManyThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int round = 0; round < 20; ++round) {
        const auto index = Open();
        ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
        ASSERT_OK_AND_ASSIGN(const IndexHead head, writer->Head());
        ASSERT_OK(writer->SetHead({head.number + 1, {}}));
        ASSERT_OK(writer->Commit());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(HeadNumber(*Open()), IsOkAndHolds(80));
}

TEST_F(LmdbIndexTest, SaysHowLargeItIs) {
  const auto index = Open();
  ASSERT_OK(AddPack(*index, MakePack(1, 10'000)));
  EXPECT_THAT(index->StoredBytes(), IsOkAndHolds(Gt(500'000)));
}

TEST_F(LmdbIndexTest, GrowsItsMapForTheWriterAfterOneThatDidNotFit) {
  options_.map_bytes = kMiB;
  const auto index = Open();
  ASSERT_OK(SetHead(*index, 1));
  const TestPack pack = MakePack(1, 20'000);
  EXPECT_THAT(AddPack(*index, pack), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(HeadNumber(*index), IsOkAndHolds(1));
  EXPECT_THAT(CountPlaces(*index, pack.blobs[0].ref), IsOkAndHolds(0));
  Status status;
  for (int i = 0; i < 5 && !(status = AddPack(*index, pack)).ok(); ++i) {
    EXPECT_THAT(status, StatusIs(StatusCode::kResourceExhausted));
  }
  EXPECT_OK(status);
  EXPECT_THAT(CountPlaces(*index, pack.blobs[0].ref), IsOkAndHolds(1));
  EXPECT_THAT(HeadNumber(*index), IsOkAndHolds(1));
}

TEST_F(LmdbIndexTest, OpensAnIndexThatIsLargerThanItsMap) {
  const TestPack pack = MakePack(1, 20'000);
  ASSERT_OK(AddPack(*Open(), pack));
  options_.map_bytes = kMiB;
  EXPECT_THAT(CountPlaces(*Open(), pack.blobs[0].ref), IsOkAndHolds(1));
}

TEST_F(LmdbIndexTest, GoesOnWithTheOldFileWhenItsDirectoryIsDeleted) {
  const auto index = Open();
  const TestPack pack = MakePack(1, 10);
  ASSERT_OK(AddPack(*index, pack));
  stdfs::remove_all(options_.directory);
  EXPECT_THAT(CountPlaces(*index, pack.blobs[0].ref), IsOkAndHolds(1));
  const TestPack more = MakePack(2, 10'000);
  EXPECT_OK(AddPack(*index, more));
  EXPECT_THAT(CountPlaces(*index, more.blobs[0].ref), IsOkAndHolds(1));

  const auto fresh = Open();
  EXPECT_THAT(CountPlaces(*fresh, pack.blobs[0].ref), IsOkAndHolds(0));
  EXPECT_OK(SetHead(*fresh, 9));
  EXPECT_THAT(HeadNumber(*index), IsOkAndHolds(0));
  EXPECT_THAT(HeadNumber(*fresh), IsOkAndHolds(9));
}

TEST_F(LmdbIndexTest, IsEmptyAfterItWasDeleted) {
  const auto old = Open();
  ASSERT_OK(SetHead(*old, 3));
  EXPECT_OK(DeleteLmdbIndex(options_.directory));
  EXPECT_FALSE(stdfs::exists(environment()));
  EXPECT_THAT(HeadNumber(*Open()), IsOkAndHolds(0));
  EXPECT_THAT(HeadNumber(*old), IsOkAndHolds(3));
  EXPECT_OK(DeleteLmdbIndex(options_.directory));
}

TEST_F(LmdbIndexTest, MakesAnewTheIndexOfAnotherRepository) {
  ASSERT_OK(SetHead(*Open(), 3));
  options_.repository = TestId<RepositoryId>(2);
  EXPECT_THAT(HeadNumber(*Open()), IsOkAndHolds(0));
}

TEST_F(LmdbIndexTest, MakesAnewAFileThatIsNoIndex) {
  ASSERT_OK(SetHead(*Open(), 3));
  std::ofstream(environment() + "/data.mdb") << std::string(100'000, 'x');
  const auto index = Open();
  EXPECT_THAT(HeadNumber(*index), IsOkAndHolds(0));
  EXPECT_OK(SetHead(*index, 4));
}

TEST_F(LmdbIndexTest, MakesAnewAnIndexWhoseOwnRowIsDamaged) {
  ASSERT_OK(SetHead(*Open(), 3));
  {
    ASSERT_OK_AND_ASSIGN(auto env, lmdb::Env::Open(environment(), kGiB, kTableSpecs));
    ASSERT_OK_AND_ASSIGN(auto txn, env->BeginWrite(kPatience));
    ASSERT_OK(txn->Put(IdOf(IndexTable::kMeta), AsBytes(kRepositoryRow), AsBytes("damaged")));
    ASSERT_OK(txn->Commit());
  }
  EXPECT_THAT(HeadNumber(*Open()), IsOkAndHolds(0));
}

TEST_F(LmdbIndexTest, OpensAFileOfNoBytes) {
  stdfs::create_directories(environment());
  for (const char* file : {"/data.mdb", "/lock.mdb"}) {
    std::ofstream(environment() + file).flush();
  }
  ASSERT_OK_AND_ASSIGN(const auto env, lmdb::Env::Open(environment(), kGiB, kTableSpecs));
  EXPECT_OK(env->BeginWrite(kPatience));
}

// With a new one, it would be data without those who have it open, or locks of other data.
TEST_F(LmdbIndexTest, TakesNoFileThatHasLostTheOther) {
  for (const char* file : {"/data.mdb", "/lock.mdb"}) {
    ASSERT_OK(SetHead(*Open(), 3));
    stdfs::remove(environment() + file);
    EXPECT_THAT(lmdb::Env::Open(environment(), kGiB, kTableSpecs), StatusIs(StatusCode::kDataLoss))
        << file;
    EXPECT_FALSE(stdfs::exists(environment() + file));
    EXPECT_THAT(HeadNumber(*Open()), IsOkAndHolds(0)) << file;
  }
}

TEST_F(LmdbIndexTest, ACopyHasBothFiles) {
  ASSERT_OK(SetHead(*Open(), 3));
  const std::string copy = options_.directory + "/copy";
  stdfs::create_directories(copy);
  ASSERT_OK_AND_ASSIGN(const auto env, lmdb::Env::Open(environment(), kGiB, kTableSpecs));
  ASSERT_OK(env->CopyCompact(copy));
  EXPECT_OK(lmdb::Env::Open(copy, kGiB, kTableSpecs));
}

TEST_F(LmdbIndexTest, RemovesWhatACrashLeft) {
  ASSERT_OK(SetHead(*Open(), 3));
  stdfs::create_directories(options_.directory + "/discarded-01234567/sub");
  std::ofstream(options_.directory + "/new-01234567") << "x";
  EXPECT_THAT(HeadNumber(*Open()), IsOkAndHolds(3));
  std::vector<std::string> names;
  for (const auto& entry : stdfs::directory_iterator(options_.directory)) {
    names.push_back(entry.path().filename());
  }
  EXPECT_THAT(names, ElementsAre("index-2"));
}

// Damaged rows

class LmdbIndexDamageTest : public LmdbIndexTest {
 protected:
  void SetUp() override {
    const auto index = Open();
    ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
    ASSERT_OK(writer->AddPack(pack_.info, PackState::kLive, pack_.frames, pack_.blobs));
    ASSERT_OK(writer->PutSnapshot(snapshot_));
    ASSERT_OK(writer->PutNote(AsBytes("note"), AsBytes("value")));
    ASSERT_OK(writer->PutNote(AsBytes("sound"), AsBytes("value")));
    ASSERT_OK(writer->SetHead({1, {}}));
    ASSERT_OK(writer->Commit());
  }

  // Turns around one bit of the row, behind the index's back.
  void Damage(IndexTable table, ByteSpan key) {
    ASSERT_OK_AND_ASSIGN(auto env, lmdb::Env::Open(environment(), kGiB, kTableSpecs));
    ASSERT_OK_AND_ASSIGN(auto txn, env->BeginWrite(kPatience));
    ASSERT_OK_AND_ASSIGN(const auto row, txn->Get(IdOf(table), key));
    ASSERT_TRUE(row.has_value());
    Bytes damaged(row->begin(), row->end());
    damaged[damaged.size() / 2] ^= 1;
    ASSERT_OK(txn->Delete(IdOf(table), key));
    ASSERT_OK(txn->Put(IdOf(table), key, damaged));
    ASSERT_OK(txn->Commit());
  }

  const TestPack pack_ = MakePack(1, 100);
  const IndexSnapshot snapshot_ = MakeSnapshot(1, 1);
};

const auto kDamaged = StatusIs(StatusCode::kDataLoss, HasSubstr("index row damaged"));

TEST_F(LmdbIndexDamageTest, FindsADamagedPlace) {
  const BlobRef ref = pack_.blobs[3].ref;
  Damage(IndexTable::kBlobs, ref.id.span());
  const auto index = Open();
  ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
  EXPECT_THAT(reader->FindBlob(ref), kDamaged);
  EXPECT_THAT(reader->FindBlob(pack_.blobs[4].ref), IsOk());
  EXPECT_THAT(reader->ForEachBlob([](const BlobRef&, const Place&) { return true; }), kDamaged);
  BaseId base;
  std::copy_n(ref.id.bytes.begin(), base.size(), base.begin());
  EXPECT_THAT(reader->FindBase(base), kDamaged);
}

TEST_F(LmdbIndexDamageTest, FindsAPlaceThatBelongsToAnotherBlob) {
  const BlobRef missing = TestBlob(12345);
  {
    ASSERT_OK_AND_ASSIGN(auto env, lmdb::Env::Open(environment(), kGiB, kTableSpecs));
    ASSERT_OK_AND_ASSIGN(auto txn, env->BeginWrite(kPatience));
    const PlaceRow row = EncodePlaceRow(pack_.blobs[0].ref, PlaceIn(pack_, 1, 0));
    ASSERT_OK(txn->Put(IdOf(IndexTable::kBlobs), missing.id.span(), row));
    ASSERT_OK(txn->Commit());
  }
  const auto index = Open();
  ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
  EXPECT_THAT(reader->FindBlob(missing), kDamaged);
}

TEST_F(LmdbIndexDamageTest, FindsDamageInEveryOtherTable) {
  // With the index closed: LMDB bears one environment of a file in a process.
  Damage(IndexTable::kMeta, AsBytes(kHeadRow));
  Damage(IndexTable::kPacks, PackKey(1));
  Damage(IndexTable::kPackNames, pack_.info.name.span());
  Damage(IndexTable::kFrames, FrameKey(1, 1));
  Damage(IndexTable::kSnapshots, SnapshotKey(1, snapshot_.id));
  Damage(IndexTable::kNotes, AsBytes("note"));
  {
    const auto index = Open();
    ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
    EXPECT_THAT(reader->Head(), kDamaged);
    EXPECT_THAT(reader->FindPack(1), kDamaged);
    EXPECT_THAT(reader->FindPackByName(pack_.info.name), kDamaged);
    EXPECT_THAT(reader->ForEachPack([](const IndexPack&) { return true; }), kDamaged);
    EXPECT_THAT(reader->FindFrame(1, 1), kDamaged);
    EXPECT_THAT(reader->FindFrame(1, 0), IsOk());
    EXPECT_THAT(reader->FindSnapshot(snapshot_.id), kDamaged);
    EXPECT_THAT(reader->ForEachSnapshot([](const IndexSnapshot&) { return true; }), kDamaged);
    EXPECT_THAT(reader->FindNote(AsBytes("note")), kDamaged);
  }
  Damage(IndexTable::kSnapshotIds, snapshot_.id.span());
  Damage(IndexTable::kSnapshotTimes,
         SnapshotTimeKey(snapshot_.time, snapshot_.record, snapshot_.id));
  const auto index = Open();
  ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
  EXPECT_THAT(reader->FindSnapshot(snapshot_.id), kDamaged);
  const auto visit = [](const IndexSnapshot&) { return true; };
  EXPECT_THAT(reader->ForEachSnapshotFrom({}, visit), kDamaged);
  EXPECT_THAT(reader->ForEachSnapshotBefore(snapshot_.time, visit), kDamaged);
}

TEST_F(LmdbIndexDamageTest, AWriterThatMeetsDamageDoesNotCommit) {
  Damage(IndexTable::kPackNames, pack_.info.name.span());
  const auto index = Open();
  {
    ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
    EXPECT_THAT(writer->SetPackState(pack_.info.name, PackState::kPurged), kDamaged);
    EXPECT_THAT(writer->SetHead({2, {}}), kDamaged);
    EXPECT_THAT(writer->Commit(), kDamaged);
  }
  EXPECT_THAT(HeadNumber(*index), IsOkAndHolds(1));
}

TEST_F(LmdbIndexDamageTest, ClearLeavesOnlyWhatIsSound) {
  ASSERT_NO_FATAL_FAILURE(Damage(IndexTable::kMeta, AsBytes(kHeadRow)));
  ASSERT_NO_FATAL_FAILURE(Damage(IndexTable::kMeta, AsBytes(kNextPackRow)));
  ASSERT_NO_FATAL_FAILURE(Damage(IndexTable::kBlobs, pack_.blobs[3].ref.id.span()));
  ASSERT_NO_FATAL_FAILURE(Damage(IndexTable::kPackNames, pack_.info.name.span()));
  ASSERT_NO_FATAL_FAILURE(Damage(IndexTable::kSnapshotIds, snapshot_.id.span()));
  ASSERT_NO_FATAL_FAILURE(Damage(IndexTable::kNotes, AsBytes("note")));
  const auto index = Open();
  {
    ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
    ASSERT_OK(writer->Clear());
    ASSERT_OK(writer->AddPack(pack_.info, PackState::kLive, pack_.frames, pack_.blobs));
    ASSERT_OK(writer->PutSnapshot(snapshot_));
    ASSERT_OK(writer->Commit());
  }
  ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
  EXPECT_THAT(reader->Head(), IsOkAndHolds(IndexHead{}));
  EXPECT_THAT(reader->FindBlob(pack_.blobs[3].ref), IsOkAndHolds(SizeIs(1)));
  EXPECT_THAT(reader->FindSnapshot(snapshot_.id), IsOkAndHolds(Optional(snapshot_)));
  EXPECT_THAT(reader->FindNote(AsBytes("note")), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(reader->FindNote(AsBytes("sound")), IsOkAndHolds(Optional(ToBytes("value"))));
}

// Compaction

TEST_F(LmdbIndexTest, IsNotCompactedWhileItIsSmallOrFull) {
  ASSERT_OK(AddPack(*Open(), MakePack(1, 10'000)));
  EXPECT_THAT(CompactLmdbIndex(options_), IsOkAndHolds(false));
  EXPECT_THAT(CompactLmdbIndex(options_, /*min_bytes=*/0), IsOkAndHolds(false));
}

TEST_F(LmdbIndexTest, IsCompactedWhenItIsMoreThanHalfEmpty) {
  const TestPack kept = MakePack(1, 1000);
  const auto old = Open();
  ASSERT_OK(AddPack(*old, kept));
  for (uint64_t i = 2; i < 12; ++i) {
    const TestPack pack = MakePack(i, 5000);
    ASSERT_OK(AddPack(*old, pack));
    ASSERT_OK_AND_ASSIGN(auto writer, old->Write());
    ASSERT_OK(RemovePack(*writer, pack));
    ASSERT_OK(writer->Commit());
  }
  ASSERT_OK_AND_ASSIGN(const uint64_t before, old->StoredBytes());
  EXPECT_THAT(CompactLmdbIndex(options_, before), IsOkAndHolds(false));
  EXPECT_THAT(CompactLmdbIndex(options_, /*min_bytes=*/0), IsOkAndHolds(true));

  const auto compact = Open();
  EXPECT_THAT(compact->StoredBytes(), IsOkAndHolds(Lt(before / 2)));
  EXPECT_THAT(CountPlaces(*compact, kept.blobs[999].ref), IsOkAndHolds(1));
  EXPECT_OK(AddPack(*compact, MakePack(20, 1000)));
  EXPECT_THAT(CountPlaces(*old, kept.blobs[999].ref), IsOkAndHolds(1));
  EXPECT_THAT(stdfs::exists(environment() + "/data.mdb"), true);
  EXPECT_EQ(std::distance(stdfs::directory_iterator(options_.directory), {}), 1);
}

// Stop signals

bool IsBlocked(int signal) {
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return sigismember(&mask, signal) == 1;
}

TEST_F(LmdbIndexTest, AWriterCannotBeStoppedFromTheTerminal) {
  const auto index = Open();
  {
    ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
    EXPECT_TRUE(IsBlocked(SIGTSTP));
    EXPECT_FALSE(IsBlocked(SIGINT));
    ASSERT_OK(writer->Commit());
    EXPECT_FALSE(IsBlocked(SIGTSTP));
  }
  {
    ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
    EXPECT_TRUE(IsBlocked(SIGTTOU));
  }
  EXPECT_FALSE(IsBlocked(SIGTTOU));
}

TEST_F(LmdbIndexTest, NobodyStopsTheProcessWhileAnyThreadWrites) {
  const auto index = Open();
  ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
  std::atomic<bool> asked = false;
  std::atomic<bool> is_writing = true;
  bool closed_while_writing = true;
  std::thread stopper([&] {
    asked = true;
    const StopGate::Closed closed;
    closed_while_writing = is_writing;
  });
  while (!asked) std::this_thread::yield();
  for (uint64_t i = 0; i < 2000; ++i) {
    const Bytes key = ToBytes(std::to_string(i));
    ASSERT_OK(writer->PutNote(key, key));
  }
  is_writing = false;
  ASSERT_OK(writer->Commit());
  stopper.join();
  EXPECT_FALSE(closed_while_writing);
  EXPECT_OK(SetHead(*index, 1));
}

// Large ones

TEST_F(LmdbIndexTest, TakesAMillionBlobsInOneTransaction) {
  constexpr uint64_t kPacks = 200;
  constexpr size_t kBlobs = 5000;
  std::vector<TestPack> packs;
  for (uint64_t i = 1; i <= kPacks; ++i) packs.push_back(MakePack(i, kBlobs));
  std::vector<PackContents> contents;
  for (const TestPack& pack : packs) contents.push_back(pack.Contents());
  const auto index = Open();
  {
    ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
    ASSERT_OK(writer->AddPacks(contents));
    ASSERT_OK(writer->Commit());
  }
  // Appended in order, so that pages are full: 66 bytes a blob.
  EXPECT_THAT(index->StoredBytes(), IsOkAndHolds(Lt(kPacks * kBlobs * 75)));
  ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
  for (uint32_t i = 0; i < kPacks; ++i) {
    const uint32_t ordinal = i * 24;
    EXPECT_THAT(reader->FindBlob(packs[i].blobs[ordinal].ref),
                IsOkAndHolds(ElementsAre(PlaceIn(packs[i], i + 1, ordinal))));
  }
  EXPECT_THAT(reader->FindBlob(TestBlob(~uint64_t{0})), IsOkAndHolds(IsEmpty()));
}

}  // namespace
}  // namespace cairn::testing
