// SPDX-License-Identifier: Apache-2.0
#include "core/repo/browse.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "core/base/blake3.h"
#include "core/tree/node.h"
#include "core/tree/reader.h"

namespace cairn {
namespace {

// Zeros that are written at once.
constexpr size_t kZeroBytes = 256 * kKiB;
// Directories that FindEntries remembers as holding no match: 16 bytes each.
constexpr size_t kMaxRemembered = 1'000'000;

std::string JoinPath(const std::string& directory, const std::string& below) {
  if (below.empty()) return directory;
  return directory == "/" ? "/" + below : directory + "/" + below;
}

// The parts of an absolute path; none for "/" and "".
StatusOr<std::vector<std::string>> SplitPath(const std::string& path) {
  if (!path.empty() && path.front() != '/') return InvalidArgument(path + " is no absolute path");
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (end > begin) {
      parts.push_back(path.substr(begin, end - begin));
      if (!IsValidName(parts.back())) {
        return InvalidArgument(path + ": '" + parts.back() + "' cannot be part of a path");
      }
    }
    begin = end + 1;
  }
  return parts;
}

std::string PathOf(const std::vector<std::string>& parts, size_t count) {
  std::string path;
  for (size_t i = 0; i < count; ++i) path += "/" + parts[i];
  return path.empty() ? "/" : path;
}

// A snapshot as one tree from "/" down. The directories above the root's top stand in no snapshot,
// so their nodes are made here, as a snapshot of several sources would have them.
class SnapshotTree : public BlobSource {
 public:
  static StatusOr<std::unique_ptr<SnapshotTree>> Open(Repository& repository,
                                                      const SnapshotView& snapshot) {
    auto tree = std::make_unique<SnapshotTree>(repository);
    StatusOr<Root> root = ReadRoot(repository, snapshot.object.root);
    if (!root.ok()) {
      return Annotate(root.status(), "snapshot " + snapshot.info.id.ShortHex());
    }
    Entry& top = tree->top_;
    if (Entry* const entry = std::get_if<Entry>(&root->top)) {
      top = std::move(*entry);
    } else {
      top.type = EntryType::kPartialDirectory;
      top.node = std::get<BlobId>(root->top);
    }
    ASSIGN_OR_RETURN(std::vector<std::string> parts, SplitPath(TopPath(snapshot.object)));
    for (; !parts.empty(); parts.pop_back()) {
      top.name = std::move(parts.back());
      tree->PutAbove();
    }
    return tree;
  }

  explicit SnapshotTree(Repository& repository) : repository_(repository) {}

  // What is at "/".
  const Entry& top() const { return top_; }

  StatusOr<Bytes> ReadBlob(const BlobRef& ref) override {
    if (ref.kind == BlobKind::kTree) {
      if (const auto made = made_.find(ref.id); made != made_.end()) return made->second;
    }
    return repository_.ReadBlob(ref);
  }

  StatusOr<LocatedEntry> Find(const std::string& path) {
    ASSIGN_OR_RETURN(const std::vector<std::string> parts, SplitPath(path));
    LocatedEntry at{"/", top_};
    for (size_t i = 0; i < parts.size(); ++i) {
      if (!IsAnyDirectory(at.entry.type)) {
        return NotFound(absl::StrFormat("%s is a %s in the snapshot, not a directory", at.path,
                                        EntryTypeName(at.entry.type)));
      }
      StatusOr<std::optional<Entry>> found = FindEntry(*this, at.entry.node, parts[i]);
      if (!found.ok()) return Annotate(found.status(), at.path);
      at.path = PathOf(parts, i + 1);
      if (!found->has_value()) return NotFound(at.path + " is not in the snapshot");
      at.entry = **std::move(found);
    }
    return at;
  }

 private:
  // Puts a directory above the top that holds nothing else.
  void PutAbove() {
    TreeNode node;
    node.entries.push_back(std::move(top_));
    Bytes bytes = EncodeTreeNode(node);
    top_ = Entry();
    top_.type = EntryType::kPartialDirectory;
    top_.node = repository_.hasher().Hash(BlobKind::kTree, bytes);
    made_[top_.node] = std::move(bytes);
  }

  Repository& repository_;
  Entry top_;
  std::map<BlobId, Bytes> made_;
};

using EntryVisitor = std::function<StatusOr<bool>(const LocatedEntry&)>;

Status ListDirectory(SnapshotTree& tree, const LocatedEntry& directory, const StopFlag* stop,
                     const EntryVisitor& visit) {
  DirectoryReader entries(tree, directory.entry.node);
  for (;;) {
    RETURN_IF_ERROR(CheckStop(stop));
    const StatusOr<const Entry*> entry = entries.Next();
    if (!entry.ok()) return Annotate(entry.status(), directory.path);
    if (*entry == nullptr) return OkStatus();
    ASSIGN_OR_RETURN(const bool go_on, visit({JoinPath(directory.path, (*entry)->name), **entry}));
    if (!go_on) return OkStatus();
  }
}

Status ListTree(SnapshotTree& tree, const LocatedEntry& top, const StopFlag* stop,
                const EntryVisitor& visit) {
  WalkCallbacks callbacks;
  callbacks.enter = [&](const std::string& path, const Entry& entry) -> StatusOr<WalkStep> {
    if (path.empty()) return WalkStep::kContinue;
    RETURN_IF_ERROR(CheckStop(stop));
    ASSIGN_OR_RETURN(const bool go_on, visit({JoinPath(top.path, path), entry}));
    return go_on ? WalkStep::kContinue : WalkStep::kStop;
  };
  return Annotate(WalkTree(tree, top.entry, callbacks), top.path);
}

// Looks through one snapshot after another.
class Finder {
 public:
  using Visitor = std::function<StatusOr<bool>(const SnapshotView&, const LocatedEntry&)>;

  Finder(const PatternList& patterns, const StopFlag* stop, const Visitor& visit)
      : patterns_(patterns), stop_(stop), visit_(visit) {}

  // False if it is to be stopped.
  StatusOr<bool> LookThrough(SnapshotTree& tree, const SnapshotView& snapshot) {
    matches_before_.clear();
    WalkCallbacks callbacks;
    callbacks.enter = [&](const std::string& below, const Entry& entry) {
      return Enter(snapshot, "/" + below, entry);
    };
    callbacks.leave = [&](const std::string& below, const Entry& entry) {
      Leave("/" + below, entry);
      return OkStatus();
    };
    RETURN_IF_ERROR(
        Annotate(WalkTree(tree, tree.top(), callbacks), "snapshot " + snapshot.info.id.ShortHex()));
    return !stopped_;
  }

 private:
  using Key = std::array<uint8_t, 16>;

  static Key KeyOf(const std::string& path, const Entry& directory) {
    Blake3 hasher;
    hasher.Update(directory.node.span());
    hasher.Update(AsBytes(path));
    const Hash256 hash = hasher.Finish();
    Key key;
    std::copy_n(hash.begin(), key.size(), key.begin());
    return key;
  }

  StatusOr<WalkStep> Enter(const SnapshotView& snapshot, const std::string& path,
                           const Entry& entry) {
    RETURN_IF_ERROR(CheckStop(stop_));
    const bool is_directory = IsAnyDirectory(entry.type);
    // A partial directory was not snapshotted itself.
    if (entry.type != EntryType::kPartialDirectory && patterns_.Matches(path, is_directory)) {
      ++matches_;
      ASSIGN_OR_RETURN(const bool go_on, visit_(snapshot, {path, entry}));
      stopped_ = !go_on;
      if (stopped_) return WalkStep::kStop;
    }
    if (!is_directory) return WalkStep::kContinue;
    matches_before_.push_back(matches_);
    const bool skip = !patterns_.MayMatchBelow(path) || without_match_.contains(KeyOf(path, entry));
    return skip ? WalkStep::kSkipChildren : WalkStep::kContinue;
  }

  void Leave(const std::string& path, const Entry& directory) {
    const bool matched = matches_before_.back() != matches_;
    matches_before_.pop_back();
    if (!matched && without_match_.size() < kMaxRemembered) {
      without_match_.insert(KeyOf(path, directory));
    }
  }

  const PatternList& patterns_;
  const StopFlag* const stop_;
  const Visitor& visit_;
  bool stopped_ = false;
  uint64_t matches_ = 0;
  std::vector<uint64_t> matches_before_;  // of each open directory, when it was entered
  absl::flat_hash_set<Key> without_match_;
};

// Whether `path` is `directory` or below it.
bool IsWithin(const std::string& path, const std::string& directory) {
  return directory == "/" || path == directory || path.starts_with(directory + "/");
}

// A snapshot of other sources says nothing of the path.
bool SpeaksOf(const SnapshotView& snapshot, const std::string& path) {
  return std::ranges::any_of(snapshot.object.paths, [&](const std::string& source) {
    return IsWithin(path, source) || IsWithin(source, path);
  });
}

bool SameVersion(const std::optional<Entry>& a, const std::optional<Entry>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  Entry renamed = *b;
  renamed.name = a->name;
  return *a == renamed;
}

Status WriteZeroExtent(uint64_t bytes, const StopFlag* stop,
                       const std::function<Status(ByteSpan)>& write) {
  static constexpr std::array<uint8_t, kZeroBytes> kZeros{};
  while (bytes > 0) {
    RETURN_IF_ERROR(CheckStop(stop));
    const size_t part = std::min<uint64_t>(kZeros.size(), bytes);
    RETURN_IF_ERROR(write(ByteSpan(kZeros).first(part)));
    bytes -= part;
  }
  return OkStatus();
}

}  // namespace

StatusOr<LocatedEntry> FindInSnapshot(Repository& repository, const SnapshotView& snapshot,
                                      const std::string& path) {
  ASSIGN_OR_RETURN(const auto tree, SnapshotTree::Open(repository, snapshot));
  return tree->Find(path);
}

Status ListPath(Repository& repository, const SnapshotView& snapshot, const std::string& path,
                bool recursive, const StopFlag* stop, const EntryVisitor& visit) {
  ASSIGN_OR_RETURN(const auto tree, SnapshotTree::Open(repository, snapshot));
  ASSIGN_OR_RETURN(const LocatedEntry located, tree->Find(path));
  if (!IsAnyDirectory(located.entry.type)) return visit(located).status();
  return recursive ? ListTree(*tree, located, stop, visit)
                   : ListDirectory(*tree, located, stop, visit);
}

Status ReadFileContent(Repository& repository, const Entry& entry, const StopFlag* stop,
                       const std::function<Status(ByteSpan)>& write) {
  if (entry.type != EntryType::kFile) {
    return FailedPrecondition(absl::StrFormat("it is a %s, not a file", EntryTypeName(entry.type)));
  }
  if (entry.unread) {
    return FailedPrecondition("its content could not be read when the snapshot was made");
  }
  ContentReader items(repository, entry.content);
  uint64_t written = 0;
  for (;;) {
    RETURN_IF_ERROR(CheckStop(stop));
    ASSIGN_OR_RETURN(const std::optional<ContentItem> item, items.Next());
    if (!item) break;
    if (item->zero) {
      RETURN_IF_ERROR(WriteZeroExtent(item->bytes, stop, write));
    } else {
      ASSIGN_OR_RETURN(const Bytes chunk, repository.ReadBlob({BlobKind::kChunk, item->id}));
      if (chunk.size() != item->bytes) {
        return DataLoss("chunk " + item->id.Hex() + " does not have the length that the file says");
      }
      RETURN_IF_ERROR(write(chunk));
    }
    written += item->bytes;
  }
  if (written != entry.size) return DataLoss("the content does not have the length of the file");
  return OkStatus();
}

Status FindEntries(
    Repository& repository, const std::vector<SnapshotView>& snapshots, const PatternList& patterns,
    const StopFlag* stop,
    const std::function<StatusOr<bool>(const SnapshotView&, const LocatedEntry&)>& visit) {
  Finder finder(patterns, stop, visit);
  for (const SnapshotView& snapshot : snapshots) {
    ASSIGN_OR_RETURN(const auto tree, SnapshotTree::Open(repository, snapshot));
    ASSIGN_OR_RETURN(const bool go_on, finder.LookThrough(*tree, snapshot));
    if (!go_on) break;
  }
  return OkStatus();
}

StatusOr<std::vector<PathVersion>> PathHistory(Repository& repository,
                                               std::vector<SnapshotView> snapshots,
                                               const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> parts, SplitPath(path));
  const std::string clean_path = PathOf(parts, parts.size());
  std::erase_if(snapshots, [&](const SnapshotView& view) { return !SpeaksOf(view, clean_path); });
  std::ranges::sort(snapshots, IsOlder, &SnapshotView::info);
  std::vector<PathVersion> versions;
  for (const SnapshotView& snapshot : snapshots) {
    StatusOr<LocatedEntry> located = FindInSnapshot(repository, snapshot, path);
    PathVersion version;
    if (located.ok()) {
      version.entry = std::move(located->entry);
    } else if (located.status().code() != StatusCode::kNotFound) {
      return Annotate(located.status(), "snapshot " + snapshot.info.id.ShortHex());
    }
    if (versions.empty() || !SameVersion(versions.back().entry, version.entry)) {
      versions.push_back(std::move(version));
    }
    versions.back().snapshots.push_back(snapshot.info.id);
  }
  return versions;
}

Status DiffSnapshots(
    Repository& repository, const SnapshotView& before, const std::string& before_path,
    const SnapshotView& after, const std::string& after_path, const StopFlag* stop,
    const std::function<StatusOr<bool>(const std::string& path, const DiffItem&)>& visit) {
  ASSIGN_OR_RETURN(const auto tree_before, SnapshotTree::Open(repository, before));
  ASSIGN_OR_RETURN(const auto tree_after, SnapshotTree::Open(repository, after));
  ASSIGN_OR_RETURN(const LocatedEntry top_before, tree_before->Find(before_path));
  ASSIGN_OR_RETURN(const LocatedEntry top_after, tree_after->Find(after_path));
  return DiffTrees(*tree_before, top_before.entry, *tree_after, top_after.entry,
                   [&](const std::string& below, const DiffItem& item) -> StatusOr<bool> {
                     RETURN_IF_ERROR(CheckStop(stop));
                     const LocatedEntry& top = item.after != nullptr ? top_after : top_before;
                     return visit(JoinPath(top.path, below), item);
                   });
}

}  // namespace cairn
