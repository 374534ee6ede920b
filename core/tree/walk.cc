// SPDX-License-Identifier: Apache-2.0
#include "core/tree/walk.h"

#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/tree/node_cursor.h"
#include "core/tree/walk_path.h"

namespace cairn {
namespace {

class Walk {
 public:
  Walk(BlobSource& source, const WalkCallbacks& callbacks)
      : source_(source), callbacks_(callbacks) {}

  Status Run(const Entry& top) {
    RETURN_IF_ERROR(Enter(top));
    while (!levels_.empty() && !stopped_) RETURN_IF_ERROR(Step());
    return OkStatus();
  }

 private:
  struct Level {
    Entry directory;
    size_t path_bytes;  // of the directory's path
    NodeCursor<TreeSequence> entries;
  };

  Status Step() {
    Level& at = levels_.back();
    path_.resize(at.path_bytes);
    StatusOr<const Entry*> next = at.entries.Next();
    if (!next.ok()) return Unreadable(at.directory, std::move(next).status());
    if (*next == nullptr) {
      const Entry directory = std::move(at.directory);
      levels_.pop_back();
      return Leave(directory);
    }
    AppendPathPart(path_, (*next)->name);
    return Enter(**next);
  }

  Status Enter(const Entry& entry) {
    ASSIGN_OR_RETURN(const WalkStep step, callbacks_.enter(path_, entry));
    if (step == WalkStep::kStop) {
      stopped_ = true;
      return OkStatus();
    }
    if (!IsAnyDirectory(entry.type)) return OkStatus();
    if (step == WalkStep::kSkipChildren) return Leave(entry);
    if (levels_.size() > static_cast<size_t>(kMaxDepth)) {
      RETURN_IF_ERROR(Unreadable(entry, DataLoss("directories are nested too deeply")));
      return Leave(entry);
    }
    if (levels_.size() >= kHeldDirectories) {
      levels_[levels_.size() - kHeldDirectories].entries.Release();
    }
    levels_.push_back({entry, path_.size(), NodeCursor<TreeSequence>(source_, entry.node)});
    return OkStatus();
  }

  Status Leave(const Entry& directory) {
    return callbacks_.leave ? callbacks_.leave(path_, directory) : OkStatus();
  }

  Status Unreadable(const Entry& directory, Status error) {
    if (callbacks_.unreadable) return callbacks_.unreadable(path_, directory, std::move(error));
    return Annotate(error, DirectoryForMessage(path_));
  }

  BlobSource& source_;
  const WalkCallbacks& callbacks_;
  std::string path_;
  std::vector<Level> levels_;  // the open directories, the top first
  bool stopped_ = false;
};

}  // namespace

Status WalkTree(BlobSource& source, const Entry& top, const WalkCallbacks& callbacks) {
  return Walk(source, callbacks).Run(top);
}

}  // namespace cairn
