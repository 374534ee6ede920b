// SPDX-License-Identifier: Apache-2.0
// The directories of a live tree, opened relative to their parents, so that a rename or a symlink
// planted above does not lead elsewhere, and paths may be longer than PATH_MAX.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/fs/file_status.h"

namespace cairn {

class SourceDirectory;

// Few descriptors, however deep and wide the tree: at most `limit` directories are open at a time
// beside those that are pinned; others are opened again through their parents when they are
// needed, and must then be the same directory (device and inode). Thread-safe.
class DirectoryPool {
 public:
  explicit DirectoryPool(size_t limit = 64);
  ~DirectoryPool();

  // Opens an absolute path, part by part where it is longer than PATH_MAX. Follows symlinks above
  // the last part, not at the last.
  StatusOr<std::shared_ptr<SourceDirectory>> OpenTop(const std::string& path);
  // A child. `parent` is kept alive by it (shared: every child may have to be reopened through it).
  // NOT_FOUND if it vanished; FAILED_PRECONDITION if it is no directory (any more).
  StatusOr<std::shared_ptr<SourceDirectory>> OpenChild(std::shared_ptr<SourceDirectory> parent,
                                                       const std::string& name);

 private:
  friend class SourceDirectory;
  struct State;
  std::unique_ptr<State> state_;
};

class SourceDirectory {
 public:
  ~SourceDirectory();
  SourceDirectory(const SourceDirectory&) = delete;
  SourceDirectory& operator=(const SourceDirectory&) = delete;

  // The descriptor stays open while the pin lives.
  class Pin {
   public:
    Pin(Pin&&) noexcept;
    Pin& operator=(Pin&&) noexcept;
    ~Pin();
    int descriptor() const;

   private:
    friend class SourceDirectory;
    explicit Pin(SourceDirectory* directory) : directory_(directory) {}
    SourceDirectory* directory_;
  };
  StatusOr<Pin> Open();

  // As seen when it was first opened.
  const FileStatus& status() const;

 private:
  friend class DirectoryPool;
  SourceDirectory() = default;
  struct State;
  std::unique_ptr<State> state_;
};

// The names in a directory in ascending order of bytes, without "." and "..": in one arena while
// they are few, sorted externally (in `temp_directory`) when there are very many.
// Thread-compatible.
class NameList {
 public:
  NameList(NameList&&) noexcept;
  NameList& operator=(NameList&&) noexcept;
  ~NameList();

  // Reads with raw getdents64. `descriptor` is a directory; its offset is used and reset.
  static StatusOr<NameList> Read(int descriptor, const std::string& temp_directory);
  // The next name, valid until the next call and NUL-terminated; null at the end.
  StatusOr<const char*> Next();

 private:
  NameList();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cairn
