// SPDX-License-Identifier: Apache-2.0
// The one seam through which the files of a repository are touched. POSIX is one implementation;
// MemoryFileSystem (memory_file_system.h) is the other, which can lose, tear and reorder whatever
// was not synced. The trees that are snapshotted and restored do not go through it (core/fs does),
// nor does the index (LMDB does its own I/O, and may be deleted at any time).
//
// Paths are relative to the root that the file system was opened on, without a leading slash;
// "" is the root itself. All methods are thread-safe unless said otherwise; files are
// thread-compatible, but ReadAt is thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/status.h"

namespace cairn {

class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;

  // Fills `out` from `offset` and returns how many bytes there were: fewer than out.size() only at
  // the end of the file. Retries short reads and EINTR.
  virtual StatusOr<size_t> ReadAt(uint64_t offset, MutableByteSpan out) const = 0;
  virtual StatusOr<uint64_t> Size() const = 0;
};

class WritableFile {
 public:
  // Closes; what was not synced may be lost. Does not remove the file.
  virtual ~WritableFile() = default;

  virtual Status Append(ByteSpan bytes) = 0;
  // The file's bytes and size are durable when it returns (fdatasync). After an error the file is
  // of no use: a failed sync is never tried again.
  virtual Status Sync() = 0;
};

// Held until destroyed, or until the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
  // Replaces the locked file's content, durably or not: for people and for `sessions`.
  virtual Status WriteContent(ByteSpan content) = 0;
  // Whether the locked file still has its name (it may have been removed between open and lock).
  virtual StatusOr<bool> StillLinked() const = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // NOT_FOUND if there is none.
  virtual StatusOr<std::unique_ptr<RandomAccessFile>> OpenRead(const std::string& path) = 0;
  // ALREADY_EXISTS if the name is taken. The mode follows the root directory's (group-writable and
  // set-group-id there means group-writable here), as git's core.sharedRepository=group does.
  virtual StatusOr<std::unique_ptr<WritableFile>> CreateNew(const std::string& path) = 0;
  // Never replaces: ALREADY_EXISTS if `to` is taken (RENAME_NOREPLACE, or link and unlink).
  virtual Status RenameNoReplace(const std::string& from, const std::string& to) = 0;
  // Replaces `to` in one step.
  virtual Status RenameReplace(const std::string& from, const std::string& to) = 0;
  // NOT_FOUND if there is none.
  virtual Status Unlink(const std::string& path) = 0;
  // ALREADY_EXISTS if it is there. Parents must exist.
  virtual Status CreateDirectory(const std::string& path) = 0;
  // Entries made, renamed or removed in this directory before the call are durable after it.
  virtual Status SyncDirectory(const std::string& path) = 0;
  // Names of the entries, unsorted, without "." and "..". NOT_FOUND if there is no such directory.
  virtual StatusOr<std::vector<std::string>> List(const std::string& path) = 0;
  // One stat. NOT_FOUND if there is none.
  virtual StatusOr<uint64_t> FileSize(const std::string& path) = 0;

  // Opens or creates the file and takes an exclusive lock on it that ends with the process
  // (flock). ABORTED if somebody else has it. The holder's descriptor is close-on-exec.
  virtual StatusOr<std::unique_ptr<FileLock>> TryLock(const std::string& path, bool create) = 0;

  // Bytes that an ordinary user may still write; for messages only.
  virtual StatusOr<uint64_t> FreeBytes() = 0;
};

// Reads a whole file; RESOURCE_EXHAUSTED above `max_bytes`.
StatusOr<Bytes> ReadWholeFile(FileSystem& fs, const std::string& path, uint64_t max_bytes);

// The directory `root` of the real file system. It is opened once and everything is relative to its
// descriptor. With `create`, root (and its parents) are made where missing.
StatusOr<std::unique_ptr<FileSystem>> OpenPosixFileSystem(const std::string& root, bool create);

}  // namespace cairn
