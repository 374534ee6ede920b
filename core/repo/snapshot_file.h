// SPDX-License-Identifier: Apache-2.0
// Reading one live file, symlink or other thing into its entry.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/chunker/chunker.h"
#include "core/fs/file_status.h"
#include "core/fs/source_file.h"
#include "core/fs/witness.h"
#include "core/repo/blob_writer.h"
#include "core/repo/snapshot.h"
#include "core/tree/entry.h"

namespace cairn {

// What reading an entry came to.
struct ReadEntry {
  Entry entry;          // without its name
  bool gone = false;    // it vanished, or is of a type that cannot be kept: no entry
  bool settled = true;  // nothing was seen that forbids a witness, to any of its names
  FileStatus status;    // as of the end of reading
  std::string problem;  // for people; empty if there was none
};

// One for each worker. Thread-compatible.
class EntryReader {
 public:
  EntryReader(BlobWriter& writer, const Chunker& chunker, SnapshotProgress& progress);

  using Done = std::function<void(ReadEntry&)>;

  // `status` is what the walk saw; `name` is relative to the open `directory`; `base` is the entry
  // in the base snapshot, null if there is none, and stays where it is until `done` was called.
  // `done` gets what it came to: at once, or, since what small files hold is hashed together, by
  // the time that FinishFiles returns; after an error, not at all. Errors are those that end the
  // snapshot (the repository's); what is wrong with the source is a problem.
  Status Read(int directory, const char* name, const FileStatus& status,
              const FileSystemTraits& traits, const Entry* base, Done done);
  Status FinishFiles();
  // Attributes of a directory, without its node; `name` "" means `directory` itself.
  StatusOr<ReadEntry> ReadDirectory(int directory, const char* name, const FileStatus& status);
  // What comes from a pipe, as a file's content.
  Status ReadStream(int descriptor, const Entry* base, Entry& entry);

  Status Flush() { return lane_.Flush(); }

 private:
  // A file that was read, and waits for others to be hashed with.
  struct SmallFile {
    ReadEntry read;
    const Content* former = nullptr;
    size_t pieces = 0;  // in pieces_, after those of the files before it
    Done done;
  };
  // So much is hashed at once that the lanes of the hash are full, and so little that it stays in
  // a core's own cache.
  static constexpr size_t kBatchBytes = 128 * kKiB;

  Status TryRead(int directory, const char* name, const FileStatus& status,
                 const FileSystemTraits& traits, const Entry* base, Done done);
  // What a small file holds is returned, and not stored yet.
  StatusOr<std::optional<ByteSpan>> ReadFile(int directory, const char* name,
                                             const FileSystemTraits& traits, const Content* former,
                                             ReadEntry& result);
  StatusOr<std::optional<ByteSpan>> ReadSmall(int descriptor, const FileStatus& status,
                                              const FileSystemTraits& traits);
  Status TakeContent(int descriptor, const std::optional<ByteSpan>& small,
                     const FileSystemTraits& traits, const Content* former, ReadEntry& result);
  Status ReadLarge(int descriptor, const FileStatus& status, const FileSystemTraits& traits,
                   const Content* former, Entry& entry);
  Status KeepSmall(ByteSpan content, SmallFile file);
  Status StoreSmallFiles();
  void ForgetSmallFiles();
  Status ReadAttributes(int directory, const char* name, ReadEntry& result);

  BlobWriter& writer_;
  SnapshotProgress& progress_;
  BlobWriter::Lane lane_;
  FileScanner scanner_;

  std::unique_ptr<uint8_t[]> small_content_;  // of small_files_, up to small_bytes_
  size_t small_bytes_ = 0;
  std::vector<SmallFile> small_files_;
  std::vector<Piece> pieces_;
};

// The files that have several names: each is read once, and every name carries what was read.
// Thread-safe.
class SharedInodes {
 public:
  using Waiter = std::function<void(const ReadEntry&)>;

  // The first caller for an inode gets true: it reads, and then calls Publish. For others `waiter`
  // is called with what was read, at once or from within Publish; nobody blocks. Where the first
  // name was gone, the next caller is a first one again.
  bool ClaimOrWait(const FileStatus& status, Waiter waiter);
  void Publish(const FileStatus& claimed, const ReadEntry& read);

 private:
  // The number of an inode that is freed can be another file's before the walk ends: that one has
  // another type or time of birth. Where there is none, the ctime does for it, and a file whose
  // status changes between two of its names is read twice.
  using Key = std::tuple<uint64_t, uint64_t, EntryType, int64_t, uint32_t>;
  static Key KeyOf(const FileStatus& status);
  struct Inode {
    bool done = false;
    ReadEntry read;
    uint64_t names_left = 0;
    std::vector<Waiter> waiting;
  };

  Mutex mutex_;
  absl::flat_hash_map<Key, Inode> inodes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn
