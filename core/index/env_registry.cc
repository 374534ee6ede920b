// SPDX-License-Identifier: Apache-2.0
#include "core/index/env_registry.h"

#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "core/base/check.h"
#include "core/base/mutex.h"

namespace cairn {

struct SharedEnv::Registry {
  struct Entry {
    std::unique_ptr<lmdb::Env> env;
    int shares = 0;
  };
  // Held while an environment is opened or closed: LMDB's file locks belong to the process, and one
  // that closes must not take those of one that opens.
  Mutex mutex;
  std::map<Key, Entry> entries ABSL_GUARDED_BY(mutex);
};

SharedEnv::Registry& SharedEnv::TheRegistry() {
  static Registry& registry = *new Registry;  // never destroyed: an index may be static, too
  return registry;
}

StatusOr<SharedEnv> SharedEnv::Open(const std::string& environment, uint64_t map_bytes,
                                    std::span<const lmdb::TableSpec> tables) {
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  struct stat stat;
  if (::stat((environment + "/data.mdb").c_str(), &stat) == 0) {
    const Key key(getpid(), stat.st_dev, stat.st_ino);
    const auto entry = registry.entries.find(key);
    if (entry != registry.entries.end()) {
      if (entry->second.env->broken()) return DataLoss("index: its environment is broken");
      ++entry->second.shares;
      return SharedEnv(key, entry->second.env.get());
    }
  }
  ASSIGN_OR_RETURN(std::unique_ptr<lmdb::Env> env, lmdb::Env::Open(environment, map_bytes, tables));
  ASSIGN_OR_RETURN(const auto file, env->FileId());
  const Key key(getpid(), file.first, file.second);
  Registry::Entry& entry = registry.entries[key];
  CHECK(entry.env == nullptr);
  entry.env = std::move(env);
  entry.shares = 1;
  return SharedEnv(key, entry.env.get());
}

SharedEnv::SharedEnv(SharedEnv&& other) noexcept
    : key_(other.key_), env_(std::exchange(other.env_, nullptr)) {}

SharedEnv::~SharedEnv() {
  if (env_ == nullptr || std::get<0>(key_) != getpid()) return;
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  const auto entry = registry.entries.find(key_);
  CHECK(entry != registry.entries.end());
  if (--entry->second.shares == 0) registry.entries.erase(entry);
}

}  // namespace cairn
