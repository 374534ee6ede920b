// SPDX-License-Identifier: Apache-2.0
// An error of any single write, sync, rename, unlink and read of a history, repositories that
// vanish in the middle of a command, and disks that are full from any byte on. A command may fail,
// and says so; nothing that was acknowledged is lost; the commands after it work.
#include <functional>
#include <string>

#include "core/repo/reserve.h"
#include "tests/crash/history.h"

namespace cairn::testing {
namespace {

// Each step is a command, a process of its own, after which `ended` is called. How many failed.
int RunSteps(
    History& history, const std::function<void()>& ended = [] {}) {
  int failed = 0;
  const auto step = [&](const Status& status) {
    if (!status.ok()) ++failed;
    ended();
    if (history.TryReopen().ok()) return;
    ++failed;
    ended();
    history.Reopen();
  };
  const size_t before = history.acknowledged();
  Source& source = history.source();
  source.WriteNoise("one", 60'000, 1);
  source.WriteNoise("two", 40'000, 2);
  step(history.Snapshot());
  source.Remove("two");
  source.Change("one");
  step(history.Snapshot());
  if (history.acknowledged() > before) step(history.Forget(before));
  step(history.PruneAll());
  source.WriteNoise("two", 40'000, 2);  // was pruned
  step(history.Snapshot());
  return failed;
}

// A history for each n below `count`, which `run` lets fail at the n-th operation; it returns how
// many commands failed. All of them together.
int FailAtEach(size_t count, const std::function<int(History&, size_t n)>& run) {
  int failed = 0;
  for (size_t n = 0; n < count; ++n) {
    SCOPED_TRACE("operation " + std::to_string(n) + " fails");
    History history;
    const int failed_now = run(history, n);
    EXPECT_LE(failed_now, 1);
    failed += failed_now;
    history.VerifyCutAfter(history.operations(), {.policy = CrashPolicy::kKeepAll});
    if (::testing::Test::HasFailure()) break;
  }
  return failed;
}

class FaultTest : public ::testing::TestWithParam<DiskFault> {};

TEST_P(FaultTest, OfAnyOperationIsSaidAndLosesNothing) {
  size_t operations = 0;
  {
    History history;
    const size_t begin = history.operations();
    ASSERT_EQ(RunSteps(history), 0);
    operations = history.operations() - begin;
  }
  const int failed = FailAtEach(operations, [](History& history, size_t n) {
    DiskFault fault = GetParam();
    fault.skip = n;
    history.disk().FailChanges(fault);
    const int failed_now = RunSteps(history);
    history.disk().ClearFaults();
    return failed_now;
  });
  EXPECT_GT(failed, static_cast<int>(operations / 4));
  RecordProperty("faults", static_cast<int>(operations));
  RecordProperty("failed_commands", failed);
}

INSTANTIATE_TEST_SUITE_P(Kinds, FaultTest,
                         ::testing::Values(DiskFault{}, DiskFault{.applied = true},
                                           DiskFault{.code = StatusCode::kResourceExhausted,
                                                     .partial_bytes = 100}),
                         [](const ::testing::TestParamInfo<DiskFault>& fault) -> std::string {
                           if (fault.param.applied) return "DoneAllTheSame";
                           return fault.param.partial_bytes > 0 ? "HalfWritten" : "NotDone";
                         });

// How often the history reads something.
size_t CountReads() {
  History history;
  size_t reads = 0;
  history.disk().SetHook([&](const DiskOperation& operation) {
    const bool is_read = operation.kind >= DiskOperation::Kind::kOpenRead &&
                         operation.kind != DiskOperation::Kind::kLock;
    if (is_read) ++reads;
    return OkStatus();
  });
  EXPECT_EQ(RunSteps(history), 0);
  return reads;
}

TEST(ReadFaultTest, OfAnyReadIsSaidAndLosesNothing) {
  const size_t reads = CountReads();
  const int failed = FailAtEach(reads, [](History& history, size_t n) {
    history.disk().FailReads({.skip = n});
    const int failed_now = RunSteps(history);
    history.disk().ClearFaults();
    return failed_now;
  });
  EXPECT_GT(failed, static_cast<int>(reads / 4));
  RecordProperty("faults", static_cast<int>(reads));
  RecordProperty("failed_commands", failed);
}

// A disk that is pulled out, or a mount that goes, and is there again for the next command.
TEST(VanishedRepositoryTest, AtAnyOperationIsSaidAndLosesNothing) {
  size_t vanishes_at = SIZE_MAX;
  size_t operations = 0;
  bool is_gone = false;
  const auto hook = [&](const DiskOperation&) {
    is_gone = is_gone || operations++ == vanishes_at;
    return is_gone ? Unavailable("it has vanished") : OkStatus();
  };
  const auto run = [&](History& history) {
    operations = 0;
    history.disk().SetHook(hook);
    const int failed = RunSteps(history, [&] { is_gone = false; });
    history.disk().SetHook(nullptr);
    return failed;
  };
  {
    History history;
    ASSERT_EQ(run(history), 0);
  }
  const size_t all = operations;
  const int failed = FailAtEach(all, [&](History& history, size_t n) {
    vanishes_at = n;
    return run(history);
  });
  EXPECT_GT(failed, static_cast<int>(all / 2));
  RecordProperty("vanished", static_cast<int>(all));
  RecordProperty("failed_commands", failed);
}

class FullDiskTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kPlenty = 64 * kMiB;

  // A snapshot of what is then removed, on a disk that has the reserve.
  static void Begin(History& history) {
    history.disk().SetCapacityBytes(kPlenty);
    history.source().WriteNoise("zero", 100'000, 9);
    ASSERT_OK(history.Snapshot());
    history.source().Remove("zero");
    ASSERT_OK(EnsureReserve(history.disk()));
  }
  static uint64_t Used(History& history) {
    const StatusOr<uint64_t> free = history.disk().FreeBytes();
    EXPECT_OK(free.status());
    return kPlenty - free.value_or(0);
  }
};

TEST_F(FullDiskTest, FromAnyByteOnLosesNothingAndForgetAndPruneMakeRoom) {
  History roomy;
  Begin(roomy);
  ASSERT_EQ(RunSteps(roomy), 0);
  const uint64_t most = Used(roomy);
  int failed = 0;
  for (uint64_t missing = 0; missing < 240'000; missing += 3'001) {
    SCOPED_TRACE(std::to_string(missing) + " bytes are missing");
    History history;
    Begin(history);
    history.disk().SetCapacityBytes(most - missing);
    failed += RunSteps(history);
    // No byte is left but the reserve's, as a command leaves it that had room for it.
    history.disk().SetCapacityBytes(kPlenty);
    ASSERT_OK(EnsureReserve(history.disk()));
    history.disk().SetCapacityBytes(Used(history));
    ASSERT_OK(history.Forget(0));
    history.Reopen();
    ASSERT_OK(history.PruneAll());
    ASSERT_OK_AND_ASSIGN(const uint64_t freed, history.disk().FreeBytes());
    EXPECT_GT(freed, 100'000U);
    history.disk().SetCapacityBytes(kPlenty);
    history.VerifyCutAfter(history.operations(), {.policy = CrashPolicy::kKeepAll});
    if (HasFailure()) return;
  }
  EXPECT_GT(failed, 50);
  RecordProperty("failed_commands", failed);
}

}  // namespace
}  // namespace cairn::testing
