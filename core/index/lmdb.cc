// SPDX-License-Identifier: Apache-2.0
#include "core/index/lmdb.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "core/base/unique_fd.h"
#include "core/index/lmdb_internal.h"
#include "core/index/patience.h"

namespace cairn::lmdb {
namespace {

constexpr uint64_t kLeastMapBytes = 64 * kMiB;
// Transactions are short, so few readers live at once, whatever the number of processes.
constexpr unsigned int kMaxReaders = 1024;
// Reader slots that are kept for reuse, in each process.
constexpr size_t kMaxIdleReaders = 64;
constexpr mode_t kFileMode = 0600;

bool AddressSpaceAllows(uint64_t bytes) {
  void* const map =
      mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) return false;
  munmap(map, bytes);
  return true;
}

struct CloseEnv {
  void operator()(MDB_env* env) const { mdb_env_close(env); }
};
using UniqueEnv = std::unique_ptr<MDB_env, CloseEnv>;

// Returns LMDB's error. After one an environment can only be closed.
int OpenEnv(const std::string& directory, uint64_t map_bytes, size_t tables, UniqueEnv& out) {
  MDB_env* env = nullptr;
  int error = mdb_env_create(&env);
  if (error != 0) return error;
  out.reset(env);
  // A multiple of every page size.
  const uint64_t rounded = (map_bytes + 64 * kKiB - 1) / (64 * kKiB) * (64 * kKiB);
  if ((error = mdb_env_set_mapsize(env, rounded)) != 0) return error;
  if ((error = mdb_env_set_maxreaders(env, kMaxReaders)) != 0) return error;
  if ((error = mdb_env_set_maxdbs(env, static_cast<MDB_dbi>(tables))) != 0) return error;
  return mdb_env_open(env, directory.c_str(), MDB_NOMETASYNC | MDB_NOTLS, kFileMode);
}

// Inodes; 0 for a file that is not there.
struct EnvironmentFiles {
  uint64_t data = 0;
  uint64_t lock = 0;
  friend bool operator==(const EnvironmentFiles&, const EnvironmentFiles&) = default;
};

StatusOr<uint64_t> InodeOf(const std::string& path) {
  struct stat stat;
  if (::stat(path.c_str(), &stat) == 0) return stat.st_ino;
  if (errno == ENOENT) return 0;
  return ErrnoError(errno, "stat", path);
}

StatusOr<EnvironmentFiles> FilesOf(const std::string& directory) {
  EnvironmentFiles files;
  ASSIGN_OR_RETURN(files.data, InodeOf(directory + "/data.mdb"));
  ASSIGN_OR_RETURN(files.lock, InodeOf(directory + "/lock.mdb"));
  return files;
}

}  // namespace

StatusOr<std::unique_ptr<Env>> Env::Open(const std::string& directory, uint64_t map_bytes,
                                         std::span<const TableSpec> tables) {
  // Who deletes the directory takes its files one by one. One that is left must not become a pair
  // with one that is new, as others may have it open with its own: they would not see each other.
  ASSIGN_OR_RETURN(const EnvironmentFiles before, FilesOf(directory));
  if ((before.data == 0) != (before.lock == 0)) {
    return DataLoss(directory + ": of its two files one was removed");
  }
  UniqueEnv mdb_env;
  int error = 0;
  // Less address space under ulimit -v, ThreadSanitizer and valgrind (which says EINVAL).
  for (bool is_least = false; !is_least; map_bytes /= 2) {
    is_least = map_bytes / 2 < kLeastMapBytes;
    if (!is_least && !AddressSpaceAllows(map_bytes)) continue;  // cheaper to know than to try
    mdb_env.reset();
    error = OpenEnv(directory, map_bytes, tables.size(), mdb_env);
    if (error != ENOMEM && error != EINVAL) break;
  }
  if (error != 0) return Annotate(ToStatus(error, "open"), directory);

  std::unique_ptr<Env> env(new Env(mdb_env.release()));
  ASSIGN_OR_RETURN(const EnvironmentFiles after, FilesOf(directory));
  ASSIGN_OR_RETURN(const auto opened, env->FileId());
  const bool is_new = before == EnvironmentFiles();
  if (after.lock == 0 || after.data != opened.second || !(is_new || after == before)) {
    return DataLoss(directory + ": its files were removed while it was opened");
  }
  int fd = -1;
  if ((error = mdb_env_get_fd(env->env_, &fd)) != 0) return ToStatus(error, "open");
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return ErrnoError(errno, "set flags of", directory);
  env->directory_ = UniqueFd(
      RetryOnEintr([&] { return open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!env->directory_.valid()) return ErrnoError(errno, "open directory", directory);
  // Clears what killed readers left, which keeps pages from being used again.
  int dead_readers = 0;
  if ((error = mdb_reader_check(env->env_, &dead_readers)) != 0) {
    return Annotate(ToStatus(error, "check readers"), directory);
  }
  RETURN_IF_ERROR(Annotate(env->OpenTables(tables), directory));
  return env;
}

Env::Env(MDB_env* env) : env_(env) {}

Env::~Env() {
  {
    MutexLock lock(mutex_);
    CHECK(active_ == 0);
    idle_.clear();
  }
  mdb_env_close(env_);
}

StatusOr<bool> Env::TryOpenTables(MDB_txn* txn, std::span<const TableSpec> tables, bool create) {
  tables_.clear();
  for (const TableSpec& table : tables) {
    unsigned int flags = table.sorted_duplicates ? MDB_DUPSORT | MDB_DUPFIXED : 0;
    if (create) flags |= MDB_CREATE;
    MDB_dbi id = 0;
    const int error = mdb_dbi_open(txn, table.name, flags, &id);
    if (error == MDB_NOTFOUND) return false;
    if (error != 0) return ToStatus(error, "open a table");
    tables_.push_back(id);
  }
  return true;
}

Status Env::OpenTables(std::span<const TableSpec> tables) {
  // Handles last only if the transaction that opened them is committed.
  {
    ASSIGN_OR_RETURN(std::unique_ptr<ReadTxn> reader, BeginRead());
    ASSIGN_OR_RETURN(const bool complete, TryOpenTables(reader->txn_, tables, false));
    if (complete) {
      const int error = mdb_txn_commit(reader->slot_->txn.release());
      return error == 0 ? OkStatus() : ToStatus(error, "open the tables");
    }
  }
  ASSIGN_OR_RETURN(std::unique_ptr<WriteTxn> writer, BeginWrite(kPatience));
  RETURN_IF_ERROR(TryOpenTables(writer->txn_, tables, true).status());
  return writer->Commit();
}

Status Env::Enter(std::unique_ptr<ReaderSlot>* idle_slot) {
  MutexLock lock(mutex_);
  if (broken_) return Unavailable("index: it failed before and has to be opened anew");
  ++active_;
  if (idle_slot != nullptr && !idle_.empty()) {
    *idle_slot = std::move(idle_.back());
    idle_.pop_back();
  }
  return OkStatus();
}

void Env::Leave() {
  MutexLock lock(mutex_);
  --active_;
}

StatusOr<std::unique_ptr<ReadTxn>> Env::BeginRead() {
  for (int attempt = 0;; ++attempt) {
    std::unique_ptr<ReaderSlot> slot;
    RETURN_IF_ERROR(Enter(&slot));
    int error = 0;
    if (slot != nullptr) {
      error = mdb_txn_renew(slot->txn.get());
    } else {
      slot = std::make_unique<ReaderSlot>();
      MDB_txn* txn = nullptr;
      error = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
      slot->txn.reset(txn);
    }
    if (error == 0) return std::unique_ptr<ReadTxn>(new ReadTxn(*this, std::move(slot)));
    slot.reset();
    Leave();
    RETURN_IF_ERROR(BeginFailed(error, attempt));
  }
}

void Env::EndRead(std::unique_ptr<ReaderSlot> slot) {
  if (slot->txn != nullptr) mdb_txn_reset(slot->txn.get());
  MutexLock lock(mutex_);
  --active_;
  if (slot->txn != nullptr && idle_.size() < kMaxIdleReaders) idle_.push_back(std::move(slot));
}

StatusOr<WriteTxn::Turn> Env::WaitForTurn(std::chrono::milliseconds patience) const {
  // A lock belongs to who opened the directory: each writer opens it for itself.
  UniqueFd lock(RetryOnEintr(
      [&] { return openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!lock.valid()) return ErrnoError(errno, "open", "index");
  for (Patience waiting(patience);;) {
    // Not while it waits: it may be stopped then, as it holds up nobody.
    auto signals = std::make_unique<StopSignalsBlocked>();
    if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) {
      return WriteTxn::Turn{std::move(signals), std::move(lock)};
    }
    if (errno != EWOULDBLOCK && errno != EINTR) return ErrnoError(errno, "lock", "index");
    signals.reset();
    MDB_envinfo info;
    const int error = mdb_env_info(env_, &info);
    if (error != 0) return ToStatus(error, "wait for the writer");
    if (!waiting.Sleep(info.me_last_txnid)) return Aborted("index: its writer does not get on");
  }
}

StatusOr<std::unique_ptr<WriteTxn>> Env::BeginWrite(std::chrono::milliseconds patience) {
  for (int attempt = 0;; ++attempt) {
    bool wants_larger_map = false;
    {
      MutexLock lock(mutex_);
      wants_larger_map = wants_larger_map_;
    }
    // What is to be written may fit without it; if not, the write says so.
    if (wants_larger_map) GrowMap().IgnoreError();

    ASSIGN_OR_RETURN(WriteTxn::Turn turn, WaitForTurn(patience));
    RETURN_IF_ERROR(Enter(nullptr));
    MDB_txn* txn = nullptr;
    const int error = mdb_txn_begin(env_, nullptr, 0, &txn);
    if (error == 0) {
      return std::unique_ptr<WriteTxn>(new WriteTxn(*this, txn, std::move(turn)));
    }
    Leave();
    RETURN_IF_ERROR(BeginFailed(error, attempt));
  }
}

// OK if it should be tried again.
Status Env::BeginFailed(int error, int attempt) {
  constexpr int kMaxAttempts = 10;
  if (error == MDB_MAP_RESIZED && attempt < kMaxAttempts) {
    return Annotate(GrowMap(), "another process made the index larger");
  }
  if (error == MDB_READERS_FULL && attempt == 0) {
    int dead_readers = 0;
    const int check_error = mdb_reader_check(env_, &dead_readers);
    if (check_error == 0 && dead_readers > 0) return OkStatus();
  }
  if (error == MDB_PANIC) {
    MutexLock lock(mutex_);
    broken_ = true;
  }
  if (error == EAGAIN || error == EACCES) {
    return Unavailable(
        "index: a process of the same number, in another pid namespace, uses it; take another "
        "directory");
  }
  return ToStatus(error, "begin a transaction");
}

Status Env::GrowMap() {
  // Polled, with a limit: a thread that breaks the rule and holds two transactions gets an error
  // in place of a deadlock. It happens only where address space is short.
  constexpr int kTries = 5000;
  for (int i = 0; i < kTries; ++i) {
    {
      MutexLock lock(mutex_);
      if (active_ == 0) return GrowMapLocked();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return Unavailable("index: transactions of this process keep its map from growing");
}

Status Env::GrowMapLocked() {
  if (broken_) return Unavailable("index: it failed before and has to be opened anew");
  MDB_envinfo info;
  MDB_stat stat;
  int error = mdb_env_info(env_, &info);
  if (error == 0) error = mdb_env_stat(env_, &stat);
  if (error != 0) return ToStatus(error, "grow the map");
  const uint64_t needed = (info.me_last_pgno + 1) * stat.ms_psize;
  if (info.me_mapsize >= needed && !wants_larger_map_) return OkStatus();  // by another thread
  // The old map goes before the new one comes, and without any the environment is lost: so ask
  // beforehand, while the old one is there.
  const uint64_t least = std::max<uint64_t>(needed, info.me_mapsize + stat.ms_psize);
  for (uint64_t wanted = 2 * least; wanted >= least; wanted -= wanted / 4) {
    if (!AddressSpaceAllows(wanted)) continue;
    error = mdb_env_set_mapsize(env_, wanted / stat.ms_psize * stat.ms_psize);
    if (error != 0) {
      broken_ = true;
      return ToStatus(error, "grow the map");
    }
    wants_larger_map_ = false;
    return OkStatus();
  }
  return ResourceExhausted("index: no address space for a larger map");
}

bool Env::broken() const {
  MutexLock lock(mutex_);
  return broken_;
}

StatusOr<std::pair<uint64_t, uint64_t>> Env::FileId() const {
  int fd = -1;
  const int error = mdb_env_get_fd(env_, &fd);
  if (error != 0) return ToStatus(error, "stat");
  struct stat stat;
  if (fstat(fd, &stat) != 0) return ErrnoError(errno, "stat", "index");
  return std::pair<uint64_t, uint64_t>(stat.st_dev, stat.st_ino);
}

void Env::ReleasePages() const {
  const StatusOr<std::pair<uint64_t, uint64_t>> id = FileId();
  if (!id.ok()) return;
  // LMDB does not tell where its map is. The number of the device is of no use: that of a btrfs
  // subvolume differs here and in stat.
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    uint64_t inode = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " r--s %*s %*s %" SCNu64, &begin, &end,
                    &inode) != 3 ||
        inode != id->second || !line.ends_with("/data.mdb")) {
      continue;
    }
    // A shared map of a file loses nothing by it, whoever reads there now. Without effect it only
    // costs memory.
    (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
}

StatusOr<uint64_t> Env::FileBytes() const {
  int fd = -1;
  const int error = mdb_env_get_fd(env_, &fd);
  if (error != 0) return ToStatus(error, "stat");
  struct stat stat;
  if (fstat(fd, &stat) != 0) return ErrnoError(errno, "stat", "index");
  return static_cast<uint64_t>(stat.st_size);
}

StatusOr<uint64_t> Env::UsedBytes() {
  ASSIGN_OR_RETURN(std::unique_ptr<ReadTxn> reader, BeginRead());
  MDB_envinfo info;
  MDB_stat stat;
  int error = mdb_env_info(env_, &info);
  if (error == 0) error = mdb_env_stat(env_, &stat);
  // Table 0 lists the free pages: each value is a count and as many page numbers.
  constexpr MDB_dbi kFreePages = 0;
  MDB_cursor* mdb_cursor = nullptr;
  if (error == 0) error = mdb_cursor_open(reader->txn_, kFreePages, &mdb_cursor);
  if (error != 0) return ToStatus(error, "count free pages");
  Cursor cursor(mdb_cursor);
  uint64_t free_pages = 0;
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, cursor.Next());
    if (!found) break;
    size_t count = 0;
    if (cursor.value().size() < sizeof(count)) return DataLoss("index: damaged list of free pages");
    std::memcpy(&count, cursor.value().data(), sizeof(count));
    free_pages += count;
  }
  const uint64_t pages = info.me_last_pgno + 1;
  return (pages - std::min(pages, free_pages)) * stat.ms_psize;
}

Status Env::CopyCompact(const std::string& directory) {
  RETURN_IF_ERROR(Enter(nullptr));
  const int error = mdb_env_copy2(env_, directory.c_str(), MDB_CP_COMPACT);
  Leave();
  if (error != 0) return Annotate(ToStatus(error, "copy"), directory);
  const std::string file = directory + "/data.mdb";
  const UniqueFd fd(RetryOnEintr([&] { return open(file.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!fd.valid()) return ErrnoError(errno, "open", file);
  if (fdatasync(fd.get()) != 0) return ErrnoError(errno, "sync", file);
  // LMDB fills it when it opens the copy.
  const std::string lock_file = directory + "/lock.mdb";
  const UniqueFd lock(RetryOnEintr(
      [&] { return open(lock_file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode); }));
  return lock.valid() ? OkStatus() : ErrnoError(errno, "create", lock_file);
}

}  // namespace cairn::lmdb
