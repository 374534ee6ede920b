// SPDX-License-Identifier: Apache-2.0
// Every sync in the code is needed: without it, a power cut at some moment loses something.
#include <gtest/gtest-spi.h>

#include <map>
#include <string>

#include "tests/crash/history.h"

namespace cairn::testing {
namespace {

using Kind = DiskOperation::Kind;

bool IsSync(const DiskOperation& operation) {
  return operation.kind == Kind::kSync || operation.kind == Kind::kSyncDirectory;
}

// What stands for a place in the code: what is synced there.
std::string SyncedThing(const DiskOperation& sync) {
  const bool is_file = sync.kind == Kind::kSync;
  std::string folder = sync.path.substr(0, sync.path.find('/'));
  return (is_file ? "files of " : "the folder ") + folder;
}

// What a test would say, instead of saying it.
template <typename Verify>
bool WouldFail(Verify verify) {
  ::testing::TestPartResultArray failures;
  ::testing::ScopedFakeTestPartResultReporter intercept(
      ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
  verify();
  return failures.size() > 0;
}

// Whether some power cut loses something if no sync of `what` does anything.
bool IsNeeded(const History& history, const std::string& what) {
  for (const CrashPolicy policy :
       {CrashPolicy::kDropUnsynced, CrashPolicy::kKeepNamesDropData, CrashPolicy::kRandom}) {
    for (size_t n = 0; n <= history.operations(); ++n) {
      const CrashChoices choices = {
          .policy = policy, .seed = n, .is_sync_lost = [&](const DiskOperation& operation) {
            return SyncedThing(operation) == what;
          }};
      if (WouldFail([&] { history.VerifyCutAfter(n, choices); })) return true;
    }
  }
  return false;
}

TEST(SyncTest, WithoutEachSomethingIsLost) {
  History history;
  MakeHistory(history);
  std::map<std::string, int> synced;
  for (const DiskOperation& operation : history.disk().operations()) {
    if (IsSync(operation)) ++synced[SyncedThing(operation)];
  }
  // There is nothing in it: its sync makes a file system allocate it now.
  synced.erase("files of reserve");
  for (const auto& [what, times] : synced) {
    EXPECT_TRUE(IsNeeded(history, what)) << what << " (" << times << " times)";
  }
  RecordProperty("kinds_of_syncs", static_cast<int>(synced.size()));
}

}  // namespace
}  // namespace cairn::testing
