// SPDX-License-Identifier: Apache-2.0
// Reading trees: one directory in order, one name, one file's items, without holding more than a
// node a level. A node that is missing, damaged, or not what its parent says of it (level, number
// of items, last name, length) is DATA_LOSS; after that error a reader goes on behind the node that
// could not be read. `source` must outlive every object here. Thread-compatible.
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
  // Null at the end. The entry is valid until the next call.
  StatusOr<const Entry*> Next();
  // Goes, forwards or backwards, to the first entry that is not before `name`, reading only nodes
  // on the way. REQUIRES: name is not empty.
  Status Seek(std::string_view name);
  // Gives up the memory of all nodes; the next call reads the ones on its way again.
  void Release();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The nodes of level 0 of a directory, in order, with the items that name them (a directory of one
// node gives that node, with the last of its names, or none if it is empty). Ends with the first
// error of a read or of `visit`.
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
  // Goes, forwards or backwards, to the item that holds byte `offset` and returns where it begins;
  // behind the last byte: to the end, and returns the content's length. List nodes are read on the
  // way down only.
  StatusOr<uint64_t> Seek(uint64_t offset);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The link groups of a root in order. That they are in order and have two or more paths is checked.
class LinksReader {
 public:
  LinksReader(BlobSource& source, std::optional<BlobId> top);
  ~LinksReader();
  // Nothing at the end.
  StatusOr<std::optional<LinkPath>> Next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

StatusOr<Root> ReadRoot(BlobSource& source, const BlobId& id);

// The entry at `path` (relative to the root, parts separated by '/', "" is the top): for a root of
// several sources, the path within the partial directories. The top of such a root is returned as a
// partial directory without a name. NOT_FOUND names the part that is missing, or that is no
// directory; INVALID_ARGUMENT if `path` has an empty part, "." or "..".
StatusOr<Entry> FindPath(BlobSource& source, const Root& root, std::string_view path);

}  // namespace cairn
