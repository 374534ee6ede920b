// SPDX-License-Identifier: Apache-2.0
// The directories of a live tree, opened relative to their parents, so that a rename or a symlink
// planted above does not lead elsewhere, and paths may be longer than PATH_MAX.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/status.h"
#include "core/base/unique_fd.h"
#include "core/fs/file_status.h"

namespace cairn {

class SourceDirectory;

// Few descriptors, however deep and wide the tree: at most `limit` directories are open at a time
// beside those that are pinned; others are opened again through their parents when they are
// needed, and must then be the same directory (device, inode and birth). Outlives its directories.
// Thread-safe.
class DirectoryPool {
 public:
  explicit DirectoryPool(size_t limit = 64);
  ~DirectoryPool();

  // Opens an absolute path, part by part where it is longer than PATH_MAX. Follows symlinks above
  // the last part, not at the last. Errors as OpenChild; INVALID_ARGUMENT if it is not absolute.
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

// Thread-safe.
class SourceDirectory {
 public:
  // However long a chain of parents ends with it, the stack does not grow.
  ~SourceDirectory();
  SourceDirectory(const SourceDirectory&) = delete;
  SourceDirectory& operator=(const SourceDirectory&) = delete;

  // The descriptor stays open while the pin lives. The directory outlives its pins.
  class Pin {
   public:
    Pin(Pin&& other) noexcept : directory_(std::exchange(other.directory_, nullptr)) {}
    Pin& operator=(Pin&&) noexcept;
    ~Pin();
    // Shared by all who pin the directory: whoever moves its offset must be alone in doing so.
    int descriptor() const;

   private:
    friend class SourceDirectory;
    explicit Pin(SourceDirectory* directory) : directory_(directory) {}
    SourceDirectory* directory_;
  };
  // ABORTED if another directory has taken its place; otherwise errors as OpenChild.
  StatusOr<Pin> Open();

  // As seen when it was first opened.
  const FileStatus& status() const;

 private:
  friend class DirectoryPool;
  struct State;
  explicit SourceDirectory(std::unique_ptr<State> state);

  // `fd` is what was opened. `parent` is null for a top, whose name is its path.
  static StatusOr<std::shared_ptr<SourceDirectory>> Adopt(DirectoryPool::State& pool,
                                                          std::shared_ptr<SourceDirectory> parent,
                                                          const std::string& name, UniqueFd fd);
  // Pins it if it is open.
  bool TryPin();
  // Opens it again and pins it. `parent` is pinned, or null for a top.
  Status Reopen(const SourceDirectory* parent);
  void Unpin();

  std::unique_ptr<State> state_;
};

// The names in a directory in ascending order of bytes, without "." and ".." and without
// duplicates (which readdir may give while others rename): in one arena while they are few, sorted
// externally (in `temp_directory`, as ExternalSorter takes it) when there are very many.
// Thread-compatible.
class NameList {
 public:
  NameList(NameList&&) noexcept;
  NameList& operator=(NameList&&) noexcept;
  ~NameList();

  // Reads with raw getdents64. `descriptor` is a directory; its offset is set to the start and
  // used.
  static StatusOr<NameList> Read(int descriptor, const std::string& temp_directory);
  // The next name, valid until the next call and NUL-terminated; null at the end.
  StatusOr<const char*> Next();
  // How many names there are; nothing if they went to the sorter.
  std::optional<size_t> size() const;
  // The last of them, valid as long as the list; "" if there is none, or they went to the sorter.
  std::string_view last() const;

  // Names of so many bytes are kept in memory; more go to the sorter.
  static constexpr size_t kArenaBytes = size_t{8} << 20;

 private:
  NameList();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cairn
