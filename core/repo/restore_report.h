// SPDX-License-Identifier: Apache-2.0
// What a restore has done so far: counted, and told to whoever listens.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/blob.h"
#include "core/fs/target.h"
#include "core/repo/restore.h"
#include "core/tree/entry.h"

namespace cairn {

// Thread-safe. Paths are those of the snapshot: absolute.
class RestoreReport {
 public:
  explicit RestoreReport(const RestoreOptions& options)
      : options_(options),
        progress_(options.progress != nullptr ? *options.progress : own_progress_) {}

  // An entry that is now as the snapshot has it, or stays as it is (kUnchanged).
  void Done(const std::string& path, EntryType type, RestoreAction action);
  void Deleted(const std::string& path);
  void Wrote(uint64_t bytes) { progress_.bytes += bytes; }
  void Verified() { ++verified_; }
  // Something that should have been restored, or removed, and is not: an error.
  void Problem(const std::string& path, std::string_view what);
  // The snapshot itself could not read it.
  void Unread(const std::string& path);
  void SpecialNotMade(const std::string& path, std::string_view why);
  void NotSet(const AttributeReport& attributes);
  // A restore of the whole snapshot.
  void SetTotals(uint64_t files, uint64_t bytes);

  RestoreResult Result() const;

 private:
  const RestoreOptions& options_;
  RestoreProgress own_progress_;
  RestoreProgress& progress_;
  std::atomic<uint64_t> verified_{0};
  std::atomic<uint64_t> owners_{0};
  std::atomic<uint64_t> xattrs_{0};
  std::atomic<uint64_t> specials_{0};
  std::atomic<uint64_t> unread_{0};
};

// The entry's attributes with the values that stand in blobs. A value that is lost is a problem,
// and left out.
Attributes AttributesOf(BlobSource& source, const Entry& entry, const std::string& path,
                        RestoreReport& report);

}  // namespace cairn
