// SPDX-License-Identifier: Apache-2.0
// The walk of a snapshot: directories by tasks that never wait for their children, so any number of
// threads and any depth work with bounded memory.
//
// A directory is processed in spans of its sorted names: those of one leaf of the base snapshot's
// node, or some 1,000 where there is none. A span's files are read and its subdirectories walked by
// tasks of their own; who finishes the last of them goes on with the directory.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/worker_pool.h"
#include "core/fs/source_directory.h"
#include "core/repo/blob_writer.h"
#include "core/repo/change_cache.h"
#include "core/repo/link_groups.h"
#include "core/repo/snapshot.h"
#include "core/repo/snapshot_file.h"
#include "core/tree/entry.h"

namespace cairn {

// All outlive the walk. `cache` may be null (nothing is remembered).
struct WalkContext {
  Repository& repository;
  BlobWriter& writer;
  const Chunker& chunker;
  const SnapshotOptions& options;
  SnapshotProgress& progress;
  WorkerPool& pool;
  ChangeCache* cache = nullptr;
};

class SnapshotWalk {
 public:
  explicit SnapshotWalk(const WalkContext& context);
  ~SnapshotWalk();

  // The entry (without a name) of the source at absolute `path`; nothing if it is not there or
  // cannot be kept, which is reported. `base` is its entry in the base snapshot, if there is one.
  // `link_path` is the source's path relative to the root ("" if it is the root's top).
  StatusOr<std::optional<Entry>> Walk(const std::string& path, const std::string& link_path,
                                      const std::optional<Entry>& base);
  // Stores what the workers still hold. Once, after all sources.
  Status Flush();

  LinkGroups& links() { return links_; }
  // True if a subtree was taken over from the base without being read.
  bool took_over() const { return took_over_; }
  uint64_t problems() const;
  std::vector<PathNote> TakeProblems();
  std::vector<PathNote> TakeSkipped();

 private:
  struct Directory;
  struct Slot;
  using DirectoryRef = std::shared_ptr<Directory>;

  // What Directory tasks do, in order.
  void RunDirectory(const DirectoryRef& directory, int worker);
  Status OpenDirectory(Directory& directory, int worker);
  void Advance(DirectoryRef directory, int worker);
  StatusOr<bool> StartSpan(const DirectoryRef& directory, int worker);
  Status GatherNames(Directory& directory);
  StatusOr<bool> NextName(Directory& directory);
  Status StatNames(Directory& directory, int descriptor);
  Status MatchBase(Directory& directory);
  Status Dispatch(const DirectoryRef& directory, int descriptor, int worker);
  void ReadFiles(const DirectoryRef& directory, const std::vector<size_t>& slots, int worker);
  Status ReadSlot(const DirectoryRef& directory, size_t slot, int descriptor, int worker);
  void FillSlot(Directory& directory, size_t slot, const ReadEntry& read);
  Status FinishSpan(Directory& directory);
  Status AddSlots(Directory& directory);
  Status ForgetRemoved(const Directory& directory);
  StatusOr<std::optional<CacheRow>> FindRow(const Directory& directory, const BlobId& leaf,
                                            size_t entries);
  Status FlushSameLeaves(Directory& directory);
  Status FinishDirectory(Directory& directory);

  StatusOr<bool> IsLeftOut(const Directory& directory, int descriptor);
  bool IsExcluded(const std::string& path, const FileStatus& status);
  void CountUnchanged(const Directory& directory, const Slot& slot);
  void CountRead(const Directory& directory, const Slot& slot, const Entry* base);
  const FileSystemTraits& TraitsFor(int descriptor, uint64_t device);

  void Fail(Status status);
  bool Stopping();
  void AddProblem(const std::string& path, std::string text);
  void AddSkipped(const std::string& path, std::string reason);
  EntryReader& Reader(int worker);

  const WalkContext context_;
  DirectoryPool directories_;
  SharedInodes inodes_;
  LinkGroups links_;
  std::vector<std::unique_ptr<EntryReader>> readers_;  // by worker
  std::atomic<bool> took_over_{false};

  std::optional<uint64_t> top_device_;  // of the source that is walked

  Mutex traits_mutex_;
  std::map<uint64_t, FileSystemTraits> traits_ ABSL_GUARDED_BY(traits_mutex_);

  mutable Mutex notes_mutex_;
  std::vector<PathNote> problems_ ABSL_GUARDED_BY(notes_mutex_);
  uint64_t problem_count_ ABSL_GUARDED_BY(notes_mutex_) = 0;
  std::vector<PathNote> skipped_ ABSL_GUARDED_BY(notes_mutex_);

  Mutex failure_mutex_;
  Status failure_ ABSL_GUARDED_BY(failure_mutex_);
  std::atomic<bool> failed_{false};
};

}  // namespace cairn
