// SPDX-License-Identifier: Apache-2.0
// A history of snapshots, forgets and prunes on a disk in memory, and a judge of what a power cut
// or an error leaves of it: what had been acknowledged must come back equal, byte by byte; the
// repository must be clean; and the next snapshot must work. docs/design.md, invariants I1 and I2.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "core/repo/browse.h"
#include "core/repo/check.h"
#include "core/repo/forget.h"
#include "core/repo/prune.h"
#include "core/repo/repository.h"
#include "core/repo/reserve.h"
#include "core/repo/snapshot.h"
#include "core/repo/stats.h"
#include "tests/crash/each_crash.h"
#include "tests/support/encryption.h"
#include "tests/support/noise.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {

using Files = std::map<std::string, std::string>;

inline RepositoryConfig SmallConfig() {
  RepositoryConfig config;
  config.id = RandomId<RepositoryId>();
  config.pack_target_bytes = 64 * kKiB;  // so that a small history has many packs
  return config;
}

class Source {
 public:
  Source() {
    char path[] = "/var/tmp/cairn-crash-XXXXXX";
    path_ = ::mkdtemp(path);
  }
  ~Source() { std::filesystem::remove_all(path_); }

  void Write(const std::string& name, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(path_ + "/" + name).parent_path());
    std::ofstream(path_ + "/" + name, std::ios::binary) << content;
    files_[path_ + "/" + name] = content;
  }
  // Content that does not compress, so that packs fill.
  void WriteNoise(const std::string& name, size_t bytes, unsigned seed) {
    Write(name, Noise(bytes, seed * 0x9E3779B97F4A7C15u + 1));
  }
  // One byte in the middle.
  void Change(const std::string& name) {
    std::string content = files_[path_ + "/" + name];
    ++content[content.size() / 2];
    Write(name, content);
  }
  void Remove(const std::string& name) {
    std::filesystem::remove(path_ + "/" + name);
    files_.erase(path_ + "/" + name);
  }
  const std::string& path() const { return path_; }
  const Files& files() const { return files_; }

 private:
  std::string path_;
  Files files_;
};

inline StatusOr<Files> ReadSnapshot(Repository& repository, const SnapshotId& id) {
  ASSIGN_OR_RETURN(const SnapshotView view, repository.FindSnapshot(id));
  Files files;
  const auto read = [&](const LocatedEntry& located) -> StatusOr<bool> {
    if (located.entry.type != EntryType::kFile) return true;
    std::string& content = files[located.path];
    const auto append = [&](ByteSpan bytes) {
      content += AsText(bytes);
      return OkStatus();
    };
    RETURN_IF_ERROR(ReadFileContent(repository, located.entry, nullptr, append));
    return true;
  };
  RETURN_IF_ERROR(ListPath(repository, view, "/", /*recursive=*/true, nullptr, read));
  return files;
}

// What was promised to the user, and after how many operations of the disk.
struct Acknowledged {
  SnapshotId id;
  Files files;
  size_t at = 0;
  size_t forget_began = SIZE_MAX;  // from then on it may be gone
};

class History {
 public:
  History() {
    CHECK(CreateTestRepository(disk_, SmallConfig()).ok());
    created_ = disk_.operation_count();
    Reopen();
  }

  // As a new process would.
  Status TryReopen() {
    repository_.reset();
    ASSIGN_OR_RETURN(repository_, Repository::Open(disk_, TestRepositoryOptions()));
    return OkStatus();
  }
  void Reopen() { ASSERT_OK(TryReopen()); }

  Status Snapshot() {
    SnapshotOptions options;
    options.labels.host = "host";
    options.threads = 1;
    ASSIGN_OR_RETURN(const SnapshotResult result,
                     TakeSnapshot(*repository_, {source_.path()}, options));
    acknowledged_.push_back({*result.id, source_.files(), disk_.operation_count()});
    return OkStatus();
  }

  // Of those that were acknowledged.
  Status Forget(size_t which) {
    acknowledged_[which].forget_began = disk_.operation_count();
    return ForgetSnapshots(*repository_, {acknowledged_[which].id}).status();
  }

  Status PruneAll() {
    PruneOptions options;
    options.max_unused_share = 0;
    options.threads = 1;
    return Prune(*repository_, options).status();
  }

  // Cuts the power after `operations`, and looks at what is left. How many states that can be.
  size_t VerifyCutAfter(size_t operations, const CrashChoices& choices) const {
    return ForEachCrash(disk_, operations, choices,
                        [&](MemoryFileSystem& disk) { VerifyDisk(disk, operations); });
  }
  uint64_t DeltaFrames() {
    const StatusOr<RepositoryStats> stats = StatsOfRepository(*repository_);
    EXPECT_OK(stats.status());
    return stats->delta_frames;
  }
  size_t operations() const { return disk_.operation_count(); }
  size_t acknowledged() const { return acknowledged_.size(); }
  Source& source() { return source_; }
  MemoryFileSystem& disk() { return disk_; }

 private:
  // What a cut after `operations` has left.
  void VerifyDisk(MemoryFileSystem& disk, size_t operations) const {
    // Enough, and too little for a reserve, which would take longer to fill than all the rest.
    disk.SetCapacityBytes(kMinFreeForReserve);
    StatusOr<std::unique_ptr<Repository>> opened = Repository::Open(disk, TestRepositoryOptions());
    if (operations < created_ && opened.status().code() == StatusCode::kNotFound) return;
    ASSERT_OK(opened.status());
    Repository& repository = **opened;
    for (const Acknowledged& promised : acknowledged_) {
      if (promised.at > operations) continue;
      const StatusOr<Files> files = ReadSnapshot(repository, promised.id);
      if (operations >= promised.forget_began && files.status().code() == StatusCode::kNotFound) {
        continue;
      }
      ASSERT_OK(files.status()) << "snapshot acknowledged after operation " << promised.at;
      EXPECT_EQ(*files, promised.files);
    }
    CheckOptions everything;
    everything.read_data.kind = ReadSubset::Kind::kAll;
    ASSERT_OK_AND_ASSIGN(const CheckResult checked, Check(repository, everything));
    for (const Damage& damage : checked.damages)
      ADD_FAILURE() << damage.object << ": " << damage.what;
    VerifyNextSnapshot(repository);
  }
  void VerifyNextSnapshot(Repository& repository) const {
    SnapshotOptions options;
    options.labels.host = "host";
    options.threads = 1;
    ASSERT_OK_AND_ASSIGN(const SnapshotResult next,
                         TakeSnapshot(repository, {source_.path()}, options));
    ASSERT_OK_AND_ASSIGN(const Files files, ReadSnapshot(repository, *next.id));
    EXPECT_EQ(files, source_.files());
    PruneOptions prune;
    prune.max_unused_share = 0;
    prune.threads = 1;
    ASSERT_OK(Prune(repository, prune).status());
    ASSERT_OK_AND_ASSIGN(const Files after_prune, ReadSnapshot(repository, *next.id));
    EXPECT_EQ(after_prune, source_.files());
  }

  MemoryFileSystem disk_;
  Source source_;
  std::unique_ptr<Repository> repository_;
  size_t created_ = 0;
  std::vector<Acknowledged> acknowledged_;
};

// Snapshots that share content, a forget, a prune that rewrites, and a snapshot after it.
inline void MakeHistory(History& history) {
  Source& source = history.source();
  source.WriteNoise("shared/one", 90'000, 1);
  source.WriteNoise("changing", 50'000, 4);
  source.WriteNoise("shared/two", 40'000, 2);
  source.Write("text", "first");
  ASSERT_OK(history.Snapshot());
  source.WriteNoise("added", 120'000, 3);
  source.Write("text", "second");
  source.Remove("shared/two");
  ASSERT_OK(history.Snapshot());
  source.Change("changing");
  ASSERT_OK(history.Snapshot());
  EXPECT_GT(history.DeltaFrames(), 0U);
  history.Reopen();
  ASSERT_OK(history.Forget(0));
  ASSERT_OK(history.PruneAll());
  source.WriteNoise("shared/two", 40'000, 2);  // its chunks were pruned
  source.Write("text", "third");
  source.Change("changing");
  ASSERT_OK(history.Snapshot());
  ASSERT_OK(history.Forget(1));
  ASSERT_OK(history.Forget(2));
  ASSERT_OK(history.PruneAll());
  // What is left is a delta of a file that no snapshot has any more.
  EXPECT_GT(history.DeltaFrames(), 0U);
}

}  // namespace cairn::testing
