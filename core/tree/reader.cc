// SPDX-License-Identifier: Apache-2.0
#include "core/tree/reader.h"

#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "core/tree/node_cursor.h"

namespace cairn {

struct DirectoryReader::State {
  NodeCursor<TreeSequence> cursor;
};

DirectoryReader::DirectoryReader(BlobSource& source, BlobId top)
    : state_(new State{NodeCursor<TreeSequence>(source, top)}) {}
DirectoryReader::~DirectoryReader() = default;

StatusOr<const Entry*> DirectoryReader::Next() { return state_->cursor.Next(); }

Status DirectoryReader::Seek(std::string_view name) {
  CHECK(!name.empty());
  return state_->cursor.Seek([name](const NamedChild& span) { return span.last < name; }).status();
}

void DirectoryReader::Release() { state_->cursor.Release(); }

Status ForEachLeaf(BlobSource& source, const BlobId& top,
                   const std::function<Status(const NamedChild&, const TreeNode&)>& visit) {
  NodeCursor<TreeSequence> cursor(source, top);
  RETURN_IF_ERROR(cursor.Open());
  if (const TreeNode* node = cursor.OnlyLeaf(); node != nullptr && node->entries.empty()) {
    return visit(NamedChild{.last = "", .count = 0, .id = top}, *node);
  }
  while (true) {
    ASSIGN_OR_RETURN(const auto leaf, cursor.NextLeaf());
    if (!leaf) return OkStatus();
    RETURN_IF_ERROR(visit(*leaf->item, *leaf->node));
  }
}

StatusOr<std::optional<Entry>> FindEntry(BlobSource& source, const BlobId& top,
                                         std::string_view name) {
  if (name.empty()) return std::nullopt;
  DirectoryReader reader(source, top);
  RETURN_IF_ERROR(reader.Seek(name));
  ASSIGN_OR_RETURN(const Entry* entry, reader.Next());
  if (entry == nullptr || entry->name != name) return std::nullopt;
  return *entry;
}

struct ContentReader::State {
  Content content;
  size_t next = 0;  // of content.items
  std::optional<NodeCursor<ListSequence>> list;
};

ContentReader::ContentReader(BlobSource& source, Content content) : state_(new State) {
  state_->content = std::move(content);
  if (state_->content.is_list) state_->list.emplace(source, state_->content.list);
}
ContentReader::~ContentReader() = default;

StatusOr<std::optional<ContentItem>> ContentReader::Next() {
  if (state_->list) {
    ASSIGN_OR_RETURN(const ContentItem* item, state_->list->Next());
    if (item == nullptr) return std::nullopt;
    return *item;
  }
  if (state_->next == state_->content.items.size()) return std::nullopt;
  return state_->content.items[state_->next++];
}

StatusOr<uint64_t> ContentReader::Seek(uint64_t offset) {
  if (state_->list) {
    ASSIGN_OR_RETURN(const ListChild before, state_->list->Seek([offset](const ListChild& span) {
      return span.bytes <= offset;
    }));
    return before.bytes;
  }
  uint64_t begin = 0;
  const std::vector<ContentItem>& items = state_->content.items;
  for (state_->next = 0; state_->next < items.size(); ++state_->next) {
    if (offset - begin < items[state_->next].bytes) break;
    begin += items[state_->next].bytes;
  }
  return begin;
}

struct LinksReader::State {
  std::optional<NodeCursor<LinksSequence>> cursor;
  LinkOrder order{/*from_start=*/true};
};

LinksReader::LinksReader(BlobSource& source, std::optional<BlobId> top) : state_(new State) {
  if (top) state_->cursor.emplace(source, *top);
}
LinksReader::~LinksReader() = default;

StatusOr<std::optional<LinkPath>> LinksReader::Next() {
  if (!state_->cursor) return std::nullopt;
  ASSIGN_OR_RETURN(const LinkPath* path, state_->cursor->Next());
  const char* fault = path != nullptr ? state_->order.Next(*path) : state_->order.End();
  if (fault != nullptr) return DataLoss(absl::StrFormat("link groups: %s", fault));
  if (path == nullptr) return std::nullopt;
  return *path;
}

StatusOr<Root> ReadRoot(BlobSource& source, const BlobId& id) {
  ASSIGN_OR_RETURN(const Bytes bytes, ReadReferencedBlob(source, {BlobKind::kRoot, id}));
  StatusOr<Root> root = DecodeRoot(bytes);
  if (!root.ok()) return Annotate(root.status(), "root " + id.ShortHex());
  return root;
}

StatusOr<Entry> FindPath(BlobSource& source, const Root& root, std::string_view path) {
  Entry at;
  if (const auto* entry = std::get_if<Entry>(&root.top)) {
    at = *entry;
  } else {
    at.type = EntryType::kPartialDirectory;
    at.node = std::get<BlobId>(root.top);
  }
  if (path.empty()) return at;
  size_t begin = 0;
  while (true) {
    const size_t slash = path.find('/', begin);
    const size_t end = slash == path.npos ? path.size() : slash;
    const std::string_view name = path.substr(begin, end - begin);
    if (!IsValidName(name)) {
      return InvalidArgument(absl::StrFormat("path %s: invalid part '%s'", path, name));
    }
    if (!IsAnyDirectory(at.type)) {
      return NotFound(absl::StrFormat("%s: is a %s, not a directory",
                                      begin == 0 ? "the root" : path.substr(0, begin - 1),
                                      EntryTypeName(at.type)));
    }
    StatusOr<std::optional<Entry>> found = FindEntry(source, at.node, name);
    if (!found.ok()) return Annotate(found.status(), path.substr(0, end));
    if (!found->has_value()) {
      return NotFound(absl::StrFormat("%s: not found", path.substr(0, end)));
    }
    at = **std::move(found);
    if (end == path.size()) return at;
    begin = end + 1;
  }
}

}  // namespace cairn
