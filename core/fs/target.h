// SPDX-License-Identifier: Apache-2.0
// Writing a tree into the live file system. Everything is done relative to open directories and
// never through a symlink, so neither a hostile tree nor a symlink that is planted while it runs
// leads outside of the target (docs/design.md, "Restore").
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/fs/file_status.h"
#include "core/fs/source_file.h"
#include "core/tree/entry.h"

namespace cairn {

// What could not be set on a restored entry, or was not kept by the file system (seen by one statx
// afterwards). An ordinary user cannot set owners, some attributes and device nodes: that is no
// error, but is counted and said.
//
// Without its owner and group a file gets neither set-id bits nor capabilities: they would lend the
// rights of another.
struct AttributeReport {
  bool owner = false;
  bool mode = false;
  bool times = false;
  std::vector<std::string> xattrs;  // names
  bool any() const { return owner || mode || times || !xattrs.empty(); }
};

// Attributes with their values at hand (large ones were read from their blobs by the caller).
// Extended attributes that the entry has and that are not among `xattrs` are removed from it, of
// the kinds that a snapshot keeps, labels of security modules excepted. What is as wanted already
// is not touched, so that ctime stays.
struct Attributes {
  EntryType type = EntryType::kFile;
  uint32_t mode = 0;  // no meaning for a symlink
  uint32_t uid = 0;
  uint32_t gid = 0;
  Timestamp mtime;
  std::vector<std::pair<std::string, Bytes>> xattrs;
};

// A file on its way. It is unnamed (O_TMPFILE), or has a temporary name ".cairn-RANDOM" beside its
// place where the file system knows no unnamed files. It is created 0600, gets its content, then
// owner, mode, attributes and times in the order that keeps each, and takes its place by one link
// or rename: whoever has the old file open, or another name of it, keeps the old one. Dropped
// without Commit, nothing is left. Nothing is synced. Thread-compatible; WriteAt is thread-safe.
class TargetFile {
 public:
  virtual ~TargetFile() = default;
  // Announces the size, before the first WriteAt. A large file that is not sparse gets its blocks
  // here, unless it lies in memory: RESOURCE_EXHAUSTED if there is no room for it. The committed
  // file has this size at least: what was never written is a hole in a sparse file, zeros in
  // another.
  virtual Status SetSize(uint64_t bytes, bool sparse) = 0;
  virtual Status WriteAt(uint64_t offset, ByteSpan bytes) = 0;
  // FAILED_PRECONDITION if a directory or a mount point has the name. REQUIRES: called once.
  virtual StatusOr<AttributeReport> Commit(const Attributes& attributes) = 0;
};

// One directory of the target. Names must be valid entry names (INVALID_ARGUMENT otherwise); where
// it is said, "" stands for the directory itself. Descriptors are few: a DirectoryPool is behind.
// It lives on its own: parents and the pool are kept as long as needed. Thread-safe.
//
// A directory that belongs to an ordinary user and forbids him to write is opened to him (u+rwx)
// before the first change in it; SetAttributes, after its children, gives it its mode.
class TargetDirectory {
 public:
  virtual ~TargetDirectory() = default;

  // True if Directory() has made it: nothing but what was put there through it is in it, unless
  // somebody else is at work at the same time, which every operation bears.
  virtual bool MadeHere() const = 0;
  // What is there now, if anything. "": the directory itself.
  virtual StatusOr<std::optional<FileStatus>> Stat(const std::string& name) = 0;
  // Ascending by bytes.
  virtual StatusOr<std::vector<std::string>> List() = 0;
  virtual StatusOr<std::unique_ptr<TargetFile>> CreateFile(const std::string& name) = 0;
  // To read an existing file's content, for comparison. FAILED_PRECONDITION if it is no regular
  // file.
  virtual StatusOr<Descriptor> OpenForRead(const std::string& name) = 0;
  // Where an existing symlink leads.
  virtual StatusOr<std::string> ReadLink(const std::string& name) = 0;
  // Symlink, fifo, socket or device; replaces what is there by one rename (a directory must be
  // removed before: FAILED_PRECONDITION). PERMISSION_DENIED where the user may not make such a
  // thing.
  virtual StatusOr<AttributeReport> CreateSpecial(const Entry& entry,
                                                  const Attributes& attributes) = 0;
  // Makes `name` another name of `existing_name` in `existing`, a directory of the same or another
  // target; replaces what is there. FAILED_PRECONDITION where that cannot be (another mount or file
  // system, too many links, not permitted): the caller writes a copy. REQUIRES: `existing` comes
  // from OpenTarget.
  virtual Status Link(const std::string& name, TargetDirectory& existing,
                      const std::string& existing_name) = 0;
  // Opens the child directory; makes it (0700) if there is nothing. FAILED_PRECONDITION if
  // something else is there, symlinks included: the caller decides whether to remove it.
  virtual StatusOr<std::shared_ptr<TargetDirectory>> Directory(const std::string& name) = 0;
  // The child directory if there is one; never makes it. NOT_FOUND, FAILED_PRECONDITION as above.
  virtual StatusOr<std::shared_ptr<TargetDirectory>> ExistingDirectory(const std::string& name) = 0;
  // Removes a file, or a whole tree without crossing into another mount: a mount point below makes
  // it fail with FAILED_PRECONDITION, its content untouched (what was met before it is gone).
  // NOT_FOUND if nothing is there.
  virtual Status Remove(const std::string& name) = 0;

  // Of an entry that is there already: an unchanged file, or "", the directory itself, after its
  // children. FAILED_PRECONDITION if the entry has another type; also if a file would gain set-id
  // bits or capabilities while others than its owner to be can write to it: its content cannot be
  // trusted to be what the caller has seen, and must be written anew.
  virtual StatusOr<AttributeReport> SetAttributes(const std::string& name,
                                                  const Attributes& attributes) = 0;
  // Unsorted. "": the directory's own.
  virtual StatusOr<std::vector<std::pair<std::string, Bytes>>> Xattrs(const std::string& name) = 0;
  virtual StatusOr<FileStatus> OwnStatus() = 0;
};

// Opens (and makes, with parents, 0755 and the umask) the directory that a restore writes into.
// Symlinks are followed in `path`, which the user gave, and nowhere below. A relative path is
// relative to the working directory at the time of the call.
StatusOr<std::shared_ptr<TargetDirectory>> OpenTarget(const std::string& path);
// Only opens: NOT_FOUND if it is not there (dry runs, comparisons).
StatusOr<std::shared_ptr<TargetDirectory>> OpenExistingTarget(const std::string& path);

}  // namespace cairn
