// SPDX-License-Identifier: Apache-2.0
// When each pack was last read back whole and found right, as this user's index remembers it. It
// chooses and orders what `check` reads, and is told by `stats`; nothing else rests on it, and
// losing it costs the time of reading once more. docs/design.md, "Check".
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/index/index.h"
#include "core/repo/repository.h"

namespace cairn {

// Nothing if the pack was never read whole here, or was damaged when it was, or if that is not
// known; a time after `now` is not believed either. Of another copy of the repository nothing is
// known: `repository` is told from copies by where it lies.
std::optional<Timestamp> FindVerifiedTime(IndexReader& reader, const Repository& repository,
                                          const PackName& pack, const Timestamp& now);

// What every note about a pack begins with: for who takes the pack out of the index.
Bytes VerifiedTimePrefix(const PackName& pack);

// Remembers what is read, a batch of packs at a time. Where that fails the user is told once, and
// no more is tried. Thread-safe.
class VerifiedLog {
 public:
  // `repository` must outlive it.
  explicit VerifiedLog(Repository& repository) : repository_(repository) {}

  // The pack is right; `begin` is when its reading began.
  void Passed(const PackName& pack, const Timestamp& begin) { Add(pack, begin); }
  // It is not: it counts as never read.
  void Failed(const PackName& pack) { Add(pack, std::nullopt); }
  // What was not written yet.
  void Write();

 private:
  using Verified = std::pair<PackName, std::optional<Timestamp>>;

  void Add(const PackName& pack, std::optional<Timestamp> time);
  Status WriteBatch(const std::vector<Verified>& batch);

  Repository& repository_;
  Mutex mutex_;
  std::vector<Verified> waiting_ ABSL_GUARDED_BY(mutex_);
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace cairn
