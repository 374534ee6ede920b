// SPDX-License-Identifier: Apache-2.0
// What prune keeps and what it reclaims, with nobody else at work.
#include "core/repo/prune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/store/sessions.h"
#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class PruneTest : public ::testing::Test {
 protected:
  PruneResult Run(const PruneOptions& options) { return Must(Prune(test_.repository(), options)); }
  PruneResult Run() { return Run(PruneEverything()); }
  uint64_t Head() { return test_.State().head().number; }
  uint64_t SizeOf(const PackName& name) { return Must(test_.fs().FileSize(PackObjectName(name))); }
  // The journal says that the pack is purged; its file is there still.
  void AppendPurgeOf(const PackName& pack) {
    RecordEntries entries;
    entries.condemn = {pack};
    test_.Append(entries);
    entries = {};
    entries.purge = {pack};
    test_.Append(entries);
  }

  TestRepository test_;
};

TEST_F(PruneTest, PacksThatHoldNothingLiveGo) {
  const TestBlob used = test_.Chunk(1, kBigChunk);
  const TestBlob unused = test_.Chunk(2, kBigChunk);
  const PackName live = test_.AddPack({{used}});
  const PackName dead = test_.AddPack({{unused}});
  test_.AddSnapshot({used});
  const uint64_t dead_bytes = SizeOf(dead);

  const PruneResult result = Run();
  EXPECT_FALSE(test_.IsNamed(dead));
  EXPECT_FALSE(test_.HasFile(dead));
  EXPECT_EQ(test_.StateOf(live), PackState::kLive);
  test_.ExpectWhole();
  EXPECT_EQ(result.packs_before, 3U);
  EXPECT_EQ(result.packs_dropped, 1U);
  EXPECT_EQ(result.bytes_dropped, dead_bytes);
  EXPECT_EQ(result.packs_purged, 1U);
  EXPECT_EQ(result.bytes_freed, dead_bytes);
  EXPECT_EQ(result.packs_rewritten, 0U);
  EXPECT_EQ(result.packs_waiting, 0U);
  EXPECT_EQ(result.bytes_after, result.bytes_before - dead_bytes);
  EXPECT_EQ(result.unused_bytes, kBigChunk);
}

TEST_F(PruneTest, WhatAForgottenSnapshotHeldAloneGoesWithItsNodes) {
  const TestBlob shared = test_.Chunk(1, kBigChunk);
  const TestBlob own = test_.Chunk(2, kBigChunk);
  test_.AddPack({{shared}});
  test_.AddPack({{own}});
  const SnapshotId forgotten = test_.AddSnapshot({shared, own});
  test_.AddSnapshot({shared});
  test_.Forget(forgotten);
  Run();
  EXPECT_EQ(test_.PackFiles(), 2U);
  EXPECT_FALSE(test_.CanRead(own));
  test_.ExpectWhole();
}

TEST_F(PruneTest, WithoutSnapshotsEverythingGoes) {
  test_.AddPack({{test_.Chunk(1, kBigChunk)}});
  test_.Forget(test_.AddSnapshot({}));
  Run();
  EXPECT_EQ(test_.PackFiles(), 0U);
  EXPECT_THAT(test_.State().packs(), IsEmpty());
}

TEST_F(PruneTest, WhereNothingIsToDoNoRecordIsPlaced) {
  const TestBlob chunk = test_.Chunk(1, kBigChunk);
  test_.AddPack({{chunk}});
  test_.AddSnapshot({chunk});
  const uint64_t head = Head();
  const PruneResult result = Run();
  EXPECT_EQ(Head(), head);
  EXPECT_EQ(result.bytes_freed, 0U);
  EXPECT_EQ(result.bytes_after, result.bytes_before);
}

TEST_F(PruneTest, APackThatIsLiveInPartIsRewritten) {
  const TestBlob used = test_.Chunk(1, kBigChunk);
  const TestBlob neighbour = test_.Chunk(2, kBigChunk);  // in the same frame
  const TestBlob other = test_.Chunk(3, kBigChunk);
  const PackName pack = test_.AddPack({{neighbour, used}, {other}});
  const SnapshotId id = test_.AddSnapshot({used});
  const uint64_t old_bytes = SizeOf(pack);

  const PruneResult result = Run();
  EXPECT_FALSE(test_.HasFile(pack));
  EXPECT_TRUE(test_.CanRead(used));
  EXPECT_FALSE(test_.CanRead(neighbour));
  EXPECT_FALSE(test_.CanRead(other));
  test_.ExpectWhole();
  EXPECT_TRUE(test_.State().snapshots().contains(id));
  EXPECT_EQ(result.packs_rewritten, 1U);
  EXPECT_EQ(result.bytes_rewritten, old_bytes);
  EXPECT_GT(result.used_bytes, 2 * kBigChunk);  // the whole frame, and the nodes
  EXPECT_LT(result.used_bytes, 2 * kBigChunk + 1000);
  EXPECT_EQ(result.unused_bytes, kBigChunk);
  EXPECT_EQ(result.bytes_after, result.bytes_before - old_bytes + result.bytes_written);
  EXPECT_LT(result.bytes_written, kBigChunk + 1000);
}

TEST_F(PruneTest, WasteWithinTheLimitStays) {
  const TestBlob used = test_.Chunk(1, kBigChunk);
  const PackName pack = test_.AddPack({{used}, {test_.Chunk(2, kBigChunk)}});
  test_.AddSnapshot({used});
  PruneOptions options = PruneEverything();
  options.max_unused_share = 0.6;
  EXPECT_EQ(Run(options).packs_rewritten, 0U);
  EXPECT_TRUE(test_.HasFile(pack));
  options.max_unused_share = 0.4;
  EXPECT_EQ(Run(options).packs_rewritten, 1U);
  EXPECT_FALSE(test_.HasFile(pack));
}

TEST_F(PruneTest, NoMoreIsRewrittenThanAllowed) {
  const TestBlob used = test_.Chunk(1, kBigChunk);
  const PackName pack = test_.AddPack({{used}, {test_.Chunk(2, kBigChunk)}});
  test_.AddSnapshot({used});
  PruneOptions options = PruneEverything();
  options.max_repack_bytes = 100;
  Run(options);
  EXPECT_TRUE(test_.HasFile(pack));
}

TEST_F(PruneTest, AFrameThatIsLiveAsAWholeIsCopiedAsItIsStored) {
  const TestBlob first = test_.Chunk(1, 300'000);
  const TestBlob second = test_.Chunk(2, 300'000);
  const PackName pack = test_.AddPack({{first, second}, {test_.Chunk(3, kBigChunk)}});
  test_.AddSnapshot({first, second});
  const PackInfo info = test_.State().FindPack(pack)->info;
  const RepositoryKeys keys = test_.repository().keys();
  const PackFooter old_footer = Must(ReadPackFooter(test_.repository().store(), keys, info));
  Run();
  ASSERT_FALSE(test_.IsNamed(pack));
  std::vector<FrameChecksum> checksums;
  const JournalState state = test_.State();
  for (const auto& [name, entry] : state.packs()) {
    const PackFooter footer = Must(ReadPackFooter(test_.repository().store(), keys, entry.info));
    for (const FrameInfo& frame : footer.frames) checksums.push_back(frame.checksum);
  }
  EXPECT_THAT(checksums, Contains(old_footer.frames[0].checksum));
  EXPECT_THAT(checksums, Not(Contains(old_footer.frames[1].checksum)));
  test_.ExpectWhole();
}

TEST_F(PruneTest, SmallPacksAreMergedOnce) {
  std::vector<TestBlob> chunks;
  for (uint64_t i = 0; i < 16; ++i) {
    chunks.push_back(test_.Chunk(i, 500));
    test_.AddPack({{chunks.back()}});
  }
  test_.AddSnapshot(chunks);
  const PruneResult result = Run();
  EXPECT_EQ(result.packs_rewritten, 17U);
  EXPECT_EQ(test_.PackFiles(), 1U);
  const auto packs = test_.State().packs();
  ASSERT_THAT(packs, SizeIs(1));
  const PackFooter footer = Must(ReadPackFooter(
      test_.repository().store(), test_.repository().keys(), packs.begin()->second.info));
  EXPECT_THAT(footer.frames, SizeIs(2));  // chunks and nodes
  test_.ExpectWhole();

  const uint64_t head = Head();
  Run();
  EXPECT_EQ(Head(), head);
}

TEST_F(PruneTest, OfTwoPlacesOfABlobOneIsKept) {
  const TestBlob chunk = test_.Chunk(1, kBigChunk);
  const PackName first = test_.AddPack({{chunk}});
  const PackName second = test_.AddPack({{chunk}});
  test_.AddSnapshot({chunk});
  Run();
  EXPECT_NE(test_.HasFile(first), test_.HasFile(second));
  test_.ExpectWhole();
}

TEST_F(PruneTest, ABlobThatIsInAPackTwiceIsKept) {
  const TestBlob chunk = test_.Chunk(1, kBigChunk);
  const TestBlob other = test_.Chunk(2, kBigChunk);
  test_.AddPack({{chunk}, {other}, {chunk}});
  test_.AddSnapshot({chunk});
  const PruneResult result = Run();
  EXPECT_EQ(result.packs_rewritten, 1U);
  EXPECT_TRUE(test_.CanRead(chunk));
  test_.ExpectWhole();
}

TEST_F(PruneTest, ABlobThatIsOnlyInACondemnedPackIsRescued) {
  const TestBlob chunk = test_.Chunk(1, kBigChunk);
  const PackName pack = test_.AddPack({{chunk}});
  test_.AddSnapshot({chunk});
  RecordEntries entries;
  entries.condemn = {pack};
  test_.Append(entries);
  Run();
  EXPECT_EQ(test_.StateOf(pack), PackState::kLive);
  test_.ExpectWhole();
}

TEST_F(PruneTest, WhatIsInACondemnedPackAndALiveOneIsKeptInTheLiveOne) {
  const TestBlob chunk = test_.Chunk(1, kBigChunk);
  const PackName condemned = test_.AddPack({{chunk}});
  const PackName live = test_.AddPack({{chunk}});
  test_.AddSnapshot({chunk});
  RecordEntries entries;
  entries.condemn = {condemned};
  test_.Append(entries);
  Run();
  EXPECT_FALSE(test_.HasFile(condemned));
  EXPECT_TRUE(test_.HasFile(live));
  test_.ExpectWhole();
}

TEST_F(PruneTest, WhereABlobIsMissingNothingIsRemoved) {
  const PackName dead = test_.AddPack({{test_.Chunk(1, kBigChunk)}});
  test_.AddSnapshot({test_.Chunk(2)});
  const uint64_t head = Head();
  EXPECT_THAT(Prune(test_.repository(), PruneEverything()),
              StatusIs(StatusCode::kDataLoss, HasSubstr("nothing was removed")));
  EXPECT_EQ(Head(), head);
  EXPECT_TRUE(test_.HasFile(dead));
}

TEST_F(PruneTest, WhereANodeIsDamagedNothingIsRemoved) {
  const PackName dead = test_.AddPack({{test_.Chunk(1, kBigChunk)}});
  const SnapshotId id = test_.AddSnapshot({});
  const uint64_t record = test_.State().snapshots().at(id).record;
  const JournalState state = test_.State();
  for (const auto& [name, entry] : state.packs()) {
    if (entry.named_at != record) continue;
    MustBeOk(test_.fs().Damage(PackObjectName(name),
                               [](Bytes& bytes) { bytes[kPackHeaderBytes + 5] ^= 1; }));
  }
  EXPECT_THAT(Prune(test_.repository(), PruneEverything()), StatusIs(StatusCode::kDataLoss));
  EXPECT_TRUE(test_.HasFile(dead));
}

TEST_F(PruneTest, ADamagedPackIsNotRewritten) {
  // A large frame would be copied as it is stored.
  for (const size_t size : {kBigChunk, size_t{kChunkFrameBytes} / 2}) {
    const TestBlob used = test_.Chunk(size, size);
    const PackName pack = test_.AddPack({{used}, {test_.Chunk(size + 1, size)}});
    const PackName dead = test_.AddPack({{test_.Chunk(size + 2, size)}});
    test_.AddSnapshot({used});
    MustBeOk(test_.fs().Damage(PackObjectName(pack),
                               [](Bytes& bytes) { bytes[kPackHeaderBytes + 5] ^= 1; }));
    Run();
    EXPECT_EQ(test_.StateOf(pack), PackState::kLive);
    EXPECT_FALSE(test_.HasFile(dead));
    EXPECT_THAT(test_.warnings(), Contains(HasSubstr(pack.Hex())));
  }
}

TEST_F(PruneTest, TheSameProcessGoesOnReading) {
  const TestBlob used = test_.Chunk(1, kBigChunk);
  test_.AddPack({{used}, {test_.Chunk(2, kBigChunk)}});
  test_.AddSnapshot({used});
  Run();
  EXPECT_THAT(test_.repository().ReadBlob(used.ref), IsOkAndHolds(used.bytes));
}

TEST_F(PruneTest, AReaderThatMissesAPackLooksAgain) {
  const TestBlob used = test_.Chunk(1, kBigChunk);
  test_.AddPack({{used}, {test_.Chunk(2, kBigChunk)}});
  test_.AddSnapshot({used});
  const auto reader = test_.Open();
  Run();
  EXPECT_THAT(reader->ReadBlob(used.ref), IsOkAndHolds(used.bytes));
}

// Packs of one big chunk that is used and one that is not.
class ManyPacksTest : public PruneTest {
 protected:
  void SetUp() override {
    for (uint64_t i = 0; i < 10; ++i) {
      used_.push_back(test_.Chunk(2 * i, kBigChunk));
      test_.AddPack({{used_.back()}, {test_.Chunk(2 * i + 1, kBigChunk)}});
    }
    test_.AddSnapshot(used_);
  }

  std::vector<TestBlob> used_;
};

TEST_F(ManyPacksTest, AreRewrittenByManyThreads) {
  PruneOptions options = PruneEverything();
  options.threads = 4;
  EXPECT_EQ(Run(options).packs_rewritten, 10U);
  test_.ExpectWhole();
  EXPECT_LE(test_.PackFiles(), 6U);
}

TEST_F(ManyPacksTest, AreRewrittenInPortions) {
  PruneOptions options = PruneEverything();
  options.portion_bytes = 1;
  std::vector<std::string> phases;
  options.on_phase = [&](const char* phase) { phases.emplace_back(phase); };
  const PruneResult result = Run(options);
  EXPECT_EQ(result.packs_rewritten, 10U);
  EXPECT_EQ(result.packs_purged, 10U);
  EXPECT_GE(std::ranges::count(phases, "rewriting"), 2);
  test_.ExpectWhole();
  for (const TestBlob& chunk : used_) EXPECT_TRUE(test_.CanRead(chunk));
}

TEST_F(ManyPacksTest, AStopLeavesNothingBehind) {
  StopFlag stop;
  PruneOptions options = PruneEverything();
  options.stop = &stop;
  options.on_phase = [&](const char* phase) {
    if (std::string(phase) == "rewriting") stop.Request();
  };
  const size_t files = test_.PackFiles();
  const uint64_t head = Head();
  EXPECT_THAT(Prune(test_.repository(), options), StatusIs(StatusCode::kCancelled));
  EXPECT_EQ(test_.PackFiles(), files);
  EXPECT_EQ(Head(), head);
  test_.ExpectWhole();
}

TEST_F(ManyPacksTest, WhatCannotBeWrittenLeavesNothingBehind) {
  const size_t files = test_.PackFiles();
  PruneOptions options = PruneEverything();
  options.on_phase = [&](const char* phase) {
    if (std::string(phase) == "rewriting") {
      test_.fs().FailChanges({.skip = 9, .count = DiskFault::kForever});
    }
  };
  EXPECT_THAT(Prune(test_.repository(), options), StatusIs(StatusCode::kUnavailable));
  test_.fs().ClearFaults();
  test_.ExpectWhole();
  // A later process, which does not distrust the disk, removes what it kept.
  const auto later = test_.Open();
  EXPECT_OK(Prune(*later, PruneEverything()));
  test_.ExpectWhole();
  EXPECT_LE(test_.PackFiles(), files);
  EXPECT_THAT(Must(later->store().ListUnfinished()), IsEmpty());
}

TEST_F(ManyPacksTest, ADryRunSaysWhatARunDoesAndDoesNothing) {
  test_.AddPack({{test_.Chunk(100, kBigChunk)}});
  const SnapshotId forgotten = test_.AddSnapshot({used_[0]});
  test_.Forget(forgotten);
  const PackName old = test_.AddPack({{test_.Chunk(101, kBigChunk)}});
  RecordEntries condemn;
  condemn.condemn = {old};
  test_.Append(condemn);
  const PackName unswept = test_.AddPack({{test_.Chunk(102, kBigChunk)}});
  RecordEntries purge;
  condemn.condemn = {unswept};
  test_.Append(condemn);
  purge.purge = {unswept};
  test_.Append(purge);
  test_.WritePack(RandomId<SessionId>(), {{test_.Chunk(103, kBigChunk)}});
  // Older than the condemned packs to come, younger than the one that is there.
  const auto session = Must(Session::Open(test_.fs(), "snapshot"));
  MustBeOk(session->SetStart(Head()));

  PruneOptions options = PruneEverything();
  options.dry_run = true;
  const std::vector<std::string> paths = test_.fs().AllPaths();
  const uint64_t head = Head();
  const PruneResult dry = Run(options);
  EXPECT_EQ(test_.fs().AllPaths(), paths);
  EXPECT_EQ(Head(), head);

  const PruneResult wet = Run();
  EXPECT_EQ(dry.packs_before, wet.packs_before);
  EXPECT_EQ(dry.bytes_before, wet.bytes_before);
  EXPECT_EQ(dry.used_bytes, wet.used_bytes);
  EXPECT_EQ(dry.unused_bytes, wet.unused_bytes);
  EXPECT_EQ(dry.packs_dropped, wet.packs_dropped);
  EXPECT_EQ(dry.bytes_dropped, wet.bytes_dropped);
  EXPECT_EQ(dry.packs_rewritten, wet.packs_rewritten);
  EXPECT_EQ(dry.bytes_rewritten, wet.bytes_rewritten);
  EXPECT_EQ(dry.packs_purged, wet.packs_purged);
  EXPECT_EQ(dry.bytes_freed, wet.bytes_freed);
  EXPECT_EQ(dry.files_removed, wet.files_removed);
  EXPECT_EQ(dry.packs_waiting, wet.packs_waiting);
  EXPECT_EQ(dry.bytes_waiting, wet.bytes_waiting);
  EXPECT_EQ(dry.waits_for, wet.waits_for);
  EXPECT_EQ(wet.packs_dropped, 2U);
  EXPECT_EQ(wet.packs_rewritten, 10U);
  EXPECT_EQ(wet.packs_purged, 1U);
  EXPECT_EQ(wet.packs_waiting, 12U);
  EXPECT_EQ(wet.files_removed, 1U);
  EXPECT_THAT(wet.waits_for, SizeIs(1));
  // The estimates are near.
  EXPECT_NEAR(static_cast<double>(dry.bytes_written), static_cast<double>(wet.bytes_written), 4000);
  EXPECT_NEAR(static_cast<double>(dry.bytes_after), static_cast<double>(wet.bytes_after), 4000);
}

TEST_F(PruneTest, ADryRunNeedsNoWriting) {
  test_.AddPack({{test_.Chunk(1, kBigChunk)}});
  test_.fs().FailChanges({.code = StatusCode::kPermissionDenied, .count = DiskFault::kForever});
  PruneOptions options = PruneEverything();
  options.dry_run = true;
  EXPECT_EQ(Run(options).packs_dropped, 1U);
}

TEST_F(PruneTest, WhatWasPurgedByARunThatDidNotEndIsSwept) {
  const PackName pack = test_.AddPack({{test_.Chunk(1, kBigChunk)}});
  AppendPurgeOf(pack);
  const uint64_t bytes = SizeOf(pack);
  EXPECT_EQ(Run().bytes_freed, bytes);
  EXPECT_FALSE(test_.HasFile(pack));
  EXPECT_FALSE(test_.IsNamed(pack));
}

TEST_F(PruneTest, AFileThatIsGoneAlreadyIsSweptToo) {
  const PackName pack = test_.AddPack({{test_.Chunk(1, kBigChunk)}});
  AppendPurgeOf(pack);
  MustBeOk(test_.fs().Unlink(PackObjectName(pack)));
  EXPECT_EQ(Run().bytes_freed, 0U);
  EXPECT_FALSE(test_.IsNamed(pack));
}

TEST_F(PruneTest, ARunGoesOnWhereOneWasCutOff) {
  const TestBlob used = test_.Chunk(1, kBigChunk);
  test_.AddPack({{used}, {test_.Chunk(2, kBigChunk)}});
  test_.AddPack({{test_.Chunk(3, kBigChunk)}});
  test_.AddSnapshot({used});
  // Fails at every change there is, one after another.
  for (size_t skip = 0;; ++skip) {
    ASSERT_LT(skip, 1000U);
    test_.fs().FailChanges({.skip = skip, .count = DiskFault::kForever});
    const auto result = Prune(*test_.Open(), PruneEverything());
    test_.fs().ClearFaults();
    test_.ExpectWhole();
    if (result.ok()) break;
  }
  Run();
  test_.ExpectWhole();
  EXPECT_EQ(test_.PackFiles(), 2U);
  EXPECT_THAT(test_.State().packs(), SizeIs(2));
}

class LeftoversTest : public PruneTest {
 protected:
  std::vector<std::string> Unfinished() {
    std::vector<std::string> owners;
    for (const auto& file : Must(test_.repository().store().ListUnfinished())) {
      owners.push_back(file.owner);
    }
    return owners;
  }
  void LeaveUnfinished(const std::string& owner) {
    if (test_.fs().List("tmp").status().code() == StatusCode::kNotFound) {
      MustBeOk(test_.fs().CreateDirectory("tmp"));
    }
    MustBeOk(Must(test_.fs().CreateNew("tmp/" + owner + "-0011"))->Append(Bytes(100)));
  }
};

TEST_F(LeftoversTest, AnUnnamedPackOfADeadSessionGoesAndTheSessionIsEnded) {
  const auto dead = RandomId<SessionId>();
  const PackInfo pack = test_.WritePack(dead, {{test_.Chunk(1, kBigChunk)}});
  const PruneResult result = Run();
  EXPECT_FALSE(test_.HasFile(pack.name));
  EXPECT_TRUE(test_.State().IsEnded(dead));
  EXPECT_EQ(result.files_removed, 1U);
  EXPECT_EQ(result.bytes_freed, pack.bytes);
}

TEST_F(LeftoversTest, AnUnnamedPackOfALiveSessionStays) {
  const auto session = Must(Session::Open(test_.fs(), "snapshot"));
  const PackInfo pack = test_.WritePack(session->id(), {{test_.Chunk(1, kBigChunk)}});
  EXPECT_EQ(Run().files_removed, 0U);
  EXPECT_TRUE(test_.HasFile(pack.name));
  EXPECT_FALSE(test_.State().IsEnded(session->id()));
}

TEST_F(LeftoversTest, AFileThatIsNoPackStays) {
  const PackInfo pack = test_.WritePack(RandomId<SessionId>(), {{test_.Chunk(1, kBigChunk)}});
  MustBeOk(test_.fs().Damage(PackObjectName(pack.name), [](Bytes& bytes) { bytes[50] ^= 1; }));
  EXPECT_EQ(Run().files_removed, 0U);
  EXPECT_TRUE(test_.HasFile(pack.name));
  EXPECT_THAT(test_.warnings(), Contains(HasSubstr(pack.name.Hex())));
}

TEST_F(LeftoversTest, UnfinishedFilesOfDeadSessionsGo) {
  const auto session = Must(Session::Open(test_.fs(), "snapshot"));
  const std::string dead = RandomId<SessionId>().Hex();
  LeaveUnfinished(session->id().Hex());
  LeaveUnfinished(dead);
  LeaveUnfinished("put");
  LeaveUnfinished("somebody");
  EXPECT_EQ(Run().files_removed, 2U);
  EXPECT_THAT(Unfinished(),
              ::testing::UnorderedElementsAre(session->id().Hex(), std::string("somebody")));
}

}  // namespace
}  // namespace cairn::testing
