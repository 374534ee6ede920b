// SPDX-License-Identifier: Apache-2.0
// The directory of an index: whose it must be, and how a new environment takes the old one's place.
//
//   DIRECTORY/             0700, of the user alone
//     index-2/             the LMDB environment of schema 2: data.mdb, lock.mdb
//     discarded-*, new-*   left by a crash; removed when the directory is opened next
//
// An environment is exchanged or removed as a whole directory, so that those who have the old one
// open go on with it, and nobody gets the data of one with the locks of the other.
#pragma once

#include <chrono>
#include <string>

#include "core/base/status.h"
#include "core/base/unique_fd.h"
#include "core/index/patience.h"

namespace cairn {

// An open directory, locked against other processes and other objects of this class while it lives.
// Short-lived. Movable; thread-compatible.
class IndexDirectory {
 public:
  // Creates the directory and its parents where they are missing. FAILED_PRECONDITION if it is not
  // the effective user's own, or others can write to it (for root also: or to anything above it),
  // or it lies on a network file system, where LMDB does not work. UNAVAILABLE if who has it locked
  // does not let go for `patience`.
  static StatusOr<IndexDirectory> Open(const std::string& path,
                                       std::chrono::milliseconds patience = kPatience);

  const std::string& environment() const { return environment_; }

  // Makes an empty environment's directory if there is none.
  Status CreateEnvironment();
  // Removes the environment; who has it open keeps it.
  Status DiscardEnvironment();
  // An empty directory for a new environment, and its exchange with the old one.
  StatusOr<std::string> CreateReplacement();
  Status Replace(const std::string& replacement);

 private:
  IndexDirectory(std::string path, UniqueFd fd);
  Status RemoveLeftovers();
  std::string NewName(const char* prefix) const;

  std::string path_;
  std::string environment_;
  UniqueFd fd_;  // holds the lock
};

}  // namespace cairn
