// SPDX-License-Identifier: Apache-2.0
#include "core/fs/source_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/strings/str_format.h"
#include "core/fs/open.h"
#include "core/fs/piece_cutter.h"

namespace cairn {
namespace {

Status NotAFile(const char* name) {
  return FailedPrecondition(absl::StrFormat("open %s: it is no regular file", name));
}

// Without O_NONBLOCK, which fails while another process has to give up a lease. The file is held
// by O_PATH before, so that nothing else can take its place and block.
UniqueFd OpenLeased(int directory, const char* name) {
  const UniqueFd held(
      RetryOnEintr([&] { return ::openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC); }));
  struct stat stat;
  if (!held.valid() || ::fstat(held.get(), &stat) != 0) return UniqueFd();
  if (!S_ISREG(stat.st_mode)) {
    errno = ELOOP;
    return UniqueFd();
  }
  const std::string path = absl::StrFormat("/proc/self/fd/%d", held.get());
  return OpenNoAtime(AT_FDCWD, path.c_str(), O_RDONLY | O_NOCTTY);
}

// Walks the holes of a file from the start on.
class HoleWalker {
 public:
  explicit HoleWalker(int descriptor) : descriptor_(descriptor) {}

  struct Step {
    uint64_t hole_end = 0;  // the hole that begins at `position`; equal to it if there is none
    uint64_t data_end = 0;  // of the data after it; kToEnd if no hole is known of from there on
  };
  static constexpr uint64_t kToEnd = ~uint64_t{0};

  StatusOr<Step> At(uint64_t position) const {
    const off_t data = ::lseek(descriptor_, static_cast<off_t>(position), SEEK_DATA);
    if (data < 0) {
      // ENXIO: nothing but a hole up to the end, or the end lies before. Others: unknown to this
      // file system, so all is data.
      return errno == ENXIO ? TrailingHole(position) : Step{position, kToEnd};
    }
    const uint64_t hole_end = static_cast<uint64_t>(data);
    const off_t hole = ::lseek(descriptor_, data, SEEK_HOLE);
    return Step{hole_end, hole > data ? static_cast<uint64_t>(hole) : kToEnd};
  }

 private:
  StatusOr<Step> TrailingHole(uint64_t position) const {
    struct stat stat;
    if (::fstat(descriptor_, &stat) != 0) return ErrnoError(errno, "stat", "an open file");
    return Step{std::max(position, static_cast<uint64_t>(stat.st_size)), kToEnd};
  }

  const int descriptor_;
};

StatusOr<bool> HasHole(int descriptor) {
  const HoleWalker walker(descriptor);
  for (uint64_t position = 0; position != HoleWalker::kToEnd;) {
    ASSIGN_OR_RETURN(const HoleWalker::Step step, walker.At(position));
    if (HoldsAlignedBlock(position, step.hole_end)) return true;
    position = step.data_end;
  }
  return false;
}

// Moves what lies in [position, end) of a file into the cutter. Returns where it stopped: at `end`,
// or at the end of the file.
StatusOr<uint64_t> CopyRange(int descriptor, uint64_t position, uint64_t end, PieceCutter& cutter) {
  while (position < end) {
    const MutableByteSpan room = cutter.Room();
    const size_t size = std::min<uint64_t>(room.size(), end - position);
    const ssize_t got = RetryOnEintr(
        [&] { return ::pread(descriptor, room.data(), size, static_cast<off_t>(position)); });
    if (got < 0) return ErrnoError(errno, "read", "the file");
    if (got == 0) break;
    // A file that is longer than the first read is worth a word to the kernel.
    if (position == 0 && static_cast<size_t>(got) == room.size()) {
      ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    RETURN_IF_ERROR(cutter.Added(static_cast<size_t>(got)));
    position += static_cast<uint64_t>(got);
  }
  return position;
}

// The same, but skips holes. Returns whether one held an aligned block.
StatusOr<bool> CopyAroundHoles(int descriptor, PieceCutter& cutter) {
  const HoleWalker walker(descriptor);
  bool has_hole = false;
  for (uint64_t position = 0;;) {
    ASSIGN_OR_RETURN(const HoleWalker::Step step, walker.At(position));
    if (HoldsAlignedBlock(position, step.hole_end)) has_hole = true;
    RETURN_IF_ERROR(cutter.AddZeros(step.hole_end - position));
    ASSIGN_OR_RETURN(position, CopyRange(descriptor, step.hole_end, step.data_end, cutter));
    if (position != step.data_end) return has_hole;  // the end of the file
  }
}

}  // namespace

StatusOr<Descriptor> OpenFileAt(int directory, const char* name) {
  UniqueFd fd = OpenNoAtime(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!fd.valid() && errno == EWOULDBLOCK) fd = OpenLeased(directory, name);
  if (!fd.valid()) {
    // A symlink; a socket, or a device without a driver.
    if (errno == ELOOP || errno == ENXIO || errno == ENODEV) return NotAFile(name);
    return ErrnoError(errno, "open", name);
  }
  struct stat stat;
  if (::fstat(fd.get(), &stat) != 0) return ErrnoError(errno, "stat", name);
  if (!S_ISREG(stat.st_mode)) return NotAFile(name);
  return fd;
}

StatusOr<std::optional<size_t>> ReadSmallFile(int descriptor, MutableByteSpan room,
                                              uint64_t expected) {
  size_t size = 0;
  // A short read is not the end everywhere: /proc and FUSE (direct_io) give less than they have.
  while (size < room.size()) {
    const MutableByteSpan rest = room.subspan(size);
    const ssize_t got = RetryOnEintr(
        [&] { return ::pread(descriptor, rest.data(), rest.size(), static_cast<off_t>(size)); });
    if (got < 0) return ErrnoError(errno, "read", "the file");
    size += static_cast<size_t>(got);
    const bool whole = expected > 0 && size == expected && size < room.size();
    if (got == 0 || whole) return std::optional<size_t>(size);
  }
  return std::optional<size_t>();
}

struct FileScanner::State {
  CutterContext context;
};

FileScanner::FileScanner(size_t max_chunk_bytes, std::function<size_t(ByteSpan)> next_cut)
    : state_(std::make_unique<State>()) {
  state_->context.max_chunk_bytes = max_chunk_bytes;
  state_->context.next_cut = std::move(next_cut);
}

FileScanner::~FileScanner() = default;

StatusOr<FileScanner::Result> FileScanner::ScanFile(int descriptor, bool may_have_holes,
                                                    bool believe_holes, PieceVisitor visit) {
  PieceCutter cutter(state_->context, visit);
  Result result;
  if (may_have_holes && believe_holes) {
    ASSIGN_OR_RETURN(result.has_hole, CopyAroundHoles(descriptor, cutter));
  } else {
    if (may_have_holes) {
      ASSIGN_OR_RETURN(result.has_hole, HasHole(descriptor));
    }
    RETURN_IF_ERROR(CopyRange(descriptor, 0, HoleWalker::kToEnd, cutter).status());
  }
  RETURN_IF_ERROR(cutter.Finish());
  result.bytes = cutter.bytes();
  return result;
}

StatusOr<FileScanner::Result> FileScanner::ScanStream(int descriptor, PieceVisitor visit) {
  PieceCutter cutter(state_->context, visit);
  while (true) {
    const MutableByteSpan room = cutter.Room();
    const ssize_t got = RetryOnEintr([&] { return ::read(descriptor, room.data(), room.size()); });
    if (got == 0) break;
    if (got < 0 && errno == EAGAIN) {  // whoever shares the pipe set O_NONBLOCK on it
      pollfd waiting{.fd = descriptor, .events = POLLIN, .revents = 0};
      RetryOnEintr([&] { return ::poll(&waiting, 1, -1); });
      continue;
    }
    if (got < 0) return ErrnoError(errno, "read", "the stream");
    RETURN_IF_ERROR(cutter.Added(static_cast<size_t>(got)));
  }
  RETURN_IF_ERROR(cutter.Finish());
  return Result{.bytes = cutter.bytes(), .has_hole = false};
}

Status FileScanner::ScanMemory(ByteSpan content, PieceVisitor visit) {
  return PieceCutter::CutAll(state_->context, visit, content);
}

StatusOr<std::string> ReadSymlink(int directory, const char* name) {
  std::array<char, kMaxTargetBytes + 1> target;
  const ssize_t size =
      RetryOnEintr([&] { return ::readlinkat(directory, name, target.data(), target.size()); });
  if (size < 0) {
    if (errno == EINVAL) {
      return FailedPrecondition(absl::StrFormat("read link %s: it is no symlink", name));
    }
    return ErrnoError(errno, "read link", name);
  }
  if (size == 0 || static_cast<size_t>(size) > kMaxTargetBytes) {
    return Unimplemented(absl::StrFormat("read link %s: a target of %d bytes", name, size));
  }
  return std::string(target.data(), static_cast<size_t>(size));
}

}  // namespace cairn
