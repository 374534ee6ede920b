// SPDX-License-Identifier: Apache-2.0
// What a writer finds when it commits, and what it cannot store.
#include "core/repo/commit.h"

#include "core/repo/blob_writer.h"
#include "tests/repo/test_repository.h"
#include "tests/repo/test_writer.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CommitTest : public ::testing::Test {
 protected:
  StatusOr<JournalHead> Commit(TestWriter& writer, const WriterClaims& claims) {
    return writer.Commit(test_.Tree({}), claims);
  }

  TestRepository test_;
};

// One of the records that are gone may have ended the session.
TEST_F(CommitTest, IsAConflictOnceAFoldHasPassedTheStart) {
  TestWriter writer(test_);
  for (uint64_t i = 0; i < 5; ++i) test_.AddPack({{test_.Chunk(i, 100)}});
  MustBeOk(test_.repository().journal().FoldIfDue(
      test_.State(), {.min_records = 1, .ratio = 1, .keep_single = 1}));
  EXPECT_THAT(Commit(writer, {}), StatusIs(StatusCode::kAborted, HasSubstr("folded past")));
  EXPECT_THAT(test_.State().snapshots(), IsEmpty());
}

// A prune was cut off between two records: one pack is purged, the other will be.
TEST_F(CommitTest, IsAConflictOnceTheBaseOfACondemnedPackIsGone) {
  const TestBlob base = test_.Chunk(1, kBigChunk);
  const PackName plain = test_.AddPack({{base}});
  const PackName delta = test_.AddDeltaPack({test_.Variant(base, 1)}, {base});
  TestWriter writer(test_);
  RecordEntries entries;
  entries.condemn = {plain, delta};
  test_.Append(entries);
  entries = {};
  entries.purge = {plain};
  test_.Append(entries);
  EXPECT_THAT(Commit(writer, {.used_packs = {delta}, .base = {}, .root = {}}),
              StatusIs(StatusCode::kAborted, HasSubstr("a base of pack " + delta.Hex())));
  EXPECT_THAT(test_.State().snapshots(), IsEmpty());
}

TEST_F(CommitTest, ABlobIsNotLargerThanABlobMayBe) {
  TestWriter begun(test_);
  BlobWriter writer(begun.repository(), begun.session(), begun.head(), {});
  EXPECT_OK(writer.WriteBlob(BlobKind::kChunk, Bytes(kMaxBlobBytes)));
  EXPECT_THAT(writer.WriteBlob(BlobKind::kChunk, Bytes(kMaxBlobBytes + 1)),
              StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace cairn::testing
