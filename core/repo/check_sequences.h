// SPDX-License-Identifier: Apache-2.0
// Whether the nodes of a directory, a chunk list or the link groups are the ones that their
// sequence makes: what parents say of parts, order, and where nodes end. Private to check.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/base/blob.h"
#include "core/base/status.h"
#include "core/tree/node.h"

namespace cairn {

// What a node says of itself and of what is below it.
struct SequenceSummary {
  bool readable = false;  // if not, nothing else is known
  int level = 0;
  std::string first;   // trees: the first name
  std::string last;    // trees, links
  uint64_t count = 0;  // of items of level 0
  uint64_t bytes = 0;  // lists
  bool may_be_top = false;
  // The rules end it with its last item, and so the last node of each level below: another node
  // may follow.
  bool closed = false;
  // Lists: it begins with a zero extent; it ends with one that could be longer.
  bool begins_with_zeros = false;
  bool ends_with_zeros = false;
  std::string fault;  // of it or of a part that can be read; empty if there is none
};

// Keeps a row for each part of a large directory and each node of a long list or of link groups.
// Thread-compatible.
class SequenceCheck {
 public:
  // `source` must outlive it.
  explicit SequenceCheck(BlobSource& source) : source_(source) {}

  // Of a node of `max_level` or below: of a higher one, nothing below it is looked at. A node that
  // is missing or damaged is not readable; errors are others.
  StatusOr<SequenceSummary> Of(const BlobRef& ref, int max_level);

  // The same if it is known already, as a part of something; else null. Valid until the next call.
  const SequenceSummary* Known(const BlobRef& ref) const;

  // The same of a node that was read; not kept.
  StatusOr<SequenceSummary> Summarize(const TreeNode& node, int max_level);
  StatusOr<SequenceSummary> Summarize(const ListNode& node, int max_level);
  StatusOr<SequenceSummary> Summarize(const LinksNode& node, int max_level);

 private:
  // What a parent says of a part.
  struct Claim {
    BlobRef ref;
    std::string last;
    uint64_t count = 0;
    uint64_t bytes = 0;
  };

  Status AddParts(const std::vector<Claim>& claims, SequenceSummary& parent);
  static const char* PartFault(const Claim& claim, const SequenceSummary& part,
                               const SequenceSummary& parent);
  static const char* BorderFault(BlobKind kind, const SequenceSummary& before,
                                 const SequenceSummary& part);
  StatusOr<SequenceSummary> Read(const BlobRef& ref, int max_level);

  BlobSource& source_;
  absl::flat_hash_map<BlobId, SequenceSummary> known_[kBlobKinds + 1];
};

}  // namespace cairn
