// SPDX-License-Identifier: Apache-2.0
// What lmdb.cc and lmdb_txn.cc share; they alone include LMDB's own header. Private to them.
#pragma once

#include <lmdb.h>

#include <memory>
#include <optional>

#include "core/base/status.h"
#include "core/index/lmdb.h"

namespace cairn::lmdb {

// `error` is an errno or one of LMDB's own negative numbers.
Status ToStatus(int error, const char* operation);

struct AbortTxn {
  void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
};
using UniqueTxn = std::unique_ptr<MDB_txn, AbortTxn>;

struct ReaderSlot {
  UniqueTxn txn;
  TableId lookup_table = 0;
  std::optional<Cursor> lookup;  // before txn goes, so declared behind it
};

}  // namespace cairn::lmdb
