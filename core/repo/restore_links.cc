// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_links.h"

#include <algorithm>
#include <utility>

#include "core/tree/reader.h"

namespace cairn {
namespace {

constexpr size_t kFollowerSortBytes = 8 * kMiB;
// Ends the follower's path in a record: stands below whatever a longer path has there.
constexpr std::string_view kKeyEnd("\0\0", 2);

// With NUL for '/', the order of bytes is the order of a walk: a name has no NUL.
std::string FollowerKey(std::string path) {
  std::replace(path.begin(), path.end(), '/', '\0');
  return path;
}

}  // namespace

LinkFollowers::LinkFollowers() : followers_({.memory_bytes = kFollowerSortBytes}) {}

Status LinkFollowers::Add(const std::string& path, const std::string& leader) {
  std::string record = FollowerKey(path);
  record += kKeyEnd;
  record += leader;
  return followers_.Add(AsBytes(record));
}

StatusOr<std::unique_ptr<LinkFollowers>> LinkFollowers::Load(BlobSource& source,
                                                             const std::optional<BlobId>& links,
                                                             const Options& options) {
  std::unique_ptr<LinkFollowers> followers(new LinkFollowers());
  LinksReader reader(source, links);
  std::optional<std::string> leader;
  for (;;) {
    RETURN_IF_ERROR(CheckStop(options.stop));
    const StatusOr<std::optional<LinkPath>> next = reader.Next();
    if (!next.ok()) {
      options.on_damage(next.status());
      leader.reset();
      continue;
    }
    if (!next->has_value()) break;
    const LinkPath& link = **next;
    if (link.first) leader.reset();
    std::optional<std::string> path = options.place(link.path);
    if (!path) continue;
    if (leader) {
      RETURN_IF_ERROR(followers->Add(*path, *leader));
    } else {
      leader = std::move(path);
    }
  }
  RETURN_IF_ERROR(followers->followers_.Finish());
  RETURN_IF_ERROR(followers->Advance());
  return followers;
}

Status LinkFollowers::Advance() {
  ASSIGN_OR_RETURN(more_, followers_.Next(&record_));
  if (!more_) return OkStatus();
  const std::string_view record = AsText(record_);
  const size_t end = record.find(kKeyEnd);
  key_ = record.substr(0, end);
  leader_ = record.substr(end + kKeyEnd.size());
  return OkStatus();
}

StatusOr<const std::string*> LinkFollowers::LeaderOf(const std::string& path) {
  if (!more_) return nullptr;
  const std::string key = FollowerKey(path);
  // What the walk did not come by: it was damaged, or in the way of something.
  while (more_ && key_ < key) RETURN_IF_ERROR(Advance());
  return more_ && key_ == key ? &leader_ : nullptr;
}

}  // namespace cairn
