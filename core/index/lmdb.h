// SPDX-License-Identifier: Apache-2.0
// LMDB with owners and errors as values: environment, transactions, cursors. lmdb.cc and
// lmdb_txn.cc are the only files that know LMDB's own header.
//
// What LMDB asks for, and who sees to it:
//   - An environment is opened once in a process: opened twice, the first close would drop the
//     file locks of the other. Callers go through core/index/env_registry.h.
//   - It is not used after fork(). The registry gives a child an environment of its own.
//   - Read transactions are short: while one lives, no page freed since is used again. Our readers
//     promise it (index.h); those of dead processes are cleared at every open.
//   - A write transaction belongs to one thread, and must not be stopped, for it holds a mutex
//     that all processes share: WriteTxn blocks the stop signals of its thread, and holds the
//     StopGate for a program of several threads. A killed writer leaves nothing and holds up
//     nobody. One that is stopped all the same (SIGSTOP, a frozen container) would hold up all
//     others for ever, as LMDB waits for its mutex without a limit: so the environment's directory
//     is locked first, which can be given up.
//   - The map is resized only while this process has no transaction: Env waits for that.
//   - Neither file is ever replaced alone: two writers could then enter, and readers would go by
//     another data file's transactions. Directories are exchanged, and Open takes no file that has
//     lost the other.
//   - The file is trusted by LMDB: damage can crash the process, and so does (SIGBUS) a file that
//     somebody cuts short. Values carry checks of their own (index_row.h); the command line's
//     handler of SIGBUS says what happened.
//   - No network file system (index_directory.h).
// Used without syncing the meta page (a power cut may undo the last transactions, in whole, which
// an index can bear), never with a writable map or without syncs (which may tear it).
#pragma once

#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"
#include "core/index/stop_gate.h"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace cairn::lmdb {

// The number of a table in the list that the environment was opened with.
using TableId = size_t;

struct TableSpec {
  const char* name;
  bool sorted_duplicates = false;  // several values to a key, all of one size, kept in order
};

enum class PutMode {
  kReplace,  // of a table with duplicates: add, unless the very same is there
  kAppend,   // the key is greater than all others; else INTERNAL
};

// A position in a table. Move-only; thread-compatible. It must go before its transaction
// ends. Views that it returns are good until the next write in its transaction, or the
// transaction's end.
class Cursor {
 public:
  explicit Cursor(MDB_cursor* cursor) : cursor_(cursor) {}
  Cursor(Cursor&& other) noexcept;
  Cursor& operator=(Cursor&&) = delete;
  ~Cursor();

  // These return whether there is such a row.
  StatusOr<bool> First();
  StatusOr<bool> Last();
  StatusOr<bool> Next();  // counting each duplicate
  StatusOr<bool> Previous();
  StatusOr<bool> NextDuplicate();  // of the same key
  StatusOr<bool> Seek(ByteSpan key);
  StatusOr<bool> SeekAtLeast(ByteSpan key);  // this key or the next greater one

  // Of the row that was found last.
  ByteSpan key() const { return key_; }
  ByteSpan value() const { return value_; }

 private:
  friend class WriteTxn;
  friend class ReadTxn;
  StatusOr<bool> Move(int operation, ByteSpan key);

  MDB_cursor* cursor_;  // owned
  ByteSpan key_;
  ByteSpan value_;
};

class Env;

// What reads and writes share. Thread-compatible.
class Txn {
 public:
  Txn(const Txn&) = delete;
  Txn& operator=(const Txn&) = delete;

  // A view, as a cursor's; the first one of several.
  StatusOr<std::optional<ByteSpan>> Get(TableId table, ByteSpan key);
  StatusOr<Cursor> OpenCursor(TableId table);
  StatusOr<uint64_t> CountRows(TableId table);
  // Of those that hold rows.
  StatusOr<uint64_t> CountLeafPages(TableId table);
  Env& env() { return env_; }

 protected:
  Txn(Env& env, MDB_txn* txn) : env_(env), txn_(txn) {}
  ~Txn() = default;

  Env& env_;
  MDB_txn* txn_;
};

// A reader's place in LMDB's table of readers, with what it keeps for the next transaction.
struct ReaderSlot;

// Must not outlive its environment.
class ReadTxn : public Txn {
 public:
  ~ReadTxn();

  // Two readers with the same number see the same.
  uint64_t Version() const;
  // One cursor that is kept from transaction to transaction, for look-ups in one table: the first
  // that is asked for in this environment.
  StatusOr<Cursor*> LookupCursor(TableId table);

 private:
  friend class Env;
  ReadTxn(Env& env, std::unique_ptr<ReaderSlot> slot);

  std::unique_ptr<ReaderSlot> slot_;
  bool lookup_is_fresh_ = false;  // the slot's cursor is good for this transaction
};

// Blocks SIGTSTP, SIGTTIN and SIGTTOU for this thread while it lives, and holds the StopGate. Not
// what kills: a killed writer harms nobody, and who waits for one must remain interruptible.
class StopSignalsBlocked {
 public:
  StopSignalsBlocked();
  ~StopSignalsBlocked();
  StopSignalsBlocked(const StopSignalsBlocked&) = delete;
  StopSignalsBlocked& operator=(const StopSignalsBlocked&) = delete;

 private:
  sigset_t old_mask_;
  const StopGate::Hold hold_;
};

// Without Commit, nothing happened. Belongs to its thread. RESOURCE_EXHAUSTED of any call: the
// transaction is lost, and the map will be twice as large for the next one, if memory allows.
class WriteTxn : public Txn {
 public:
  ~WriteTxn();

  Status Put(TableId table, ByteSpan key, ByteSpan value, PutMode mode = PutMode::kReplace);
  // The same at a cursor, which finds neighbouring keys faster.
  Status Put(Cursor& cursor, ByteSpan key, ByteSpan value, PutMode mode);
  // Returns whether it was there. With a value, that duplicate only; else the key.
  StatusOr<bool> Delete(TableId table, ByteSpan key);
  StatusOr<bool> Delete(TableId table, ByteSpan key, ByteSpan value);
  // Deletes the row that the cursor found last; Next then finds the one behind it.
  Status DeleteAt(Cursor& cursor);
  Status Clear(TableId table);
  // Durable against kills; against power cuts a moment later.
  Status Commit();

 private:
  friend class Env;
  // The only writer, of all processes, while it lives.
  struct Turn {
    std::unique_ptr<StopSignalsBlocked> signals;
    UniqueFd lock;
  };
  WriteTxn(Env& env, MDB_txn* txn, Turn turn);
  Status Done(int error, const char* operation);
  StatusOr<bool> Deleted(int error);

  std::optional<Turn> turn_;
};

// An open environment. Thread-safe.
class Env {
 public:
  // Opens the environment in `directory`, which exists; creates its files and tables where they
  // are missing. The map has `map_bytes` of address space, halved while the system refuses, down
  // to 64 MiB. DATA_LOSS: not an LMDB environment of this version, damaged, or without one of its
  // files, also where somebody removes them meanwhile. UNAVAILABLE: also where a process of the
  // same number in another pid namespace uses it.
  static StatusOr<std::unique_ptr<Env>> Open(const std::string& directory, uint64_t map_bytes,
                                             std::span<const TableSpec> tables);
  // No transaction lives any more.
  ~Env();

  StatusOr<std::unique_ptr<ReadTxn>> BeginRead() ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for the writer of another thread or process. ABORTED: for `patience` nobody has committed
  // anything, so that the writer seems to be stopped.
  StatusOr<std::unique_ptr<WriteTxn>> BeginWrite(std::chrono::milliseconds patience)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether it has to be opened anew, from another directory.
  bool broken() const ABSL_LOCKS_EXCLUDED(mutex_);
  // The data file's device and inode: what tells environments apart.
  StatusOr<std::pair<uint64_t, uint64_t>> FileId() const;
  // Of the data file.
  StatusOr<uint64_t> FileBytes() const;
  // Of its pages that hold something.
  StatusOr<uint64_t> UsedBytes();
  // Writes a copy without the free pages to the empty `directory`, as durable as a copy can be
  // before its directory is. Seconds for gigabytes; a read transaction all the while.
  Status CopyCompact(const std::string& directory);
  // Takes the pages that this process has touched out of its memory; they stay in the system's
  // cache. A process that has passed over the whole of a large index is not charged with it.
  void ReleasePages() const;

 private:
  friend class Txn;
  friend class ReadTxn;
  friend class WriteTxn;

  explicit Env(MDB_env* env);

  StatusOr<WriteTxn::Turn> WaitForTurn(std::chrono::milliseconds patience) const;
  Status OpenTables(std::span<const TableSpec> tables);
  StatusOr<bool> TryOpenTables(MDB_txn* txn, std::span<const TableSpec> tables, bool create);
  void EndRead(std::unique_ptr<ReaderSlot> slot) ABSL_LOCKS_EXCLUDED(mutex_);
  Status BeginFailed(int error, int attempt);
  // Counts a transaction, and hands out a slot that is not used, if there is one and who asks.
  Status Enter(std::unique_ptr<ReaderSlot>* idle_slot) ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave() ABSL_LOCKS_EXCLUDED(mutex_);
  Status GrowMap() ABSL_LOCKS_EXCLUDED(mutex_);
  Status GrowMapLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  MDB_env* const env_;                // owned
  UniqueFd directory_;                // who writes has a lock of it
  std::vector<unsigned int> tables_;  // LMDB's handles, by TableId

  mutable Mutex mutex_;
  int active_ ABSL_GUARDED_BY(mutex_) = 0;  // transactions that live, or are about to
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool wants_larger_map_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<ReaderSlot>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::lmdb
