// SPDX-License-Identifier: Apache-2.0
// Copies what is live out of packs. Private to prune.
//
// A frame that is live as a whole, and not small, is copied as it is stored; the blobs of the
// others are put together anew, neighbours staying neighbours. A delta frame keeps its bases while
// at least half of it is live. Every frame is decoded and every blob's hash compared before it is
// written.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/repo/mark.h"
#include "core/repo/pack_assembler.h"
#include "core/repo/prune_plan.h"
#include "core/repo/repository.h"

namespace cairn {

// Whether what is live of a delta frame is written as a delta of the same bases again.
inline bool StaysDelta(uint64_t live_raw_bytes, uint32_t raw_bytes) {
  return 2 * live_raw_bytes >= raw_bytes;
}

// New packs that no record names yet: removed when this goes, unless Keep was called.
class UnnamedPacks {
 public:
  explicit UnnamedPacks(ObjectStore& store) : store_(&store) {}
  UnnamedPacks(UnnamedPacks&& other) noexcept
      : store_(other.store_), packs_(std::exchange(other.packs_, {})) {}
  UnnamedPacks& operator=(UnnamedPacks&& other) noexcept {
    std::swap(packs_, other.packs_);
    return *this;
  }
  ~UnnamedPacks();

  void Add(const PackInfo& pack) { packs_.push_back(pack); }
  // Once a record names them, or may do so.
  void Keep() { packs_.clear(); }

 private:
  ObjectStore* store_;
  std::vector<PackInfo> packs_;
};

struct RewriteBatch {
  explicit RewriteBatch(ObjectStore& store) : unnamed(store) {}

  std::vector<PackUse> old;     // packs of which all that is live was copied
  std::vector<PackInfo> packs;  // the new ones; their names are durable
  Repository::KnownFooters footers;
  std::vector<std::unique_ptr<ParityWriter>> parity;  // to be placed once the packs are named
  UnnamedPacks unnamed;
};

// Thread-compatible.
class PackRewriter {
 public:
  struct Options {
    int threads = 1;
    const StopFlag* stop = nullptr;
    // A batch ends when so many stored bytes are live in its packs, or when these have very many
    // blobs.
    uint64_t batch_bytes = 0;
    bool parity = true;  // for the new packs
  };

  // All must outlive it; nothing may be marked while a batch is made.
  PackRewriter(Repository& repository, const SessionId& session, const ReachableBlobs& reachable,
               const Options& options)
      : repository_(repository), session_(session), reachable_(reachable), options_(options) {}

  // Rewrites packs from packs[*next] on, and moves `next` behind the last of them. A damaged pack
  // is left out, and told of by RepositoryOptions::warn. RESOURCE_EXHAUSTED if the disk is full.
  // After an error nothing is left behind, and `next` stays.
  StatusOr<RewriteBatch> Rewrite(const std::vector<PackUse>& packs, size_t* next);

 private:
  Repository& repository_;
  const SessionId session_;
  const ReachableBlobs& reachable_;
  const Options options_;
};

}  // namespace cairn
