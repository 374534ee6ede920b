// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check_links.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "core/base/blake3.h"
#include "core/base/coding.h"
#include "core/tree/reader.h"
#include "core/tree/walk.h"

namespace cairn {
namespace {

constexpr size_t kCheckSortBytes = 8 * kMiB;
constexpr size_t kGroupBytes = 8;
constexpr size_t kEntryDigestBytes = 32;

// With NUL for '/', which no name has, the order of bytes is the order of a walk.
Bytes KeyOf(std::string_view path) {
  Bytes key;
  for (const char c : path) key.push_back(c == '/' ? 0 : static_cast<uint8_t>(c));
  return key;
}

std::string PathOf(ByteSpan key) {
  std::string path(AsText(key));
  std::replace(path.begin(), path.end(), '\0', '/');
  return path;
}

// The encoding of an entry without its name.
Hash256 DigestOf(const Entry& entry) {
  Blake3 digest;
  digest.Update(EncodeRoot({entry, std::nullopt}));
  return digest.Finish();
}

// The paths that are looked for, in order: a key, two NULs, the group.
class Wanted {
 public:
  explicit Wanted(ExternalSorter& by_path) : by_path_(by_path) {}

  Status Advance() {
    Bytes before = std::exchange(record_, {});
    ASSIGN_OR_RETURN(const bool more, by_path_.Next(&record_));
    if (!more) record_.clear();
    twice_ = more && std::ranges::equal(Head(before), key());
    return OkStatus();
  }
  bool at_end() const { return record_.empty(); }
  ByteSpan key() const { return Head(record_); }
  ByteSpan group() const { return ByteSpan(record_).last(kGroupBytes); }
  // The path before it was the same one.
  bool twice() const { return twice_; }
  bool IsBelow(const Bytes& directory) const {
    return directory.empty() || (key().size() > directory.size() && key()[directory.size()] == 0 &&
                                 std::ranges::equal(key().first(directory.size()), directory));
  }

 private:
  static ByteSpan Head(const Bytes& record) {
    return record.empty() ? ByteSpan() : ByteSpan(record).first(record.size() - kGroupBytes - 2);
  }

  ExternalSorter& by_path_;
  Bytes record_;
  bool twice_ = false;
};

}  // namespace

StatusOr<std::string> LinkCheck::FindFault(const Root& root) {
  Entry top;
  if (const Entry* const entry = std::get_if<Entry>(&root.top)) {
    top = *entry;
  } else {
    top.type = EntryType::kPartialDirectory;
    top.node = std::get<BlobId>(root.top);
  }
  ExternalSorter by_path({.memory_bytes = kCheckSortBytes});
  ExternalSorter by_group({.memory_bytes = kCheckSortBytes});
  const Status sorted = SortPaths(*root.links, by_path);
  if (IsDamage(sorted)) return std::string();
  RETURN_IF_ERROR(sorted);
  StatusOr<std::string> fault = SortEntries(top, by_path, by_group);
  if (IsDamage(fault.status())) return std::string();
  if (!fault.ok() || !fault->empty()) return fault;
  return CompareGroups(by_group);
}

Status LinkCheck::SortPaths(const BlobId& links, ExternalSorter& by_path) {
  LinksReader reader(source_, links);
  uint64_t group = 0;
  for (;;) {
    RETURN_IF_ERROR(CheckStop(stop_));
    ASSIGN_OR_RETURN(const std::optional<LinkPath> path, reader.Next());
    if (!path) return by_path.Finish();
    group += path->first ? 1 : 0;
    Bytes record = KeyOf(path->path);
    record.insert(record.end(), {0, 0});
    AppendBigEndian(record, group);
    RETURN_IF_ERROR(by_path.Add(record));
  }
}

StatusOr<std::string> LinkCheck::SortEntries(const Entry& top, ExternalSorter& by_path,
                                             ExternalSorter& by_group) {
  Wanted wanted(by_path);
  RETURN_IF_ERROR(wanted.Advance());
  std::string fault;
  WalkCallbacks callbacks;
  callbacks.enter = [&](const std::string& path, const Entry& entry) -> StatusOr<WalkStep> {
    RETURN_IF_ERROR(CheckStop(stop_));
    const Bytes key = KeyOf(path);
    if (!path.empty() && !wanted.at_end() && std::ranges::equal(wanted.key(), key)) {
      if (IsAnyDirectory(entry.type)) {
        fault = "path " + path + " of a link group is a directory";
        return WalkStep::kStop;
      }
      Bytes record(wanted.group().begin(), wanted.group().end());
      const Hash256 digest = DigestOf(entry);
      record.insert(record.end(), digest.begin(), digest.end());
      record.insert(record.end(), key.begin(), key.end());
      RETURN_IF_ERROR(by_group.Add(record));
      RETURN_IF_ERROR(wanted.Advance());
      if (wanted.twice()) {
        fault = "path " + path + " stands in link groups twice";
        return WalkStep::kStop;
      }
    }
    if (wanted.at_end()) return WalkStep::kStop;
    return wanted.IsBelow(key) ? WalkStep::kContinue : WalkStep::kSkipChildren;
  };
  RETURN_IF_ERROR(WalkTree(source_, top, callbacks));
  if (fault.empty() && !wanted.at_end()) {
    fault = "path " + PathOf(wanted.key()) + " of a link group is not in the tree";
  }
  RETURN_IF_ERROR(by_group.Finish());
  return fault;
}

StatusOr<std::string> LinkCheck::CompareGroups(ExternalSorter& by_group) {
  Bytes first;
  Bytes record;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, by_group.Next(&record));
    if (!more) return std::string();
    const bool same_group =
        !first.empty() &&
        std::ranges::equal(ByteSpan(first).first(kGroupBytes), ByteSpan(record).first(kGroupBytes));
    constexpr size_t kHead = kGroupBytes + kEntryDigestBytes;
    if (same_group &&
        !std::ranges::equal(ByteSpan(first).first(kHead), ByteSpan(record).first(kHead))) {
      return "paths " + PathOf(ByteSpan(first).subspan(kHead)) + " and " +
             PathOf(ByteSpan(record).subspan(kHead)) + " of one link group differ";
    }
    if (!same_group) first = record;
  }
}

}  // namespace cairn
