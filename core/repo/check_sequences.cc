// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check_sequences.h"

#include "absl/strings/str_format.h"
#include "core/tree/borders.h"

namespace cairn {
namespace {

template <typename Node>
SequenceSummary BeginSummary(const Node& node) {
  SequenceSummary summary;
  summary.readable = true;
  summary.level = node.level;
  summary.may_be_top = node.level == 0 || node.children.size() >= 2;
  const NodeBorders borders = BordersOf(node);
  summary.closed = borders.closed;
  if (borders.too_long) summary.fault = "it goes on after an item that ends it by the rules";
  return summary;
}

}  // namespace

StatusOr<SequenceSummary> SequenceCheck::Of(const BlobRef& ref, int max_level) {
  auto& known = known_[static_cast<int>(ref.kind)];
  if (const auto found = known.find(ref.id); found != known.end()) return found->second;
  StatusOr<SequenceSummary> summary = Read(ref, max_level);
  if (!summary.ok()) {
    if (!IsDamage(summary.status())) return summary;
    summary = SequenceSummary();
  }
  if (summary->level <= max_level) known[ref.id] = *summary;
  return summary;
}

const SequenceSummary* SequenceCheck::Known(const BlobRef& ref) const {
  const auto& known = known_[static_cast<int>(ref.kind)];
  const auto found = known.find(ref.id);
  return found == known.end() ? nullptr : &found->second;
}

StatusOr<SequenceSummary> SequenceCheck::Read(const BlobRef& ref, int max_level) {
  ASSIGN_OR_RETURN(const Bytes bytes, source_.ReadBlob(ref));
  switch (ref.kind) {
    case BlobKind::kTree: {
      ASSIGN_OR_RETURN(const TreeNode node, DecodeTreeNode(bytes));
      return Summarize(node, max_level);
    }
    case BlobKind::kList: {
      ASSIGN_OR_RETURN(const ListNode node, DecodeListNode(bytes));
      return Summarize(node, max_level);
    }
    case BlobKind::kLinks: {
      ASSIGN_OR_RETURN(const LinksNode node, DecodeLinksNode(bytes));
      return Summarize(node, max_level);
    }
    default:
      return Internal("a blob that is no part of a sequence");
  }
}

StatusOr<SequenceSummary> SequenceCheck::Summarize(const TreeNode& node, int max_level) {
  SequenceSummary summary = BeginSummary(node);
  summary.count = node.entries.size();
  if (!node.entries.empty()) {
    summary.first = node.entries.front().name;
    summary.last = node.entries.back().name;
  }
  std::vector<Claim> claims;
  for (const NamedChild& child : node.children) {
    claims.push_back({{BlobKind::kTree, child.id}, child.last, child.count, 0});
  }
  // Levels must descend, or a chain of nodes that was made to be deep would end the stack.
  if (node.level <= max_level) RETURN_IF_ERROR(AddParts(claims, summary));
  return summary;
}

StatusOr<SequenceSummary> SequenceCheck::Summarize(const ListNode& node, int max_level) {
  SequenceSummary summary = BeginSummary(node);
  summary.count = node.items.size();
  if (node.level == 0) {
    summary.may_be_top = node.items.size() > kMaxInlineItems;
    for (const ContentItem& item : node.items) summary.bytes += item.bytes;
    const ContentItem& last = node.items.back();
    summary.begins_with_zeros = node.items.front().zero;
    summary.ends_with_zeros = last.zero && last.bytes < kMaxZeroExtentBytes;
  }
  std::vector<Claim> claims;
  for (const ListChild& child : node.children) {
    claims.push_back({{BlobKind::kList, child.id}, "", child.count, child.bytes});
  }
  if (node.level <= max_level) RETURN_IF_ERROR(AddParts(claims, summary));
  return summary;
}

StatusOr<SequenceSummary> SequenceCheck::Summarize(const LinksNode& node, int max_level) {
  SequenceSummary summary = BeginSummary(node);
  summary.count = node.paths.size();
  if (!node.paths.empty()) summary.last = node.paths.back().path;
  std::vector<Claim> claims;
  for (const NamedChild& child : node.children) {
    claims.push_back({{BlobKind::kLinks, child.id}, child.last, child.count, 0});
  }
  if (node.level <= max_level) RETURN_IF_ERROR(AddParts(claims, summary));
  return summary;
}

Status SequenceCheck::AddParts(const std::vector<Claim>& claims, SequenceSummary& parent) {
  SequenceSummary before;
  for (size_t i = 0; i < claims.size(); ++i) {
    const Claim& claim = claims[i];
    ASSIGN_OR_RETURN(SequenceSummary part, Of(claim.ref, parent.level - 1));
    if (part.readable) {
      const char* fault = PartFault(claim, part, parent);
      if (fault == nullptr && i > 0) fault = BorderFault(claim.ref.kind, before, part);
      if (fault != nullptr && parent.fault.empty()) {
        parent.fault = absl::StrFormat("part %s: %s", claim.ref.id.ShortHex(), fault);
      }
    }
    if (i == 0) {
      parent.first = part.readable ? part.first : claim.last;
      parent.begins_with_zeros = part.begins_with_zeros;
    }
    before = std::move(part);
    // What the parent says holds where the part cannot be read.
    before.last = claim.last;
    parent.count += claim.count;
    parent.bytes += claim.bytes;
  }
  if (claims.empty()) return OkStatus();
  parent.last = claims.back().last;
  parent.closed = parent.closed && (before.closed || !before.readable);
  parent.ends_with_zeros = before.ends_with_zeros;
  return OkStatus();
}

const char* SequenceCheck::PartFault(const Claim& claim, const SequenceSummary& part,
                                     const SequenceSummary& parent) {
  if (part.level + 1 != parent.level) return "its level does not follow from the parent's";
  if (part.last != claim.last || part.count != claim.count || part.bytes != claim.bytes ||
      part.count == 0) {
    return "it is not what the parent says of it";
  }
  return part.fault.empty() ? nullptr : "it is not what its items make";
}

const char* SequenceCheck::BorderFault(BlobKind kind, const SequenceSummary& before,
                                       const SequenceSummary& part) {
  if (kind == BlobKind::kTree && part.first <= before.last) {
    return "its names do not follow those before it";
  }
  if (!before.readable) return nullptr;
  if (!before.closed) return "it begins where the rules do not split";
  if (before.ends_with_zeros && part.begins_with_zeros) {
    return "its first zeros belong to those before it";
  }
  return nullptr;
}

}  // namespace cairn
