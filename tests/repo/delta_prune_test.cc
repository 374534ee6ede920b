// SPDX-License-Identifier: Apache-2.0
// Deltas in packs made by hand: what prune keeps of them, and what a commit rescues for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "core/repo/blob_writer.h"
#include "core/repo/check.h"
#include "core/repo/forget.h"
#include "core/repo/prune.h"
#include "core/repo/stats.h"
#include "core/store/sessions.h"
#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DeltaPruneTest : public ::testing::Test {
 protected:
  PruneResult Run(const PruneOptions& options = PruneEverything()) {
    return Must(Prune(test_.repository(), options));
  }

  TestRepository test_;
  const TestBlob a_ = test_.Chunk(1, 20'000);
  const TestBlob b_ = test_.Variant(a_, 1);
  const TestBlob c_ = test_.Variant(a_, 2);
  const TestBlob other_ = test_.Chunk(9, 20'000);
};

TEST_F(DeltaPruneTest, ABaseThatNoSnapshotHasIsKept) {
  const PackName plain = test_.AddPack({{a_}});
  const PackName delta = test_.AddDeltaPack({b_}, {a_});
  test_.AddSnapshot({b_});
  for (int i = 0; i < 3; ++i) {
    Run();
    test_.ExpectWhole();
    EXPECT_TRUE(test_.CanRead(a_));
  }
  EXPECT_EQ(test_.StateOf(plain), PackState::kLive);
  EXPECT_EQ(test_.StateOf(delta), PackState::kLive);
}

// A writer may find what is in a dead frame of a pack that stays.
TEST_F(DeltaPruneTest, TheBaseOfADeadFrameIsKeptAsLongAsItsPack) {
  test_.AddPack({{a_}});
  const PackName delta = test_.AddDeltaPack({b_}, {a_}, {{other_}});
  test_.AddSnapshot({other_});
  PruneOptions options = PruneEverything();
  options.max_repack_bytes = 0;
  Run(options);
  ASSERT_EQ(test_.StateOf(delta), PackState::kLive);
  EXPECT_TRUE(test_.CanRead(b_));
  // The pack is rewritten, and then nothing needs the base.
  Run();
  Run();
  EXPECT_FALSE(test_.IsNamed(delta) && test_.StateOf(delta) == PackState::kLive);
  EXPECT_FALSE(test_.CanRead(a_));
  EXPECT_FALSE(test_.CanRead(b_));
  test_.ExpectWhole();
}

TEST_F(DeltaPruneTest, DeadDeltasAreNoReasonToRewriteWhereTheirBasesAreNeededAnyway) {
  PruneOptions options = PruneEverything();
  options.max_unused_share = 0.05;
  const PackName bases = test_.AddPack({{a_}});
  const PackName delta = test_.AddDeltaPack({b_}, {a_}, {{other_}});
  const SnapshotId needs_base = test_.AddSnapshot({a_});
  test_.AddSnapshot({other_});
  Run(options);
  EXPECT_EQ(test_.StateOf(delta), PackState::kLive);
  ASSERT_OK(ForgetSnapshots(test_.repository(), {needs_base}));
  Run(options);
  EXPECT_FALSE(test_.HasFile(delta));
  Run(options);
  EXPECT_FALSE(test_.HasFile(bases));
  test_.ExpectWhole();
}

TEST_F(DeltaPruneTest, OfTwoPlacesThePlainOneIsKeptAndNoCycleIsLeft) {
  const PackName plain_a = test_.AddPack({{a_}});
  const PackName delta_b = test_.AddDeltaPack({b_}, {a_});
  const PackName delta_a = test_.AddDeltaPack({a_}, {b_});
  const PackName plain_b = test_.AddPack({{b_}});
  test_.AddSnapshot({a_, b_});
  Run();
  EXPECT_TRUE(test_.HasFile(plain_a));
  EXPECT_TRUE(test_.HasFile(plain_b));
  EXPECT_FALSE(test_.HasFile(delta_a));
  EXPECT_FALSE(test_.HasFile(delta_b));
  test_.ExpectWhole();
}

TEST_F(DeltaPruneTest, ACondemnedPlaceIsNoneForABase) {
  const PackName gone = test_.AddPack({{a_}});
  RecordEntries condemn;
  condemn.condemn = {gone};
  test_.Append(condemn);
  const PackName here = test_.AddPack({{a_}});
  test_.AddDeltaPack({b_}, {a_});
  test_.AddSnapshot({b_});
  Run();
  EXPECT_FALSE(test_.HasFile(gone));
  EXPECT_EQ(test_.StateOf(here), PackState::kLive);
  test_.ExpectWhole();
}

TEST_F(DeltaPruneTest, RewritingKeepsADeltaThatIsMostlyLive) {
  test_.AddPack({{a_}});
  const TestBlob small = test_.Chunk(20, 3000);
  test_.AddDeltaPack({b_, small}, {a_}, {{other_}});
  test_.AddSnapshot({b_});
  Run();
  EXPECT_EQ(Must(StatsOfRepository(test_.repository())).delta_frames, 1U);
  test_.ExpectWhole();
  EXPECT_FALSE(test_.CanRead(small));
  EXPECT_FALSE(test_.CanRead(other_));
}

TEST_F(DeltaPruneTest, RewritingMakesLittleRemainsPlain) {
  test_.AddPack({{a_, other_}});
  const TestBlob small = test_.Chunk(20, 3000);
  test_.AddDeltaPack({b_, small}, {a_}, {{test_.Chunk(21, 3000)}});
  test_.AddSnapshot({small});
  Run();
  EXPECT_EQ(Must(StatsOfRepository(test_.repository())).delta_frames, 0U);
  Run();
  EXPECT_FALSE(test_.CanRead(a_));
  test_.ExpectWhole();
}

TEST_F(DeltaPruneTest, ADryRunForetellsWhatIsDone) {
  test_.AddPack({{a_, other_}});
  const TestBlob small = test_.Chunk(20, 3000);
  test_.AddDeltaPack({b_, small}, {a_});
  test_.AddPack({{test_.Chunk(30, 5000)}});
  test_.AddSnapshot({small});
  PruneOptions options = PruneEverything();
  options.dry_run = true;
  const PruneResult dry = Run(options);
  const PruneResult wet = Run();
  EXPECT_EQ(dry.used_bytes, wet.used_bytes);
  EXPECT_EQ(dry.unused_bytes, wet.unused_bytes);
  EXPECT_EQ(dry.packs_dropped, wet.packs_dropped);
  EXPECT_EQ(dry.packs_rewritten, wet.packs_rewritten);
  EXPECT_EQ(dry.bytes_freed, wet.bytes_freed);
}

TEST_F(DeltaPruneTest, WhereALiveFrameLacksItsBaseNothingIsRemoved) {
  test_.AddDeltaPack({b_}, {a_});
  const PackName unused = test_.AddPack({{other_}});
  test_.AddSnapshot({b_});
  EXPECT_THAT(Prune(test_.repository(), PruneEverything()),
              StatusIs(StatusCode::kDataLoss, HasSubstr("nothing was removed")));
  EXPECT_EQ(test_.StateOf(unused), PackState::kLive);
}

TEST_F(DeltaPruneTest, WhatADeadFrameLacksIsNoHindrance) {
  test_.AddDeltaPack({b_}, {a_}, {{other_}});
  test_.AddSnapshot({other_});
  EXPECT_OK(Prune(test_.repository(), PruneEverything()).status());
  test_.ExpectWhole();
}

// Not as the base of a base: a reader does not go further than one step.
TEST_F(DeltaPruneTest, ABaseInADeltaFrameIsNone) {
  test_.AddPack({{a_}});
  test_.AddDeltaPack({b_}, {a_});
  test_.AddDeltaPack({c_}, {b_});
  EXPECT_FALSE(test_.CanRead(c_));
  const SnapshotId snapshot = test_.AddSnapshot({c_});
  ASSERT_OK_AND_ASSIGN(const CheckResult result, Check(*test_.Open(), {}));
  EXPECT_THAT(result.damages, Contains(Field(&Damage::what, HasSubstr("in no plain frame"))));
  EXPECT_THAT(result.affected_snapshots, ElementsAre(snapshot));
}

// A writer that has found something in a delta frame, or made one.
class DeltaCommitTest : public DeltaPruneTest {
 protected:
  void SetUp() override {
    plain_ = test_.AddPack({{a_}});
    session_ = Must(Session::Open(test_.fs(), "snapshot"));
  }
  void Begin() {
    repository_ = test_.Open();
    const JournalHead head = test_.State().head();
    MustBeOk(session_->SetStart(head.number));
    writer_ =
        std::make_unique<BlobWriter>(*repository_, session_->id(), head, BlobWriter::Options());
  }
  void Store(const TestBlob& chunk, const TestBlob& former) {
    BlobWriter::Lane lane(*writer_);
    Content content;
    content.items = {{former.bytes.size(), false, former.ref.id}};
    MustBeOk(lane.BeginFile(chunk.bytes.size(), /*whole=*/true, &content));
    const Piece piece{.bytes = chunk.bytes.size(), .data = chunk.bytes};
    MustBeOk(lane.AddPieces({&piece, 1}, /*split=*/false, [](const auto&) { return OkStatus(); }));
    MustBeOk(lane.EndFile());
    MustBeOk(lane.Flush());
  }
  StatusOr<JournalHead> Commit(const std::vector<TestBlob>& chunks) {
    const TestBlob tree = test_.Tree(chunks);
    const TestBlob root = test_.Root(tree);
    Must(writer_->WriteBlob(BlobKind::kTree, tree.bytes));
    Must(writer_->WriteBlob(BlobKind::kRoot, root.bytes));
    MustBeOk(writer_->Flush());
    return writer_->Commit({test_.SnapshotOf(root)}, std::nullopt, std::nullopt);
  }
  void Condemn(const std::vector<PackName>& packs) {
    RecordEntries entries;
    entries.condemn = packs;
    test_.Append(entries);
  }

  PackName plain_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Repository> repository_;
  std::unique_ptr<BlobWriter> writer_;
};

TEST_F(DeltaCommitTest, RescuesThePacksOfTheBasesOfWhatItFound) {
  const PackName delta = test_.AddDeltaPack({b_}, {a_});
  Begin();
  Store(b_, other_);  // found
  Condemn({plain_, delta});
  ASSERT_OK(Commit({b_}));
  EXPECT_EQ(test_.StateOf(delta), PackState::kLive);
  EXPECT_EQ(test_.StateOf(plain_), PackState::kLive);
  session_.reset();
  Run();
  test_.ExpectWhole();
}

TEST_F(DeltaCommitTest, RescuesTheBasesOfItsOwnFrames) {
  Begin();
  Store(b_, a_);
  Condemn({plain_});
  ASSERT_OK(Commit({b_}));
  EXPECT_EQ(Must(StatsOfRepository(*test_.Open())).delta_frames, 1U);
  EXPECT_EQ(test_.StateOf(plain_), PackState::kLive);
  session_.reset();
  Run();
  test_.ExpectWhole();
}

TEST_F(DeltaCommitTest, RescuesABaseThatIsCondemnedJustBeforeItCommits) {
  Begin();
  Store(b_, a_);
  bool condemned = false;
  test_.fs().SetHook([&](const DiskOperation& operation) {
    if (operation.kind == DiskOperation::Kind::kRename && operation.to.starts_with("journal/") &&
        !std::exchange(condemned, true)) {
      Condemn({plain_});
    }
    return OkStatus();
  });
  ASSERT_OK(Commit({b_}));
  EXPECT_TRUE(condemned);
  EXPECT_EQ(test_.StateOf(plain_), PackState::kLive);
  session_.reset();
  Run();
  test_.ExpectWhole();
}

TEST_F(DeltaCommitTest, IsAConflictOnceABaseIsGone) {
  Begin();
  Store(b_, a_);
  PruneOptions now = PruneEverything();
  now.now = true;
  Run(now);
  EXPECT_THAT(Commit({b_}), StatusIs(StatusCode::kAborted, HasSubstr("conflict")));
  EXPECT_THAT(test_.State().snapshots(), IsEmpty());
}

TEST_F(DeltaCommitTest, TakesNoBaseFromACondemnedPack) {
  Condemn({plain_});
  Begin();
  Store(b_, a_);
  ASSERT_OK(Commit({b_}));
  EXPECT_EQ(Must(StatsOfRepository(*test_.Open())).delta_frames, 0U);
  EXPECT_EQ(test_.StateOf(plain_), PackState::kCondemned);
}

TEST_F(DeltaCommitTest, ADeltaOfADeltaIsOneOfTheSameBase) {
  const PackName delta = test_.AddDeltaPack({b_}, {a_});
  Begin();
  Store(c_, b_);
  ASSERT_OK(Commit({c_}));
  EXPECT_EQ(Must(StatsOfRepository(*test_.Open())).delta_frames, 2U);
  session_.reset();
  Run();
  EXPECT_FALSE(test_.HasFile(delta));
  EXPECT_TRUE(test_.HasFile(plain_));
  test_.ExpectWhole();
}

// A prune that has looked at the packs before the writer named one with a base in them.
TEST_F(DeltaCommitTest, BeforeACondemnTakesThePackOfItsBaseOffTheList) {
  test_.AddPack({{other_}});
  Begin();
  Store(b_, a_);
  bool committed = false;
  test_.fs().SetHook([&](const DiskOperation& operation) {
    if (operation.kind == DiskOperation::Kind::kRename && operation.to.starts_with("journal/") &&
        !std::exchange(committed, true)) {
      EXPECT_OK(Commit({b_}).status());
    }
    return OkStatus();
  });
  Run();
  EXPECT_TRUE(committed);
  EXPECT_EQ(test_.StateOf(plain_), PackState::kLive);
  session_.reset();
  Run();
  test_.ExpectWhole();
}

}  // namespace
}  // namespace cairn::testing
