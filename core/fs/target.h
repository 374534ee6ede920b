// SPDX-License-Identifier: Apache-2.0
// Writing a tree into the live file system. Everything is done relative to open directories and
// never through a symlink, so neither a hostile tree nor a symlink that is planted while it runs
// leads outside of the target (docs/design.md, "Restore").
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/fs/file_status.h"
#include "core/tree/entry.h"

namespace cairn {

// What could not be set on a restored entry. An ordinary user cannot set owners, some attributes
// and device nodes: that is no error, but is counted and said.
struct AttributeReport {
  bool owner = false;
  bool mode = false;
  bool times = false;
  std::vector<std::string> xattrs;  // names
  bool any() const { return owner || mode || times || !xattrs.empty(); }
};

// Attributes with their values at hand (large ones were read from their blobs by the caller).
struct Attributes {
  EntryType type = EntryType::kFile;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  Timestamp mtime;
  std::vector<std::pair<std::string, Bytes>> xattrs;
};

// A file on its way. It is created 0600 under a temporary name, or unnamed, beside its place, gets
// its content, then owner, mode, attributes and times in the order that keeps each, and takes its
// place by one rename: whoever has the old file open, or another name of it, keeps the old one.
// Dropped without Commit, nothing is left. Thread-compatible; WriteAt is thread-safe.
class TargetFile {
 public:
  virtual ~TargetFile() = default;
  // Announces the size (and allocates where that helps; a sparse file is left to have holes).
  virtual Status SetSize(uint64_t bytes, bool sparse) = 0;
  virtual Status WriteAt(uint64_t offset, ByteSpan bytes) = 0;
  virtual StatusOr<AttributeReport> Commit(const Attributes& attributes) = 0;
};

// One directory of the target, open. Descriptors are few: see TargetTree. Names must be valid entry
// names (INVALID_ARGUMENT otherwise). Thread-safe.
class TargetDirectory {
 public:
  virtual ~TargetDirectory() = default;

  // What is there now, if anything.
  virtual StatusOr<std::optional<FileStatus>> Stat(const std::string& name) = 0;
  virtual StatusOr<std::vector<std::string>> List() = 0;
  virtual StatusOr<std::unique_ptr<TargetFile>> CreateFile(const std::string& name) = 0;
  // A descriptor to read an existing file's content (never a symlink's), for comparison.
  virtual StatusOr<int> OpenForRead(const std::string& name) = 0;
  // Symlink, fifo, socket or device; replaces what is there by one rename (a directory must be
  // removed before). PERMISSION_DENIED where the user may not make such a thing.
  virtual StatusOr<AttributeReport> CreateSpecial(const Entry& entry,
                                                  const Attributes& attributes) = 0;
  // Makes `name` another name of `existing_name` in `existing`; replaces what is there.
  virtual Status Link(const std::string& name, TargetDirectory& existing,
                      const std::string& existing_name) = 0;
  // Opens the child directory; makes it (0700) if there is nothing. FAILED_PRECONDITION if
  // something else is there: the caller decides whether to remove it.
  virtual StatusOr<std::shared_ptr<TargetDirectory>> Directory(const std::string& name) = 0;
  // Removes a file, or a whole tree without crossing into another mount: a mount point below makes
  // it fail with FAILED_PRECONDITION, its content untouched.
  virtual Status Remove(const std::string& name) = 0;

  // Of an entry that is there already (a directory after its children, an unchanged file).
  virtual StatusOr<AttributeReport> SetAttributes(const std::string& name,
                                                  const Attributes& attributes) = 0;
  virtual StatusOr<std::vector<std::pair<std::string, Bytes>>> Xattrs(const std::string& name) = 0;
  // Of the directory itself (name ""): status.
  virtual StatusOr<FileStatus> OwnStatus() = 0;
};

// Opens (and makes, with parents, 0755 and the umask) the directory that a restore writes into.
// Symlinks are followed in `path`, which the user gave, and nowhere below.
StatusOr<std::shared_ptr<TargetDirectory>> OpenTarget(const std::string& path);
// Only opens: NOT_FOUND if it is not there (dry runs, comparisons).
StatusOr<std::shared_ptr<TargetDirectory>> OpenExistingTarget(const std::string& path);

}  // namespace cairn
