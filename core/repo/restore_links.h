// SPDX-License-Identifier: Apache-2.0
// Hard links of a restore: which of the entries that a walk meets are further names of an inode
// that it has met before.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/blob.h"
#include "core/base/bytes.h"
#include "core/base/external_sorter.h"
#include "core/base/status.h"
#include "core/base/stop.h"

namespace cairn {

// Of each link group the first path that is restored leads, in the order of the walk; all other
// paths of the group follow it. Sorted externally: memory does not grow with their number.
// Thread-compatible.
class LinkFollowers {
 public:
  struct Options {
    // From a path of the link table to the one that the walk will have for it; nothing if it is
    // not restored.
    std::function<std::optional<std::string>(const std::string& link_path)> place;
    // A part of the table that cannot be read: what it holds is restored as files of their own.
    std::function<void(const Status&)> on_damage;
    const StopFlag* stop = nullptr;
  };
  // `links` is the root's table, if it has one.
  static StatusOr<std::unique_ptr<LinkFollowers>> Load(BlobSource& source,
                                                       const std::optional<BlobId>& links,
                                                       const Options& options);

  // The path that `path` is another name of; null if it leads, or is alone. Paths must be asked for
  // in the order of a walk. Valid until the next call.
  StatusOr<const std::string*> LeaderOf(const std::string& path);

 private:
  LinkFollowers();
  Status Add(const std::string& path, const std::string& leader);
  Status Advance();

  ExternalSorter followers_;
  bool more_ = false;  // record_, key_ and leader_ are those of the next follower
  Bytes record_;
  std::string key_;
  std::string leader_;
};

}  // namespace cairn
