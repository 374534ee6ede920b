// SPDX-License-Identifier: Apache-2.0
// The index on disk among several processes: growth, kills, limits, namespaces.
#include <sched.h>
#include <sys/resource.h>

#include "core/index/lmdb_index.h"
#include "tests/index/child_process.h"
#include "tests/index/index_data.h"
#include "tests/index/lmdb_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Lt;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

TEST_F(LmdbIndexTest, IsSharedByProcesses) {
  const TestPack pack = MakePack(1, 100);
  const auto index = Open();
  EXPECT_TRUE(RunInChild([&]() -> Status {
    ASSIGN_OR_RETURN(auto theirs, OpenLmdbIndex(options_));
    return AddPack(*theirs, pack);
  }));
  EXPECT_THAT(CountPlaces(*index, pack.blobs[9].ref), IsOkAndHolds(1));
  ASSERT_OK(SetHead(*index, 8));
  EXPECT_TRUE(RunInChild([&]() -> Status {
    ASSIGN_OR_RETURN(auto theirs, OpenLmdbIndex(options_));
    ASSIGN_OR_RETURN(const uint64_t head, HeadNumber(*theirs));
    return head == 8 ? OkStatus() : Internal("another head");
  }));
}

TEST_F(LmdbIndexTest, AReaderFollowsTheGrowthByAnotherProcess) {
  LmdbIndexOptions small = options_;
  small.map_bytes = kMiB;
  ASSERT_OK_AND_ASSIGN(auto index, OpenLmdbIndex(small));
  const TestPack pack = MakePack(1, 50'000);
  ASSERT_TRUE(RunInChild([&]() -> Status {
    ASSIGN_OR_RETURN(auto theirs, OpenLmdbIndex(options_));
    return AddPack(*theirs, pack);
  }));
  EXPECT_THAT(CountPlaces(*index, pack.blobs[49'999].ref), IsOkAndHolds(1));
}

TEST_F(LmdbIndexTest, AWriterFollowsTheGrowthByAnotherProcess) {
  LmdbIndexOptions small = options_;
  small.map_bytes = kMiB;
  ASSERT_OK_AND_ASSIGN(auto index, OpenLmdbIndex(small));
  const TestPack pack = MakePack(1, 50'000);
  ASSERT_TRUE(RunInChild([&]() -> Status {
    ASSIGN_OR_RETURN(auto theirs, OpenLmdbIndex(options_));
    return AddPack(*theirs, pack);
  }));
  EXPECT_OK(SetHead(*index, 2));
  EXPECT_THAT(CountPlaces(*index, pack.blobs[0].ref), IsOkAndHolds(1));
}

TEST_F(LmdbIndexTest, AKilledWriterLeavesNothingAndHoldsUpNobody) {
  const auto index = Open();
  const TestPack pack = MakePack(1, 20'000);
  ChildProcess child([&](const std::function<void()>& ready) -> Status {
    ASSIGN_OR_RETURN(auto theirs, OpenLmdbIndex(options_));
    ASSIGN_OR_RETURN(auto writer, theirs->Write());
    RETURN_IF_ERROR(writer->AddPack(pack.info, PackState::kLive, pack.frames, pack.blobs));
    ready();
    SleepForEver();
  });
  ASSERT_TRUE(child.WaitUntilReady());
  EXPECT_THAT(CountPlaces(*index, pack.blobs[0].ref), IsOkAndHolds(0));
  child.Kill();
  EXPECT_OK(SetHead(*index, 1));
  EXPECT_THAT(CountPlaces(*index, pack.blobs[0].ref), IsOkAndHolds(0));
  EXPECT_OK(AddPack(*Open(), pack));
  EXPECT_THAT(CountPlaces(*index, pack.blobs[0].ref), IsOkAndHolds(1));
}

TEST_F(LmdbIndexTest, AKilledReaderDoesNotKeepTheFileGrowing) {
  const auto index = Open();
  ASSERT_OK(SetHead(*index, 1));
  ChildProcess child([&](const std::function<void()>& ready) -> Status {
    ASSIGN_OR_RETURN(auto theirs, OpenLmdbIndex(options_));
    ASSIGN_OR_RETURN(auto reader, theirs->Read());
    ready();
    SleepForEver();
  });
  ASSERT_TRUE(child.WaitUntilReady());
  child.Kill();
  // A process that opens the index clears the slot of the dead reader.
  ASSERT_TRUE(RunInChild([&] { return OpenLmdbIndex(options_).status(); }));
  const Bytes value(100'000);
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK_AND_ASSIGN(auto writer, index->Write());
    ASSERT_OK(writer->PutNote(AsBytes("note"), value));
    ASSERT_OK(writer->Commit());
  }
  EXPECT_THAT(index->StoredBytes(), IsOkAndHolds(Lt(kMiB)));
}

TEST_F(LmdbIndexTest, MakesDoWithLittleAddressSpace) {
  if (kSanitized) GTEST_SKIP() << "sanitizers need address space themselves";
  options_.map_bytes = LmdbIndexOptions().map_bytes;
  EXPECT_TRUE(RunInChild([&]() -> Status {
    const rlimit limit{2 * kGiB, 2 * kGiB};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return Internal("setrlimit");
    ASSIGN_OR_RETURN(auto index, OpenLmdbIndex(options_));
    return AddPack(*index, MakePack(1, 1000));
  }));
}

TEST_F(LmdbIndexTest, SaysThatItHasNoAddressSpaceForALargerMap) {
  if (kSanitized) GTEST_SKIP() << "sanitizers need address space themselves";
  EXPECT_TRUE(RunInChild([&]() -> Status {
    options_.map_bytes = kMiB;
    ASSIGN_OR_RETURN(auto index, OpenLmdbIndex(options_));
    const TestPack pack = MakePack(1, 50'000);
    EXPECT_TRUE(RunInChild([&]() -> Status {
      options_.map_bytes = kGiB;
      ASSIGN_OR_RETURN(auto theirs, OpenLmdbIndex(options_));
      return AddPack(*theirs, pack);
    }));
    const rlimit limit{4 * kMiB, 4 * kMiB};  // less than is in use
    if (setrlimit(RLIMIT_AS, &limit) != 0) return Internal("setrlimit");
    EXPECT_THAT(index->Read(), StatusIs(StatusCode::kResourceExhausted));
    EXPECT_THAT(index->Write(), StatusIs(StatusCode::kResourceExhausted));
    return OkStatus();
  }));
}

// Runs `body` as process 1 of a new pid namespace; false if that is not allowed.
bool EnterPidNamespace() { return unshare(CLONE_NEWPID) == 0; }

TEST_F(LmdbIndexTest, IsUnavailableToAnEqualPidOfAnotherNamespace) {
  if (!RunInChild(
          []() -> Status { return EnterPidNamespace() ? OkStatus() : Internal("unshare"); })) {
    GTEST_SKIP() << "pid namespaces are not allowed here";
  }
  ASSERT_OK(SetHead(*Open(), 1));
  // In each namespace the process that uses the index is number 1.
  ChildProcess first([&](const std::function<void()>& ready) -> Status {
    if (!EnterPidNamespace()) return Internal("unshare");
    ChildProcess process_one([&](const std::function<void()>&) -> Status {
      ASSIGN_OR_RETURN(auto index, OpenLmdbIndex(options_));
      ready();
      SleepForEver();
    });
    process_one.Join();
    return OkStatus();
  });
  ASSERT_TRUE(first.WaitUntilReady());
  EXPECT_TRUE(RunInChild([&]() -> Status {
    if (!EnterPidNamespace()) return Internal("unshare");
    const bool refused = RunInChild([&]() -> Status {
      EXPECT_THAT(OpenLmdbIndex(options_),
                  StatusIs(StatusCode::kUnavailable, HasSubstr("pid namespace")));
      return OkStatus();
    });
    return refused ? OkStatus() : Internal("not refused");
  }));
  EXPECT_THAT(HeadNumber(*Open()), IsOkAndHolds(1));
}

}  // namespace
}  // namespace cairn::testing
