// SPDX-License-Identifier: Apache-2.0
// Prune beside writers, other prunes and forgets. What another process does at a given moment is
// done in a hook of the file system.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/repo/blob_writer.h"
#include "core/repo/forget.h"
#include "core/repo/prune.h"
#include "core/store/sessions.h"
#include "tests/repo/test_repository.h"
#include "tests/repo/test_writer.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PruneConcurrencyTest : public ::testing::Test {
 protected:
  StatusOr<PruneResult> TryRun(const PruneOptions& options) {
    return Prune(test_.repository(), options);
  }
  PruneResult Run(const PruneOptions& options = PruneEverything()) { return Must(TryRun(options)); }
  JournalHead Head() { return test_.State().head(); }

  // Calls `action` just before the n-th record from now is placed, once.
  void BeforeRecord(int n, std::function<void()> action) {
    left_ = n;
    test_.fs().SetHook([this, action = std::move(action)](const DiskOperation& operation) {
      if (operation.kind == DiskOperation::Kind::kRename && operation.to.starts_with("journal/") &&
          --left_ == 0) {
        action();
      }
      return OkStatus();
    });
  }
  bool WasCalled() const { return left_ <= 0; }

  std::unique_ptr<Session> OpenSession(std::optional<uint64_t> start) {
    auto session = Must(Session::Open(test_.fs(), "snapshot"));
    if (start) MustBeOk(session->SetStart(*start));
    return session;
  }

  TestRepository test_;
  int left_ = 0;
};

TEST_F(PruneConcurrencyTest, ASecondPruneIsRefused) {
  const auto lock = Must(LockForPrune(test_.fs()));
  EXPECT_THAT(TryRun(PruneEverything()), StatusIs(StatusCode::kAborted));
}

TEST_F(PruneConcurrencyTest, PurgingWaitsForASessionThatBeganBefore) {
  const TestBlob chunk = test_.Chunk(1, kBigChunk);
  const PackName pack = test_.AddPack({{chunk}});
  auto session = OpenSession(Head().number);
  PruneResult result = Run();
  EXPECT_EQ(test_.StateOf(pack), PackState::kCondemned);
  EXPECT_TRUE(test_.CanRead(chunk));
  EXPECT_EQ(result.packs_purged, 0U);
  EXPECT_EQ(result.packs_waiting, 1U);
  EXPECT_GT(result.bytes_waiting, kBigChunk);
  EXPECT_EQ(result.bytes_freed, 0U);
  EXPECT_THAT(result.waits_for,
              ElementsAre(HasSubstr("snapshot of pid " + std::to_string(getpid()))));

  session.reset();
  result = Run();
  EXPECT_EQ(result.packs_purged, 1U);
  EXPECT_EQ(result.packs_waiting, 0U);
  EXPECT_FALSE(test_.HasFile(pack));
}

TEST_F(PruneConcurrencyTest, PurgingDoesNotWaitForASessionThatBeganAfterwards) {
  const PackName pack = test_.AddPack({{test_.Chunk(1, kBigChunk)}});
  auto before = OpenSession(Head().number);
  Run();
  ASSERT_EQ(test_.StateOf(pack), PackState::kCondemned);
  const auto after = OpenSession(Head().number);
  before.reset();
  Run();
  EXPECT_FALSE(test_.HasFile(pack));
}

TEST_F(PruneConcurrencyTest, ASessionWithoutAStartCountsAsTheOldest) {
  const PackName pack = test_.AddPack({{test_.Chunk(1, kBigChunk)}});
  const auto session = OpenSession(std::nullopt);
  EXPECT_EQ(Run().packs_waiting, 1U);
  EXPECT_TRUE(test_.HasFile(pack));
}

TEST_F(PruneConcurrencyTest, NowDoesNotWaitAndDoesNotEndTheSession) {
  const PackName pack = test_.AddPack({{test_.Chunk(1, kBigChunk)}});
  const auto session = OpenSession(Head().number);
  PruneOptions options = PruneEverything();
  options.now = true;
  const PruneResult result = Run(options);
  EXPECT_EQ(result.packs_purged, 1U);
  EXPECT_THAT(result.waits_for, IsEmpty());
  EXPECT_FALSE(test_.HasFile(pack));
  EXPECT_FALSE(test_.State().IsEnded(session->id()));
}

TEST_F(PruneConcurrencyTest, PacksOfALiveSessionAreLeftAlone) {
  auto session = OpenSession(Head().number);
  const PackInfo pack = test_.WritePack(session->id(), {{test_.Chunk(1, kBigChunk)}});
  RecordEntries entries;
  entries.packs = {pack};
  test_.Append(entries);
  PruneOptions options = PruneEverything();
  options.now = true;
  EXPECT_EQ(Run(options).packs_dropped, 0U);
  EXPECT_EQ(test_.StateOf(pack.name), PackState::kLive);

  session.reset();
  EXPECT_EQ(Run(options).packs_dropped, 1U);
  EXPECT_FALSE(test_.HasFile(pack.name));
  EXPECT_TRUE(test_.State().IsEnded(pack.session));
}

TEST_F(PruneConcurrencyTest, ASessionThatWasTakenForDeadCannotCommit) {
  const auto session = RandomId<SessionId>();  // its lock is lost
  WriterCommit commit(test_.repository(), session, Head());
  const TestBlob chunk = test_.Chunk(1, kBigChunk);
  RecordEntries entries;
  entries.packs = {test_.WritePack(session, {{chunk}})};
  ASSERT_OK(commit.Place(entries, {}, nullptr));
  Run();
  entries.packs = {test_.WritePack(session, {{test_.Tree({chunk})}})};
  EXPECT_THAT(commit.Place(entries, {}, nullptr),
              StatusIs(StatusCode::kAborted, HasSubstr("taken for dead")));
}

TEST_F(PruneConcurrencyTest, ASessionThatIsEndedJustBeforeItCommitsCannot) {
  const auto session = RandomId<SessionId>();
  WriterCommit commit(test_.repository(), session, Head());
  RecordEntries entries;
  entries.packs = {test_.WritePack(session, {{test_.Chunk(1, kBigChunk)}})};
  BeforeRecord(1, [&] {
    RecordEntries ended;
    ended.ended = {session};
    test_.Append(ended);
  });
  EXPECT_THAT(commit.Place(entries, {}, nullptr),
              StatusIs(StatusCode::kAborted, HasSubstr("taken for dead")));
  EXPECT_TRUE(WasCalled());
}

TEST_F(PruneConcurrencyTest, ASessionWhoseUnnamedPackWentCannotNameIt) {
  const auto session = RandomId<SessionId>();
  WriterCommit commit(test_.repository(), session, Head());
  RecordEntries entries;
  entries.packs = {test_.WritePack(session, {{test_.Chunk(1, kBigChunk)}})};
  Run();
  EXPECT_THAT(commit.Place(entries, {}, nullptr), StatusIs(StatusCode::kAborted));
}

// A writer that has found a blob in a pack, and then names a snapshot that uses it.
class FindingWriterTest : public PruneConcurrencyTest {
 protected:
  void SetUp() override {
    chunk_ = test_.Chunk(1, kBigChunk);
    pack_ = test_.AddPack({{chunk_}});
    writer_.emplace(test_);
  }
  StatusOr<JournalHead> Commit() {
    return writer_->Commit(test_.Tree({chunk_}), {.used_packs = {pack_}, .base = {}, .root = {}});
  }

  TestBlob chunk_;
  PackName pack_;
  std::optional<TestWriter> writer_;
};

TEST_F(FindingWriterTest, RescuesWhatWasCondemned) {
  Run();
  ASSERT_EQ(test_.StateOf(pack_), PackState::kCondemned);
  ASSERT_OK(Commit());
  EXPECT_EQ(test_.StateOf(pack_), PackState::kLive);
  writer_.reset();
  EXPECT_EQ(Run().packs_dropped, 0U);
  EXPECT_TRUE(test_.HasFile(pack_));
  test_.ExpectWhole();
}

TEST_F(FindingWriterTest, MeetsAConflictAfterNow) {
  PruneOptions options = PruneEverything();
  options.now = true;
  Run(options);
  EXPECT_THAT(Commit(), StatusIs(StatusCode::kAborted, HasSubstr("conflict")));
  EXPECT_THAT(test_.State().snapshots(), IsEmpty());
  test_.ExpectWhole();
}

TEST_F(FindingWriterTest, RescuesWhatIsCondemnedJustBeforeItCommits) {
  BeforeRecord(1, [&] { Run(); });
  ASSERT_OK(Commit());
  EXPECT_TRUE(WasCalled());
  EXPECT_EQ(test_.StateOf(pack_), PackState::kLive);
  writer_.reset();
  Run();
  test_.ExpectWhole();
}

TEST_F(FindingWriterTest, MeetsAConflictWithAPruneNowJustBeforeItCommits) {
  PruneOptions options = PruneEverything();
  options.now = true;
  BeforeRecord(1, [&] { Run(options); });
  EXPECT_THAT(Commit(), StatusIs(StatusCode::kAborted, HasSubstr("conflict")));
  EXPECT_TRUE(WasCalled());
  EXPECT_THAT(test_.State().snapshots(), IsEmpty());
  test_.ExpectWhole();
}

TEST_F(FindingWriterTest, ThatCommitsJustBeforeTheCondemnTakesThePackOffTheList) {
  const PackName other = test_.AddPack({{test_.Chunk(2, kBigChunk)}});
  BeforeRecord(1, [&] { ASSERT_OK(Commit()); });
  const PruneResult result = Run();
  EXPECT_TRUE(WasCalled());
  EXPECT_EQ(result.packs_dropped, 1U);
  EXPECT_EQ(test_.StateOf(pack_), PackState::kLive);
  EXPECT_EQ(test_.StateOf(other), PackState::kCondemned);
  test_.ExpectWhole();
}

TEST_F(FindingWriterTest, ThatCommitsJustBeforeThePurgeKeepsThePack) {
  const PackName other = test_.AddPack({{test_.Chunk(2, kBigChunk)}});
  PruneOptions options = PruneEverything();
  options.now = true;
  BeforeRecord(2, [&] { ASSERT_OK(Commit()); });
  const PruneResult result = Run(options);
  EXPECT_TRUE(WasCalled());
  EXPECT_EQ(result.packs_purged, 1U);
  EXPECT_EQ(test_.StateOf(pack_), PackState::kLive);
  EXPECT_FALSE(test_.HasFile(other));
  test_.ExpectWhole();
}

// Before the n-th record of a prune that rewrites the pack.
class CommitWhileRewritingTest : public FindingWriterTest,
                                 public ::testing::WithParamInterface<int> {};

TEST_P(CommitWhileRewritingTest, KeepsThePackWhoseDeadPartTheWriterNeeds) {
  // The writer's blob lies beside one that is live already, so the pack is rewritten without it.
  const TestBlob used = test_.Chunk(3, kBigChunk);
  pack_ = test_.AddPack({{chunk_}, {used}});
  test_.AddSnapshot({used});
  BeforeRecord(GetParam(), [&] { ASSERT_OK(Commit()); });
  PruneOptions options = PruneEverything();
  options.now = true;
  Run(options);
  EXPECT_TRUE(WasCalled());
  test_.ExpectWhole();
  EXPECT_TRUE(test_.CanRead(chunk_));
}

INSTANTIATE_TEST_SUITE_P(Records, CommitWhileRewritingTest, ::testing::Values(1, 2));

// Before the n-th record of a prune that rewrites in many portions.
class CommitAmongPortionsTest : public FindingWriterTest,
                                public ::testing::WithParamInterface<int> {};

TEST_P(CommitAmongPortionsTest, LosesNothing) {
  std::vector<TestBlob> used;
  for (uint64_t i = 10; i < 15; ++i) {
    used.push_back(test_.Chunk(i, kBigChunk));
    test_.AddPack({{used.back()}, {chunk_}, {test_.Chunk(i + 100, kBigChunk)}});
  }
  test_.AddSnapshot(used);
  PruneOptions options = PruneEverything();
  options.now = true;
  options.portion_bytes = 1;
  StatusOr<JournalHead> placed = Internal("not called");
  BeforeRecord(GetParam(), [&] { placed = Commit(); });
  const PruneResult result = Run(options);
  EXPECT_TRUE(WasCalled());
  EXPECT_GE(result.packs_rewritten, 4U);
  if (placed.ok()) {
    EXPECT_TRUE(test_.CanRead(chunk_));
  } else {
    EXPECT_THAT(placed, StatusIs(StatusCode::kAborted, HasSubstr("conflict")));
  }
  test_.ExpectWhole();
}

INSTANTIATE_TEST_SUITE_P(EveryRecord, CommitAmongPortionsTest, ::testing::Range(1, 16));

TEST_F(PruneConcurrencyTest, ASnapshotThatIsForgottenMeanwhileIsNoHindrance) {
  const TestBlob chunk = test_.Chunk(1, kBigChunk);
  test_.AddPack({{chunk}});
  const SnapshotId id = test_.AddSnapshot({chunk});
  const PackName dead = test_.AddPack({{test_.Chunk(2, kBigChunk)}});
  BeforeRecord(1, [&] { test_.Forget(id); });
  EXPECT_EQ(Run().packs_dropped, 1U);
  EXPECT_TRUE(WasCalled());
  EXPECT_FALSE(test_.HasFile(dead));
  EXPECT_TRUE(test_.CanRead(chunk));
}

TEST_F(PruneConcurrencyTest, BeginsAnewWhereAnotherPruneHasKeptTheOtherCopy) {
  for (const bool purge : {false, true}) {
    const TestBlob chunk = test_.Chunk(purge ? 1 : 2, kBigChunk);
    const PackName first = test_.AddPack({{chunk}});
    const PackName second = test_.AddPack({{chunk}});
    test_.AddSnapshot({chunk});
    // This run keeps the one, the other prune the other.
    BeforeRecord(1, [&] {
      RecordEntries entries;
      entries.condemn = {first};
      test_.Append(entries);
      if (!purge) return;
      entries = {};
      entries.purge = {first};
      test_.Append(entries);
      MustBeOk(test_.fs().Unlink(PackObjectName(first)));
    });
    Run();
    EXPECT_TRUE(WasCalled());
    test_.ExpectWhole();
    EXPECT_EQ(test_.StateOf(second), PackState::kLive);
    EXPECT_FALSE(test_.HasFile(first));
  }
}

TEST_F(PruneConcurrencyTest, GivesUpWhereOtherPrunesComeBetweenForEver) {
  std::vector<PackName> dead;
  for (uint64_t i = 0; i < 50; ++i) dead.push_back(test_.AddPack({{test_.Chunk(i, 100)}}));
  test_.fs().SetHook([&](const DiskOperation& operation) {
    if (operation.kind != DiskOperation::Kind::kRename || !operation.to.starts_with("journal/")) {
      return OkStatus();
    }
    RecordEntries entries;
    entries.condemn = {dead.back()};
    dead.pop_back();
    test_.Append(entries);
    return OkStatus();
  });
  EXPECT_THAT(TryRun(PruneEverything()), StatusIs(StatusCode::kUnavailable));
}

// A directory whose node outlives the chunk below it, and a writer that took the directory over
// from a base snapshot.
class TakenOverTest : public PruneConcurrencyTest {
 protected:
  void SetUp() override {
    chunk_ = test_.Chunk(1, kBigChunk);
    chunk_pack_ = test_.AddPack({{chunk_}});
    const TestBlob other = test_.Tree({test_.Chunk(2, 50)});
    test_.AddPack({{test_.Chunk(2, 50)}});
    directory_ = test_.Tree({chunk_});
    const TestBlob base_root = test_.Root(directory_);
    const TestBlob other_root = test_.Root(other);
    RecordEntries entries;
    entries.packs = {
        test_.WritePack(RandomId<SessionId>(), {{directory_, base_root}, {other, other_root}})};
    entries.snapshots = {test_.SnapshotOf(base_root), test_.SnapshotOf(other_root)};
    test_.Append(entries);
    base_ = entries.snapshots[0].id;
    node_pack_ = entries.packs[0].name;

    writer_.emplace(test_);
  }
  PruneResult RunKeepingNodes(bool now) {
    PruneOptions options = PruneEverything();
    options.max_unused_share = 1;
    options.now = now;
    return Run(options);
  }
  StatusOr<JournalHead> Commit() {
    const TestBlob top = test_.Tree({}, {directory_});
    return writer_->Commit(top, {.used_packs = {}, .base = base_, .root = test_.Root(top).ref});
  }

  TestBlob chunk_;
  PackName chunk_pack_;
  TestBlob directory_;
  SnapshotId base_;
  PackName node_pack_;
  std::optional<TestWriter> writer_;
};

TEST_F(TakenOverTest, IsAConflictOnceTheChunkIsGone) {
  test_.Forget(base_);
  RunKeepingNodes(/*now=*/true);
  ASSERT_TRUE(test_.HasFile(node_pack_));
  ASSERT_FALSE(test_.HasFile(chunk_pack_));
  EXPECT_THAT(Commit(), StatusIs(StatusCode::kAborted, HasSubstr("conflict")));
  test_.ExpectWhole();
}

TEST_F(TakenOverTest, IsAConflictWhereTheChunkGoesJustBeforeTheCommit) {
  BeforeRecord(1, [&] {
    test_.Forget(base_);
    RunKeepingNodes(/*now=*/true);
  });
  EXPECT_THAT(Commit(), StatusIs(StatusCode::kAborted, HasSubstr("conflict")));
  EXPECT_TRUE(WasCalled());
  ASSERT_FALSE(test_.HasFile(chunk_pack_));
  test_.ExpectWhole();
}

TEST_F(TakenOverTest, RescuesTheChunkWhileItIsOnlyCondemned) {
  test_.Forget(base_);
  RunKeepingNodes(/*now=*/false);
  ASSERT_EQ(test_.StateOf(chunk_pack_), PackState::kCondemned);
  ASSERT_OK(Commit());
  EXPECT_EQ(test_.StateOf(chunk_pack_), PackState::kLive);
  writer_.reset();
  RunKeepingNodes(/*now=*/true);
  test_.ExpectWhole();
}

}  // namespace
}  // namespace cairn::testing
