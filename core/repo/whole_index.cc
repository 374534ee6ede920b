// SPDX-License-Identifier: Apache-2.0
#include "core/repo/whole_index.h"

namespace cairn {
namespace {

constexpr int kWholeIndexAttempts = 5;

}  // namespace

StatusOr<std::unique_ptr<IndexReader>> WholeIndex::Read() {
  for (int attempt = 1;; ++attempt) {
    ASSIGN_OR_RETURN(std::unique_ptr<IndexReader> reader, filled_->Read());
    ASSIGN_OR_RETURN(const IndexHead head, reader->Head());
    if (head.number >= expected_.load()) return reader;
    if (attempt == kWholeIndexAttempts) return Aborted("the index is being filled anew: try again");
    reader.reset();
    RETURN_IF_ERROR(bring_up_());
  }
}

}  // namespace cairn
