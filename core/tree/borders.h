// SPDX-License-Identifier: Apache-2.0
// Whether nodes end where the rules for splitting a sequence say. Readers rely on no more than the
// order of items; `check` sees that the tree is the one that its sequence makes.
#pragma once

#include "core/tree/node.h"

namespace cairn {

struct NodeBorders {
  // An item before the last asked for the node's end.
  bool too_long = false;
  // The last item asks for it: all nodes of a level do so but the last one.
  bool closed = false;
};

// Of decoded nodes. docs/format.md, "How sequences are split".
NodeBorders BordersOf(const TreeNode& node);
NodeBorders BordersOf(const ListNode& node);
NodeBorders BordersOf(const LinksNode& node);

}  // namespace cairn
