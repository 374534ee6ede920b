// SPDX-License-Identifier: Apache-2.0
#include "core/repo/link_groups.h"

#include <algorithm>

#include "core/base/blake3.h"
#include "core/base/coding.h"
#include "core/tree/builder.h"
#include "core/tree/node.h"

namespace cairn {
namespace {

constexpr size_t kGroupSortBytes = 8 * kMiB;
constexpr size_t kShortDigestBytes = 16;
constexpr size_t kInodeKeyBytes = 16 + kShortDigestBytes;  // device, inode, digest of the entry

// With NUL for '/', the order of bytes is the order of paths (ComparePaths): a name has no NUL.
void PutPathKey(Bytes& out, std::string_view path) {
  for (const char c : path) out.push_back(c == '/' ? 0 : static_cast<uint8_t>(c));
}

std::string PathOfKey(ByteSpan key) {
  std::string path(AsText(key));
  std::replace(path.begin(), path.end(), '\0', '/');
  return path;
}

// Two NULs end the first path of a group: no path has an empty part, so they stand below
// whatever a longer path has there.
size_t EndOfFirstPath(ByteSpan record) { return AsText(record).find(std::string_view("\0\0", 2)); }

}  // namespace

LinkGroups::LinkGroups() : by_inode_({.memory_bytes = kGroupSortBytes}) {}

Status LinkGroups::Add(uint64_t device, uint64_t inode, std::string_view path, const Entry& entry) {
  // Such a path is a file of its own then, with the same content.
  if (path.size() > kMaxLinkPathBytes) return OkStatus();
  Bytes record;
  record.reserve(kInodeKeyBytes + path.size());
  AppendBigEndian(record, device);
  AppendBigEndian(record, inode);
  Blake3 digest;
  digest.Update(EncodeRoot({entry, std::nullopt}));  // its name plays no part
  Append(record, ByteSpan(digest.Finish()).first(kShortDigestBytes));
  PutPathKey(record, path);
  MutexLock lock(mutex_);
  return by_inode_.Add(record);
}

Status LinkGroups::SortGroups(ExternalSorter& by_first_path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(by_inode_.Finish());
  Bytes first;  // record of the group's first path
  bool group_written = false;
  Bytes record;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, by_inode_.Next(&record));
    if (!more) return OkStatus();
    const bool same_inode =
        !first.empty() && std::equal(first.begin(), first.begin() + kInodeKeyBytes, record.begin());
    if (!same_inode) {
      first = record;
      group_written = false;
      continue;
    }
    const auto add = [&](const Bytes& path_record) {
      Bytes out(first.begin() + kInodeKeyBytes, first.end());
      out.push_back(0);
      out.push_back(0);
      out.insert(out.end(), path_record.begin() + kInodeKeyBytes, path_record.end());
      return by_first_path.Add(out);
    };
    if (!group_written) RETURN_IF_ERROR(add(first));
    group_written = true;
    RETURN_IF_ERROR(add(record));
  }
}

StatusOr<std::optional<BlobId>> LinkGroups::Finish(BlobSink& sink) {
  ExternalSorter by_first_path({.memory_bytes = kGroupSortBytes});
  RETURN_IF_ERROR(SortGroups(by_first_path));
  RETURN_IF_ERROR(by_first_path.Finish());
  LinksBuilder builder(sink);
  Bytes record;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, by_first_path.Next(&record));
    if (!more) return builder.Finish();
    const size_t end = EndOfFirstPath(record);
    const ByteSpan first = ByteSpan(record).first(end);
    const ByteSpan path = ByteSpan(record).subspan(end + 2);
    RETURN_IF_ERROR(
        builder.Add({.first = std::ranges::equal(first, path), .path = PathOfKey(path)}));
  }
}

}  // namespace cairn
