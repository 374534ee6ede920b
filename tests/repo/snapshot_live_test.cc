// SPDX-License-Identifier: Apache-2.0
// Sources that change while they are read.
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "core/repo/check.h"
#include "tests/repo/restore_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SnapshotLiveTest : public RestoreTest {
 protected:
  // Bytes that tell where they stand.
  static std::string Numbered(size_t first_line, size_t lines) {
    std::string text;
    for (size_t i = first_line; i < first_line + lines; ++i) {
      std::string line = std::to_string(i);
      line.insert(0, 15 - line.size(), '.');
      text += line + "\n";
    }
    return text;
  }
};

TEST_F(SnapshotLiveTest, AFileThatKeepsGrowingIsStoredAsItWasReadAndReported) {
  size_t lines = 400'000;
  Write(Source("log"), Numbered(0, lines));
  std::atomic<bool> done = false;
  std::atomic<bool> begun = false;
  std::thread writer([&] {
    std::ofstream log(Source("log"), std::ios::app | std::ios::binary);
    while (!done) {
      log << Numbered(lines, 10) << std::flush;
      lines += 10;
      begun = true;
    }
  });
  while (!begun) std::this_thread::yield();
  SnapshotOptions options;
  options.labels.host = "host";
  Mutex mutex;
  std::map<std::string, std::string> problems;
  options.on_problem = [&](const std::string& path, const std::string& problem) {
    MutexLock lock(mutex);
    problems[path] = problem;
  };
  StatusOr<SnapshotResult> result = TakeSnapshot(*repository_, {Source()}, options);
  // On a busy machine the writer may have stood still while the file was read.
  for (int again = 0; again < 50 && result.ok() && result->problems == 0; ++again) {
    result = TakeSnapshot(*repository_, {Source()}, options);
  }
  done = true;
  writer.join();
  ASSERT_OK(result);
  EXPECT_EQ(result->problems, 1U);
  EXPECT_THAT(problems[Source("log")], HasSubstr("changed while it was read"));
  RestoreAll(Place(*result->id));
  const std::string stored = Read(Target("log"));
  EXPECT_GE(stored.size(), size_t{400'000} * 16);
  EXPECT_TRUE(Read(Source("log")).starts_with(stored));
  ASSERT_OK_AND_ASSIGN(const CheckResult check, Check(*repository_, {}));
  EXPECT_THAT(check.damages, IsEmpty());
  // Nothing was remembered of it: the next run reads it.
  const SnapshotId next = Take();
  std::filesystem::remove_all(Target());
  RestoreAll(Place(next));
  EXPECT_TRUE(Read(Target("log")) == Read(Source("log")));
}

TEST_F(SnapshotLiveTest, AFileThatIsCutAndRewrittenAllTheTimeIsWholeInItself) {
  Write(Source("state"), Numbered(0, 100'000));
  std::atomic<bool> done = false;
  std::atomic<bool> begun = false;
  std::thread writer([&] {
    while (!done) {
      Write(Source("state"), Numbered(0, 50'000));
      begun = true;
    }
  });
  while (!begun) std::this_thread::yield();
  for (int i = 0; i < 5; ++i) {
    SnapshotOptions options;
    options.labels.host = "host";
    StatusOr<SnapshotResult> result = TakeSnapshot(*repository_, {Source()}, options);
    EXPECT_OK(result);
    if (!result.ok()) break;
    std::filesystem::remove_all(Target());
    RestoreAll(Place(*result->id));
    // What was read may be cut anywhere, and holes of a write that was not done are zeros.
    EXPECT_LE(Read(Target("state")).size(), size_t{100'000} * 16);
  }
  done = true;
  writer.join();
  ASSERT_OK_AND_ASSIGN(const CheckResult check, Check(*repository_, {}));
  EXPECT_THAT(check.damages, IsEmpty());
}

TEST_F(SnapshotLiveTest, SourcesThatVanishBeforeTheyAreReadMakeNoSnapshot) {
  for (const bool all : {true, false}) {
    Write(Source("a/file"), "1");
    Write(Source("b/file"), "2");
    // Its session begins after it has seen that they are there.
    repository_files_.SetHook([&](const DiskOperation& operation) {
      if (operation.path.starts_with("sessions/")) {
        std::filesystem::remove_all(Source("a"));
        if (all) std::filesystem::remove_all(Source("b"));
      }
      return OkStatus();
    });
    SnapshotOptions options;
    options.labels.host = "host";
    EXPECT_THAT(TakeSnapshot(*repository_, {Source("a"), Source("b")}, options),
                StatusIs(all ? StatusCode::kNotFound : StatusCode::kFailedPrecondition));
    repository_files_.SetHook(nullptr);
    EXPECT_THAT(repository_->Snapshots(), IsOkAndHolds(IsEmpty()));
  }
}

TEST_F(SnapshotLiveTest, WhatIsSaidOfASnapshotHasItsLimit) {
  Write(Source("a"), "1");
  SnapshotOptions options;
  options.labels.host = "host";
  options.labels.message.assign(17 * kMiB, 'x');
  EXPECT_THAT(TakeSnapshot(*repository_, {Source()}, options),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("too long")));
  EXPECT_THAT(repository_->Snapshots(), IsOkAndHolds(IsEmpty()));
}

}  // namespace
}  // namespace cairn::testing
