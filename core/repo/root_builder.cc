// SPDX-License-Identifier: Apache-2.0
#include "core/repo/root_builder.h"

#include <memory>
#include <utility>

#include "core/tree/builder.h"
#include "core/tree/node.h"

namespace cairn {
namespace {

std::vector<std::string> SplitParts(const std::string& path) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin < path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (end > begin) parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// The partial directories that are open: from the top down to where the last source was added.
class PartialDirectories {
 public:
  explicit PartialDirectories(BlobSink& sink) : sink_(sink) { Open(""); }

  Status Add(const std::vector<std::string>& parts, Entry entry) {
    size_t shared = 0;
    while (shared + 1 < parts.size() && shared + 1 < open_.size() &&
           open_[shared + 1].name == parts[shared]) {
      ++shared;
    }
    while (open_.size() > shared + 1) RETURN_IF_ERROR(Close());
    for (size_t i = shared; i + 1 < parts.size(); ++i) Open(parts[i]);
    entry.name = parts.back();
    return open_.back().builder->Add(entry);
  }

  StatusOr<BlobId> Finish() {
    while (open_.size() > 1) RETURN_IF_ERROR(Close());
    return open_.front().builder->Finish();
  }

 private:
  struct Level {
    std::string name;
    std::unique_ptr<TreeBuilder> builder;
  };

  void Open(std::string name) {
    open_.push_back({std::move(name), std::make_unique<TreeBuilder>(sink_)});
  }

  Status Close() {
    Entry entry;
    entry.type = EntryType::kPartialDirectory;
    entry.name = open_.back().name;
    ASSIGN_OR_RETURN(entry.node, open_.back().builder->Finish());
    open_.pop_back();
    return open_.back().builder->Add(entry);
  }

  BlobSink& sink_;
  std::vector<Level> open_;
};

}  // namespace

std::string PathBelow(const std::string& top_path, const std::string& path) {
  if (path.size() <= top_path.size()) return "";
  return path.substr(top_path == "/" ? 1 : top_path.size() + 1);
}

StatusOr<BlobId> BuildRoot(BlobSink& sink, const std::string& top_path,
                           std::vector<SourceEntry> sources, const std::optional<BlobId>& links) {
  Root root;
  root.links = links;
  if (sources.size() == 1) {
    root.top = std::move(sources.front().entry);
  } else {
    PartialDirectories directories(sink);
    for (SourceEntry& source : sources) {
      RETURN_IF_ERROR(
          directories.Add(SplitParts(PathBelow(top_path, source.path)), std::move(source.entry)));
    }
    ASSIGN_OR_RETURN(root.top, directories.Finish());
  }
  return sink.WriteBlob(BlobKind::kRoot, EncodeRoot(root));
}

}  // namespace cairn
