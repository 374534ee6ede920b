// SPDX-License-Identifier: Apache-2.0
// Making a damaged pack whole again by its parity, and a missing parity by its pack.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/store/object_store.h"
#include "core/store/pack.h"

namespace cairn {

// Thread-compatible. In memory: a MiB, and as much of the pack as is lost, which is a thirty-second
// part of it at most.
class PackMender {
 public:
  // All must outlive it. `session` owns what is on its way.
  PackMender(ObjectStore& store, const RepositoryKeys& keys, const SessionId& session,
             const StopFlag* stop)
      : store_(store), keys_(keys), session_(session), stop_(stop) {}

  // OK if the size, the hash and the checksum of every frame are right. Where they are not,
  // DATA_LOSS, NOT_FOUND, or the error of a read that fails.
  Status Verify(const PackInfo& pack) { return Verify(pack, pack.name); }
  // The same of the file that has the name `at`.
  Status Verify(const PackInfo& pack, const PackName& at);

  // The lost shards of a damaged pack, computed from its parity, and all that Verify looks at right
  // with them. NOT_FOUND if the pack or its parity is gone, DATA_LOSS if the parity does not
  // suffice; nothing is written.
  using Patches = std::map<uint64_t, Bytes>;  // by number of the shard
  StatusOr<Patches> Solve(const PackInfo& pack);
  // Puts the pack with these patches in the place of the damaged one, if that is whole; durable
  // after the next ObjectStore::SyncNames.
  Status Mend(const PackInfo& pack, const Patches& patches);

  // OK if the parity of a whole pack is there, whole, and of this pack. NOT_FOUND if there is none.
  Status VerifyParity(const PackInfo& pack);
  // Only that it is there, and as long as it should be.
  Status VerifyParitySize(const PackInfo& pack);
  // Makes the parity anew, in the place of what is there, likewise. DATA_LOSS if the pack is
  // damaged.
  Status MakeParity(const PackInfo& pack);

 private:
  ObjectStore& store_;
  const RepositoryKeys keys_;
  const SessionId session_;
  const StopFlag* const stop_;
};

}  // namespace cairn
