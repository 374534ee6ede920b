// SPDX-License-Identifier: Apache-2.0
// Reading trees: one directory in order, one name, one file's items, without holding more than a
// node a level. A node that is met below itself, or deeper than kMaxNodeLevel, is DATA_LOSS.
// `source` must outlive every object here. Thread-compatible.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/tree/node.h"

namespace cairn {

// The entries of a directory in order of names.
class DirectoryReader {
 public:
  DirectoryReader(BlobSource& source, BlobId top);
  ~DirectoryReader();
  // Nothing at the end. The entry is valid until the next call.
  StatusOr<const Entry*> Next();
  // Skips to the first entry that is not before `name`, reading only nodes on the way.
  Status Seek(std::string_view name);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The level-0 nodes of a directory, in order, with the items that name them (a directory of one
// node gives that node, with the last of its names).
Status ForEachLeaf(BlobSource& source, const BlobId& top,
                   const std::function<Status(const NamedChild&, const TreeNode&)>& visit);

// The entry of this name, reading one node a level. Nothing if there is none.
StatusOr<std::optional<Entry>> FindEntry(BlobSource& source, const BlobId& top,
                                         std::string_view name);

// The items of a file's content in order; zero extents included.
class ContentReader {
 public:
  ContentReader(BlobSource& source, Content content);
  ~ContentReader();
  // Nothing at the end.
  StatusOr<std::optional<ContentItem>> Next();
  // Skips to the item that holds byte `offset` and returns where it begins (list nodes are read on
  // the way down only).
  StatusOr<uint64_t> Seek(uint64_t offset);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The link groups of a root in order.
class LinksReader {
 public:
  LinksReader(BlobSource& source, std::optional<BlobId> top);
  ~LinksReader();
  StatusOr<std::optional<LinkPath>> Next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

StatusOr<Root> ReadRoot(BlobSource& source, const BlobId& id);

// The entry at `path` (relative to the root, parts separated by '/', "" is the top): for a root of
// several sources, the path within the partial directories. The top of such a root is returned as a
// partial directory without a name. NOT_FOUND names the part that is missing.
StatusOr<Entry> FindPath(BlobSource& source, const Root& root, std::string_view path);

}  // namespace cairn
