// SPDX-License-Identifier: Apache-2.0
// Reading what a live file holds: content as pieces, attributes, targets. docs/format.md, "Content
// of files", has the rule for zero extents.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"
#include "core/fs/file_status.h"

namespace cairn {

using Descriptor = UniqueFd;

// Opens a file to read its content: never follows a symlink, never blocks on a fifo, does not move
// atime where that is permitted (O_NOATIME). It waits only for another process to give up a lease
// (the kernel ends that wait after /proc/sys/fs/lease-break-time). NOT_FOUND if it vanished,
// FAILED_PRECONDITION if it is no regular file (any more). Thread-safe.
StatusOr<Descriptor> OpenFileAt(int directory, const char* name);

// If the file ends before `room` is full, how long it is, and its bytes are in `room`. Else
// nothing. A read that gives exactly `expected` bytes (not 0) is taken for the whole: for a caller
// that compares the file's size afterwards. Thread-safe.
StatusOr<std::optional<size_t>> ReadSmallFile(int descriptor, MutableByteSpan room,
                                              uint64_t expected);

struct Piece {
  bool zero = false;  // an extent of zeros; `data` is empty then
  uint64_t bytes = 0;
  ByteSpan data;  // valid during the callback; of what lies in memory, as long as that
};
// Takes pieces in order: those of what was read at once together, so that they can be hashed so.
using PieceVisitor = absl::FunctionRef<Status(std::span<const Piece>)>;

// Cuts what a file holds into zero extents and chunks. One for each thread: it owns the buffer that
// is read into (about 1 MiB). An error of `visit` ends the scan and is returned. Thread-compatible.
class FileScanner {
 public:
  // `next_cut` gets exactly `max_chunk_bytes` bytes, or all that is left before an extent or the
  // end if that is less, and returns the length of the first chunk of it (see core/chunker).
  FileScanner(size_t max_chunk_bytes, std::function<size_t(ByteSpan)> next_cut);
  ~FileScanner();

  struct Result {
    uint64_t bytes = 0;     // in all pieces: the size to store
    bool has_hole = false;  // by SEEK_HOLE, of an aligned 4 KiB block at least
  };
  // Reads from the start to the end, whatever size was expected; the descriptor's offset is not
  // minded and may be moved. Borders of reads are not seen in the pieces.
  // `believe_holes`: holes are skipped by SEEK_DATA instead of being read; otherwise they are
  // looked for (for has_hole) but read. `may_have_holes` false spares the calls (st_blocks shows
  // none).
  StatusOr<Result> ScanFile(int descriptor, bool may_have_holes, bool believe_holes,
                            PieceVisitor visit);
  // From a pipe or terminal: the same pieces.
  StatusOr<Result> ScanStream(int descriptor, PieceVisitor visit);
  Status ScanMemory(ByteSpan content, PieceVisitor visit);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Attributes, ascending by name; those that are never kept (docs/format.md) are left out. Works for
// every type of file, symlinks included. File systems without attributes give none. `name` as
// StatAt. NOT_FOUND if it vanished; FAILED_PRECONDITION if /proc is not mounted (which is how a
// name relative to a directory is reached). Thread-safe.
StatusOr<std::vector<std::pair<std::string, Bytes>>> ReadXattrs(int directory, const char* name);

// FAILED_PRECONDITION if it is no symlink (any more). Thread-safe.
StatusOr<std::string> ReadSymlink(int directory, const char* name);

}  // namespace cairn
