// SPDX-License-Identifier: Apache-2.0
// A repository in memory, a source and a target in the live file system, and what it takes to look
// at them.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "core/base/memory_file_system.h"
#include "core/base/mutex.h"
#include "core/repo/repository.h"
#include "core/repo/restore.h"
#include "core/repo/snapshot.h"
#include "tests/fs/temp_tree.h"
#include "tests/support/encryption.h"
#include "tests/support/in_child.h"
#include "tests/support/noise.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {

class RestoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    RepositoryConfig config;
    config.id.bytes = {'r', 'e', 's', 't', 'o', 'r', 'e'};
    ASSERT_OK(CreateTestRepository(repository_files_, config));
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(repository_files_, TestRepositoryOptions()));
    tree_.MakeDirectory("src");
  }

  // In the directory that holds everything.
  std::string Path(const std::string& name) const { return tree_.Path(name); }
  std::string Source(const std::string& name = "") const { return Path("src") + Below(name); }
  std::string Target(const std::string& name = "") const { return Path("out") + Below(name); }
  static std::string Below(const std::string& name) { return name.empty() ? "" : "/" + name; }

  void Write(const std::string& path, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << content;
  }
  static std::string Read(const std::string& path) {
    std::stringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
  }
  static bool Exists(const std::string& path) {
    struct stat st {};
    return ::lstat(path.c_str(), &st) == 0;
  }
  static struct stat StatOf(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    return st;
  }
  static void SetMtime(const std::string& path, int64_t seconds, int64_t nanoseconds = 0) {
    const timespec times[2] = {{0, UTIME_OMIT}, {seconds, nanoseconds}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
  }
  // Until what was written is old enough for the clock's ticks to tell a later change.
  static void Settle() {
    timespec begin{};
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &begin);
    do {
      std::this_thread::yield();
      ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1'000'000'000 + (now.tv_nsec - begin.tv_nsec) <
             40'000'000);
  }
  SnapshotId TakeOf(const std::vector<std::string>& paths, SnapshotOptions options = {}) {
    options.labels.host = "host";
    StatusOr<SnapshotResult> result = TakeSnapshot(*repository_, paths, options);
    EXPECT_OK(result);
    return result.ok() && result->id ? *result->id : SnapshotId{};
  }
  SnapshotId Take(const SnapshotOptions& options = {}) { return TakeOf({Source()}, options); }
  BlobId RootOf(const std::string& path) {
    SnapshotOptions options;
    options.rescan = true;
    StatusOr<SnapshotResult> result = TakeSnapshot(*repository_, {path}, options);
    EXPECT_OK(result);
    return result.ok() ? result->root : BlobId{};
  }

  // The source's own contents into the target.
  RestorePlace Place(const SnapshotId& snapshot, const std::string& path = "") const {
    return {.snapshot = snapshot,
            .path = path.empty() ? Source() : path,
            .target = Target(),
            .in_place = false};
  }
  StatusOr<RestoreResult> TryRestore(const RestorePlace& place, RestoreOptions options = {}) {
    options.on_problem = [this](const std::string& path, const std::string& problem) {
      MutexLock lock(mutex_);
      problems_[path] = problem;
    };
    options.on_entry = [this](const std::string& path, RestoreAction action) {
      MutexLock lock(mutex_);
      actions_[path] = action;
    };
    problems_.clear();
    actions_.clear();
    return Restore(*repository_, place, options);
  }
  // One that meets no problem.
  RestoreResult RestoreAll(const RestorePlace& place, const RestoreOptions& options = {}) {
    StatusOr<RestoreResult> result = TryRestore(place, options);
    EXPECT_OK(result);
    if (!result.ok()) return {};
    EXPECT_EQ(result->errors, 0U);
    EXPECT_THAT(problems_, ::testing::IsEmpty());
    return *result;
  }

  TempTree tree_;
  MemoryFileSystem repository_files_;
  std::unique_ptr<Repository> repository_;

  Mutex mutex_;
  std::map<std::string, std::string> problems_;
  std::map<std::string, RestoreAction> actions_;
};

}  // namespace cairn::testing
