// SPDX-License-Identifier: Apache-2.0
// Rows that are whole each, and cannot all be true: as a bug or an intruder would leave them.
#include "core/index/index_row.h"
#include "core/index/lmdb.h"
#include "core/index/lmdb_index.h"
#include "core/index/lmdb_rows.h"
#include "core/index/patience.h"
#include "tests/index/index_data.h"
#include "tests/index/lmdb_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kNoPackNumber = uint64_t{1} << 32;

class ContradictingRowsTest : public LmdbIndexTest {
 protected:
  void SetUp() override {
    const auto index = Open();
    ASSERT_OK(AddPack(*index, pack_));
    ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
    ASSERT_OK(writer->PutSnapshot(snapshot_));
    ASSERT_OK(writer->Commit());
  }

  // Behind the index's back.
  void Put(IndexTable table, ByteSpan key, Bytes value) {
    Change([&](lmdb::WriteTxn& txn) { return PutRow(txn, table, key, std::move(value)); });
  }
  void Remove(IndexTable table, ByteSpan key) {
    Change([&](lmdb::WriteTxn& txn) {
      ASSIGN_OR_RETURN(const bool found, txn.Delete(IdOf(table), key));
      return found ? OkStatus() : NotFound("the row");
    });
  }
  void Change(const std::function<Status(lmdb::WriteTxn&)>& change) {
    ASSERT_OK_AND_ASSIGN(auto env, lmdb::Env::Open(environment(), kGiB, kTableSpecs));
    ASSERT_OK_AND_ASSIGN(auto txn, env->BeginWrite(kPatience));
    ASSERT_OK(change(*txn));
    ASSERT_OK(txn->Commit());
  }

  const TestPack pack_ = MakePack(1, 100);
  const IndexSnapshot snapshot_ = MakeSnapshot(1, 1);
};

const auto kIsLost = StatusIs(StatusCode::kDataLoss);
const auto kRowIsMissing = StatusIs(StatusCode::kDataLoss, HasSubstr("row is missing"));
const auto kKeyIsNoId = StatusIs(StatusCode::kDataLoss, HasSubstr("damaged key of a blob"));

TEST_F(ContradictingRowsTest, ANameWithoutItsPack) {
  Remove(IndexTable::kPacks, PackKey(1));
  const auto index = Open();
  EXPECT_THAT(AddPack(*index, pack_), kRowIsMissing);
  {
    ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
    EXPECT_THAT(writer->BeginPack(pack_.info, {}, 0), kRowIsMissing);
  }
  const auto fails = [&](const std::function<Status(IndexWriter&)>& change) {
    ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
    EXPECT_THAT(change(*writer), kIsLost);
  };
  fails([&](IndexWriter& writer) {
    return writer.SetPackState(pack_.info.name, PackState::kPurged);
  });
  fails([&](IndexWriter& writer) { return RemovePack(writer, pack_); });
}

TEST_F(ContradictingRowsTest, ANameWithANumberThatNoPackHas) {
  Put(IndexTable::kPackNames, pack_.info.name.span(), EncodeNumberRow(kNoPackNumber));
  const auto index = Open();
  ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
  EXPECT_THAT(reader->FindPackByName(pack_.info.name),
              StatusIs(StatusCode::kDataLoss, HasSubstr("out of its range")));
}

TEST_F(ContradictingRowsTest, NoNumberIsLeftForAPack) {
  Put(IndexTable::kMeta, AsBytes(kNextPackRow), EncodeNumberRow(kNoPackNumber));
  EXPECT_THAT(AddPack(*Open(), MakePack(2, 1)), StatusIs(StatusCode::kResourceExhausted));
}

TEST_F(ContradictingRowsTest, ASnapshotsIdWithoutIt) {
  Remove(IndexTable::kSnapshots, SnapshotKey(snapshot_.record, snapshot_.id));
  const auto index = Open();
  ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
  EXPECT_THAT(reader->FindSnapshot(snapshot_.id), kRowIsMissing);
  const auto visit = [](const IndexSnapshot&) { return true; };
  EXPECT_THAT(reader->ForEachSnapshotFrom({}, visit), kRowIsMissing);
  EXPECT_THAT(reader->ForEachSnapshotBefore(snapshot_.time, visit), kRowIsMissing);
}

TEST_F(ContradictingRowsTest, ASnapshotOfAnotherTime) {
  const Timestamp later = {snapshot_.time.seconds + 1, 0};
  Put(IndexTable::kSnapshotTimes, SnapshotTimeKey(later, snapshot_.record, snapshot_.id), Bytes());
  const auto index = Open();
  ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
  EXPECT_THAT(reader->ForEachSnapshotBefore(later, [](const IndexSnapshot&) { return true; }),
              StatusIs(StatusCode::kDataLoss, HasSubstr("two times")));
}

TEST_F(ContradictingRowsTest, AKeyThatIsNoSnapshots) {
  Put(IndexTable::kSnapshotTimes, Bytes(5, 0), Bytes());
  Put(IndexTable::kSnapshotIds, Bytes(5, 0xff), EncodeNumberRow(1));
  const auto index = Open();
  ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
  const auto visit = [](const IndexSnapshot&) { return true; };
  EXPECT_THAT(reader->ForEachSnapshotFrom({}, visit), kIsLost);
  EXPECT_THAT(reader->ForEachSnapshotBefore(snapshot_.time, visit), kIsLost);
}

TEST_F(ContradictingRowsTest, AKeyThatIsNoPacksNumber) {
  Put(IndexTable::kPurged, AsBytes("abc"), Bytes());
  EXPECT_THAT(Open()->Read(), kIsLost);
}

TEST_F(ContradictingRowsTest, AKeyThatIsNoBlobsId) {
  // Behind all others, and with a row that is whole for the id that it begins with.
  const BlobId id = BlobId::From(Bytes(BlobId::kBytes, 0xff));
  const PlaceRow row = EncodePlaceRow({BlobKind::kChunk, id}, {.pack = 1});
  Bytes key(id.bytes.begin(), id.bytes.end());
  key.push_back(0xff);
  Change([&](lmdb::WriteTxn& txn) { return txn.Put(IdOf(IndexTable::kBlobs), key, row); });
  const auto index = Open();
  {
    ASSERT_OK_AND_ASSIGN(auto reader, index->Read());
    EXPECT_THAT(reader->ForEachBlob([](const BlobRef&, const Place&) { return true; }), kKeyIsNoId);
  }
  ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
  EXPECT_THAT(RemovePack(*writer, pack_), kKeyIsNoId);
}

}  // namespace
}  // namespace cairn::testing
