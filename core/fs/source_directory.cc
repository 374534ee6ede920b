// SPDX-License-Identifier: Apache-2.0
#include "core/fs/source_directory.h"

#include <fcntl.h>
#include <limits.h>

#include <algorithm>
#include <cerrno>
#include <list>
#include <optional>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "core/base/mutex.h"
#include "core/base/unique_fd.h"
#include "core/fs/open.h"

namespace cairn {

struct DirectoryPool::State {
  explicit State(size_t most) : limit(most) {}

  const size_t limit;
  Mutex mutex;
  // Open and not pinned; the one that was used longest ago first.
  std::list<SourceDirectory*> idle ABSL_GUARDED_BY(mutex);
};

struct SourceDirectory::State {
  DirectoryPool::State* pool = nullptr;
  std::shared_ptr<SourceDirectory> parent;  // null for a top
  std::string name;                         // or the path of a top
  FileStatus status;

  // Guarded by pool->mutex (which the annotations cannot name here); while it is pinned, fd does
  // not change.
  UniqueFd fd;
  size_t pins = 0;
  std::list<SourceDirectory*>::iterator idle;  // while it is open and pins == 0
};

namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

Status OpenError(int error_number, const std::string& name) {
  if (error_number == ENOTDIR || error_number == ELOOP) {
    return FailedPrecondition(absl::StrFormat("open %s: it is no directory", name));
  }
  return ErrnoError(error_number, "open directory", name);
}

StatusOr<UniqueFd> OpenOne(int parent, const std::string& name) {
  UniqueFd fd = OpenNoAtime(parent, name.c_str(), kDirectoryFlags);
  if (!fd.valid()) return OpenError(errno, name);
  return fd;
}

StatusOr<UniqueFd> OpenPath(const std::string& path) {
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos) {
    return InvalidArgument(absl::StrFormat("open directory %s: not an absolute path", path));
  }
  // With a '/' at its end a symlink would be followed.
  const size_t size = std::max<size_t>(path.find_last_not_of('/') + 1, 1);
  UniqueFd above;
  size_t begin = 0;
  while (size - begin >= PATH_MAX) {
    const size_t slash = path.rfind('/', begin + PATH_MAX - 1);
    if (slash == std::string::npos || slash <= begin) return OpenError(ENAMETOOLONG, path);
    const std::string part = path.substr(begin, slash - begin);
    UniqueFd next(RetryOnEintr([&] {
      return ::openat(above.valid() ? above.get() : AT_FDCWD, part.c_str(),
                      O_PATH | O_DIRECTORY | O_CLOEXEC);
    }));
    if (!next.valid()) return OpenError(errno, part);
    above = std::move(next);
    begin = std::min(path.find_first_not_of('/', slash), size);
  }
  return OpenOne(above.valid() ? above.get() : AT_FDCWD, path.substr(begin, size - begin));
}

// Whether what was opened again is what was opened first. Where inode numbers may change while the
// directory is not in use, the device must do.
StatusOr<bool> IsSame(int descriptor, const FileStatus& before) {
  ASSIGN_OR_RETURN(const FileStatus now, StatAt(descriptor, ""));
  if (now.device != before.device) return false;
  if (now.inode == before.inode && now.btime == before.btime) return true;
  ASSIGN_OR_RETURN(const FileSystemTraits traits, TraitsOf(descriptor));
  return !traits.stable_inodes;
}

// Lets go of a directory, and so perhaps of its parents, one after another instead of each within
// the destructor of its child.
void Release(std::shared_ptr<SourceDirectory> directory) {
  thread_local std::vector<std::shared_ptr<SourceDirectory>> waiting;
  thread_local bool busy = false;
  if (directory == nullptr) return;
  waiting.push_back(std::move(directory));
  if (busy) return;
  busy = true;
  while (!waiting.empty()) {
    const std::shared_ptr<SourceDirectory> next = std::move(waiting.back());
    waiting.pop_back();
  }
  busy = false;
}

}  // namespace

DirectoryPool::DirectoryPool(size_t limit) : state_(std::make_unique<State>(limit)) {}

DirectoryPool::~DirectoryPool() {
  const MutexLock lock(state_->mutex);
  CHECK(state_->idle.empty());
}

StatusOr<std::shared_ptr<SourceDirectory>> DirectoryPool::OpenTop(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenPath(path));
  return SourceDirectory::Adopt(*state_, nullptr, path, std::move(fd));
}

StatusOr<std::shared_ptr<SourceDirectory>> DirectoryPool::OpenChild(
    std::shared_ptr<SourceDirectory> parent, const std::string& name) {
  ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, parent->Open());
  ASSIGN_OR_RETURN(UniqueFd fd, OpenOne(pin.descriptor(), name));
  return SourceDirectory::Adopt(*state_, std::move(parent), name, std::move(fd));
}

SourceDirectory::SourceDirectory(std::unique_ptr<State> state) : state_(std::move(state)) {}

StatusOr<std::shared_ptr<SourceDirectory>> SourceDirectory::Adopt(
    DirectoryPool::State& pool, std::shared_ptr<SourceDirectory> parent, const std::string& name,
    UniqueFd fd) {
  auto state = std::make_unique<State>();
  ASSIGN_OR_RETURN(state->status, StatAt(fd.get(), ""));
  state->pool = &pool;
  state->parent = std::move(parent);
  state->name = name;
  state->fd = std::move(fd);
  state->pins = 1;
  std::shared_ptr<SourceDirectory> directory(new SourceDirectory(std::move(state)));
  directory->Unpin();
  return directory;
}

SourceDirectory::~SourceDirectory() {
  {
    const MutexLock lock(state_->pool->mutex);
    CHECK(state_->pins == 0);
    if (state_->fd.valid()) state_->pool->idle.erase(state_->idle);
  }
  Release(std::move(state_->parent));
}

const FileStatus& SourceDirectory::status() const { return state_->status; }

bool SourceDirectory::TryPin() {
  const MutexLock lock(state_->pool->mutex);
  if (!state_->fd.valid()) return false;
  if (state_->pins++ == 0) state_->pool->idle.erase(state_->idle);
  return true;
}

void SourceDirectory::Unpin() {
  UniqueFd evicted;  // closed without the lock: that may take long on a network
  const MutexLock lock(state_->pool->mutex);
  if (--state_->pins > 0) return;
  std::list<SourceDirectory*>& idle = state_->pool->idle;
  state_->idle = idle.insert(idle.end(), this);
  if (idle.size() > state_->pool->limit) {
    evicted = std::move(idle.front()->state_->fd);
    idle.pop_front();
  }
}

Status SourceDirectory::Reopen(const SourceDirectory* parent) {
  StatusOr<UniqueFd> opened =
      parent == nullptr ? OpenPath(state_->name) : OpenOne(parent->state_->fd.get(), state_->name);
  if (!opened.ok()) return std::move(opened).status();
  ASSIGN_OR_RETURN(const bool same, IsSame(opened->get(), state_->status));
  if (!same) {
    return Aborted(absl::StrFormat("open directory %s again: another directory has taken its place",
                                   state_->name));
  }
  const MutexLock lock(state_->pool->mutex);
  if (state_->fd.valid()) {  // another thread was first
    if (state_->pins++ == 0) state_->pool->idle.erase(state_->idle);
    return OkStatus();
  }
  state_->fd = *std::move(opened);
  state_->pins = 1;
  return OkStatus();
}

StatusOr<SourceDirectory::Pin> SourceDirectory::Open() {
  if (TryPin()) return Pin(this);
  std::vector<SourceDirectory*> closed = {this};
  SourceDirectory* open = state_->parent.get();
  while (open != nullptr && !open->TryPin()) {
    closed.push_back(open);
    open = open->state_->parent.get();
  }
  std::optional<Pin> pin;
  if (open != nullptr) pin = Pin(open);
  for (; !closed.empty(); closed.pop_back()) {
    RETURN_IF_ERROR(closed.back()->Reopen(pin ? pin->directory_ : nullptr));
    pin = Pin(closed.back());
  }
  return *std::move(pin);
}

SourceDirectory::Pin& SourceDirectory::Pin::operator=(Pin&& other) noexcept {
  SourceDirectory* const old = std::exchange(directory_, std::exchange(other.directory_, nullptr));
  if (old != nullptr) old->Unpin();
  return *this;
}

SourceDirectory::Pin::~Pin() {
  if (directory_ != nullptr) directory_->Unpin();
}

int SourceDirectory::Pin::descriptor() const { return directory_->state_->fd.get(); }

}  // namespace cairn
