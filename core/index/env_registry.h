// SPDX-License-Identifier: Apache-2.0
// The LMDB environments that this process has open: each file once, however many ask for it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <tuple>

#include "core/base/status.h"
#include "core/index/lmdb.h"

namespace cairn {

// A share in an open environment, which closes with the last of them. Movable; thread-compatible,
// the environment itself is thread-safe. After fork() a child must not use its parent's; what it
// opens itself is new.
class SharedEnv {
 public:
  // The caller holds the IndexDirectory, so that no two processes create the same environment at
  // once. Errors as of lmdb::Env::Open; DATA_LOSS also for one that failed in this process.
  static StatusOr<SharedEnv> Open(const std::string& environment, uint64_t map_bytes,
                                  std::span<const lmdb::TableSpec> tables);

  SharedEnv(SharedEnv&& other) noexcept;
  SharedEnv& operator=(SharedEnv&&) = delete;
  ~SharedEnv();

  lmdb::Env& operator*() const { return *env_; }
  lmdb::Env* operator->() const { return env_; }

 private:
  using Key = std::tuple<int, uint64_t, uint64_t>;  // process, device, inode of data.mdb
  struct Registry;
  static Registry& TheRegistry();

  SharedEnv(const Key& key, lmdb::Env* env) : key_(key), env_(env) {}

  Key key_;
  lmdb::Env* env_;  // owned by the registry; null after a move
};

}  // namespace cairn
