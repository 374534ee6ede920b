// SPDX-License-Identifier: Apache-2.0
// Cursors and transactions.
#include <pthread.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "core/index/lmdb_internal.h"

namespace cairn::lmdb {
namespace {

MDB_val ToVal(ByteSpan bytes) { return {bytes.size(), const_cast<uint8_t*>(bytes.data())}; }

ByteSpan FromVal(const MDB_val& value) {
  return {static_cast<const uint8_t*>(value.mv_data), value.mv_size};
}

unsigned int ToFlags(PutMode mode) { return mode == PutMode::kAppend ? MDB_APPEND : 0; }

}  // namespace

Status ToStatus(int error, const char* operation) {
  const std::string message = absl::StrFormat("index: %s: %s", operation, mdb_strerror(error));
  switch (error) {
    case MDB_MAP_FULL:
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case ENOMEM:
      return ResourceExhausted(message);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_PAGE_FULL:
    case MDB_CURSOR_FULL:
    case MDB_KEYEXIST:  // of a row to append: the table is not what it was
    case MDB_BAD_VALSIZE:
      return DataLoss(message);
    case MDB_PANIC:
    case MDB_MAP_RESIZED:
    case MDB_BAD_RSLOT:
    case EINVAL:  // so says a mutex in a damaged lock file
      return Unavailable(message);
    case MDB_BAD_TXN:
    case MDB_BAD_DBI:
      return Internal(message);
    default:
      return error > 0 ? ErrnoError(error, operation, "index") : Unavailable(message);
  }
}

// Cursor

Cursor::Cursor(Cursor&& other) noexcept
    : cursor_(std::exchange(other.cursor_, nullptr)), key_(other.key_), value_(other.value_) {}

Cursor::~Cursor() {
  if (cursor_ != nullptr) mdb_cursor_close(cursor_);
}

StatusOr<bool> Cursor::Move(int operation, ByteSpan key) {
  MDB_val found_key = ToVal(key);
  MDB_val found_value = {};
  const int error =
      mdb_cursor_get(cursor_, &found_key, &found_value, static_cast<MDB_cursor_op>(operation));
  if (error == MDB_NOTFOUND) return false;
  if (error != 0) return ToStatus(error, "read");
  key_ = FromVal(found_key);
  value_ = FromVal(found_value);
  return true;
}

StatusOr<bool> Cursor::First() { return Move(MDB_FIRST, {}); }
StatusOr<bool> Cursor::Last() { return Move(MDB_LAST, {}); }
StatusOr<bool> Cursor::Next() { return Move(MDB_NEXT, {}); }
StatusOr<bool> Cursor::Previous() { return Move(MDB_PREV, {}); }
StatusOr<bool> Cursor::NextDuplicate() { return Move(MDB_NEXT_DUP, {}); }
StatusOr<bool> Cursor::Seek(ByteSpan key) { return Move(MDB_SET_KEY, key); }
StatusOr<bool> Cursor::SeekAtLeast(ByteSpan key) { return Move(MDB_SET_RANGE, key); }

// Transactions

StatusOr<std::optional<ByteSpan>> Txn::Get(TableId table, ByteSpan key) {
  MDB_val mdb_key = ToVal(key);
  MDB_val value = {};
  const int error = mdb_get(txn_, env_.tables_[table], &mdb_key, &value);
  if (error == MDB_NOTFOUND) return std::nullopt;
  if (error != 0) return ToStatus(error, "read");
  return FromVal(value);
}

StatusOr<Cursor> Txn::OpenCursor(TableId table) {
  MDB_cursor* cursor = nullptr;
  const int error = mdb_cursor_open(txn_, env_.tables_[table], &cursor);
  if (error != 0) return ToStatus(error, "open a cursor");
  return Cursor(cursor);
}

StatusOr<uint64_t> Txn::CountRows(TableId table) {
  MDB_stat stat;
  const int error = mdb_stat(txn_, env_.tables_[table], &stat);
  if (error != 0) return ToStatus(error, "count rows");
  return stat.ms_entries;
}

StatusOr<uint64_t> Txn::CountLeafPages(TableId table) {
  MDB_stat stat;
  const int error = mdb_stat(txn_, env_.tables_[table], &stat);
  if (error != 0) return ToStatus(error, "count pages");
  return stat.ms_leaf_pages;
}

ReadTxn::ReadTxn(Env& env, std::unique_ptr<ReaderSlot> slot)
    : Txn(env, slot->txn.get()), slot_(std::move(slot)) {}

ReadTxn::~ReadTxn() { env_.EndRead(std::move(slot_)); }

uint64_t ReadTxn::Version() const { return mdb_txn_id(txn_); }

StatusOr<Cursor*> ReadTxn::LookupCursor(TableId table) {
  if (!slot_->lookup) {
    ASSIGN_OR_RETURN(Cursor cursor, OpenCursor(table));
    slot_->lookup.emplace(std::move(cursor));
    slot_->lookup_table = table;
    lookup_is_fresh_ = true;
  }
  CHECK(slot_->lookup_table == table);
  if (!lookup_is_fresh_) {
    const int error = mdb_cursor_renew(txn_, slot_->lookup->cursor_);
    if (error != 0) return ToStatus(error, "renew a cursor");
    lookup_is_fresh_ = true;
  }
  return &*slot_->lookup;
}

StopSignalsBlocked::StopSignalsBlocked() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  sigaddset(&stop, SIGTTIN);
  sigaddset(&stop, SIGTTOU);
  CHECK(pthread_sigmask(SIG_BLOCK, &stop, &old_mask_) == 0);
}

StopSignalsBlocked::~StopSignalsBlocked() {
  CHECK(pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr) == 0);
}

WriteTxn::WriteTxn(Env& env, MDB_txn* txn, Turn turn) : Txn(env, txn), turn_(std::move(turn)) {}

WriteTxn::~WriteTxn() {
  if (txn_ == nullptr) return;
  mdb_txn_abort(txn_);
  env_.Leave();
}

Status WriteTxn::Done(int error, const char* operation) {
  if (error == 0) return OkStatus();
  if (error == MDB_MAP_FULL) {
    MutexLock lock(env_.mutex_);
    env_.wants_larger_map_ = true;
  }
  return ToStatus(error, operation);
}

Status WriteTxn::Put(TableId table, ByteSpan key, ByteSpan value, PutMode mode) {
  MDB_val mdb_key = ToVal(key);
  MDB_val mdb_value = ToVal(value);
  return Done(mdb_put(txn_, env_.tables_[table], &mdb_key, &mdb_value, ToFlags(mode)), "write");
}

Status WriteTxn::Put(Cursor& cursor, ByteSpan key, ByteSpan value, PutMode mode) {
  MDB_val mdb_key = ToVal(key);
  MDB_val mdb_value = ToVal(value);
  return Done(mdb_cursor_put(cursor.cursor_, &mdb_key, &mdb_value, ToFlags(mode)), "write");
}

StatusOr<bool> WriteTxn::Deleted(int error) {
  if (error == MDB_NOTFOUND) return false;
  RETURN_IF_ERROR(Done(error, "delete"));
  return true;
}

StatusOr<bool> WriteTxn::Delete(TableId table, ByteSpan key) {
  MDB_val mdb_key = ToVal(key);
  return Deleted(mdb_del(txn_, env_.tables_[table], &mdb_key, nullptr));
}

StatusOr<bool> WriteTxn::Delete(TableId table, ByteSpan key, ByteSpan value) {
  MDB_val mdb_key = ToVal(key);
  MDB_val mdb_value = ToVal(value);
  return Deleted(mdb_del(txn_, env_.tables_[table], &mdb_key, &mdb_value));
}

Status WriteTxn::DeleteAt(Cursor& cursor) {
  return Done(mdb_cursor_del(cursor.cursor_, 0), "delete");
}

Status WriteTxn::Clear(TableId table) {
  return Done(mdb_drop(txn_, env_.tables_[table], 0), "clear a table");
}

Status WriteTxn::Commit() {
  CHECK(txn_ != nullptr);
  Status status = Done(mdb_txn_commit(std::exchange(txn_, nullptr)), "commit");
  env_.Leave();
  turn_.reset();
  return status;
}

}  // namespace cairn::lmdb
