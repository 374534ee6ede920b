// SPDX-License-Identifier: Apache-2.0
// From the entries of a snapshot's sources to its root.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/tree/entry.h"

namespace cairn {

struct SourceEntry {
  std::string path;  // absolute
  Entry entry;       // without its name
};

// Sources in ascending order of their paths (ComparePaths), none below another. Several are put
// under partial directories from `top_path`, their deepest common proper ancestor.
StatusOr<BlobId> BuildRoot(BlobSink& sink, const std::string& top_path,
                           std::vector<SourceEntry> sources, const std::optional<BlobId>& links);

// `path` without what leads to `top_path`: "a/b" for "/x/a/b" below "/x"; "" for the same path.
std::string PathBelow(const std::string& top_path, const std::string& path);

}  // namespace cairn
