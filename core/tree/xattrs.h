// SPDX-License-Identifier: Apache-2.0
// Extended attributes: which are kept, where their values stand, and how to get them back.
// docs/format.md, "Tree". Stateless, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/tree/entry.h"

namespace cairn {

// False for what is bound to one machine or inode, or is another attribute's view.
bool IsKeptXattr(std::string_view name);

uint64_t XattrValueBytes(const Xattr& xattr);

// Sorts the attributes and decides which values stand in the entry; writes the others to `sink`.
// INVALID_ARGUMENT for an invalid or repeated name and for what exceeds kMaxXattrValueBytes or
// kMaxXattrNamesBytes (Linux allows neither).
StatusOr<std::vector<Xattr>> PlaceXattrs(std::vector<std::pair<std::string, Bytes>> attributes,
                                         BlobSink& sink);

// DATA_LOSS if the blob is missing, damaged or of another length.
StatusOr<Bytes> ReadXattrValue(BlobSource& source, const Xattr& xattr);

// What PlaceXattrs would not have returned, as a literal; null if it could have.
const char* XattrsFault(const std::vector<Xattr>& xattrs);

}  // namespace cairn
