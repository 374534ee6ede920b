// SPDX-License-Identifier: Apache-2.0
// The walk of a snapshot: directories by tasks that never wait for their children, so any number of
// threads and any depth work with bounded memory.
//
// A directory is processed in spans of its sorted names: those of one leaf of the base snapshot's
// node, or some 1,000 where there is none; of a large one several at once. A span's files are read
// and its subdirectories walked by tasks of their own; who finishes the last of them goes on with
// the directory.
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
#include "core/repo/walk_report.h"
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
  WalkReport& report() { return report_; }

 private:
  struct Directory;
  struct Span;
  struct Slot;
  using DirectoryRef = std::shared_ptr<Directory>;

  // A directory's way, in order.
  void RunDirectory(const DirectoryRef& directory, int worker);
  Status OpenDirectory(Directory& directory, int worker);
  Status ListNames(Directory& directory, int descriptor);
  void Advance(DirectoryRef directory, int worker);
  StatusOr<bool> StartSpans(const DirectoryRef& directory, int worker);
  void Release(const DirectoryRef& directory, int worker);
  Status FinishSpans(Directory& directory, int worker);
  Status FinishDirectory(Directory& directory);

  // A span's.
  Status GatherNames(Directory& directory, Span& span);
  StatusOr<bool> NextName(Directory& directory);
  Status RunSpan(const DirectoryRef& directory, Span& span, int worker);
  void StatNames(const Directory& directory, Span& span, int descriptor);
  Status Dispatch(const DirectoryRef& directory, Span& span, int descriptor, int worker);
  void SubmitChild(const DirectoryRef& directory, Slot& slot);
  Status FinishSpan(Directory& directory, Span& span, int worker);

  // What there was before.
  Status OpenBase(Directory& directory);
  StatusOr<std::optional<CacheRow>> FindRow(const Directory& directory, const BlobId& leaf);
  Status CompareWithRow(Directory& directory, Span& span);
  void ReadLeaf(Directory& directory, Span& span);
  void MatchBase(const Directory& directory, Span& span);
  Status ForgetRemoved(const Directory& directory, const Span& span);

  // A file's.
  void ReadFiles(const DirectoryRef& directory, const std::vector<Slot*>& slots, int worker);
  Status ReadSlot(const DirectoryRef& directory, Slot& slot, int descriptor, int worker);
  Status ReadAfterAll(Directory& directory, Span& span, int worker);
  void TakeRead(const Directory& directory, Slot& slot, ReadEntry& read);
  void TakeSharedRead(const DirectoryRef& directory, Slot& slot, const ReadEntry& read);
  void FillSlot(const Directory& directory, Slot& slot, const ReadEntry& read);
  void CountUnchanged(const Directory& directory, const Slot& slot);
  void CountRead(const Directory& directory, const Slot& slot, const Entry* base);

  bool IsExcluded(const std::string& path, const FileStatus& status);
  const FileSystemTraits& TraitsFor(int descriptor, uint64_t device);
  EntryReader& Reader(int worker);

  const WalkContext context_;
  WalkReport report_;
  DirectoryPool directories_;
  SharedInodes inodes_;
  LinkGroups links_;
  std::vector<std::unique_ptr<EntryReader>> readers_;  // by worker
  std::atomic<bool> took_over_{false};

  std::optional<uint64_t> top_device_;  // of the source that is walked

  Mutex traits_mutex_;
  std::map<uint64_t, FileSystemTraits> traits_ ABSL_GUARDED_BY(traits_mutex_);
};

}  // namespace cairn
