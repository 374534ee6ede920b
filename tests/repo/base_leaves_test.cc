// SPDX-License-Identifier: Apache-2.0
// A base snapshot whose nodes do not say what the ones above them say.
#include "core/repo/base_leaves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/memory_blobs.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::SizeIs;

class BaseLeavesTest : public ::testing::Test {
 protected:
  NamedChild Leaf(const std::string& name) {
    Entry file;
    file.name = name;
    return {name, 1, Write({0, {file}, {}})};
  }
  NamedChild Inner(uint8_t level, const std::vector<NamedChild>& children) {
    uint64_t count = 0;
    for (const NamedChild& child : children) count += child.count;
    return {children.back().last, count, Write({level, {}, children})};
  }
  BlobId Write(const TreeNode& node) {
    const StatusOr<BlobId> id = blobs_.WriteBlob(BlobKind::kTree, EncodeTreeNode(node));
    EXPECT_OK(id);
    return id.value_or(BlobId{});
  }

  MemoryBlobs blobs_;
};

TEST_F(BaseLeavesTest, GivesTheLeavesOfEveryLevel) {
  const NamedChild top =
      Inner(2, {Inner(1, {Leaf("a"), Leaf("b")}), Inner(1, {Leaf("c"), Leaf("d")})});
  ASSERT_OK_AND_ASSIGN(BaseLeaves leaves, BaseLeaves::Open(blobs_, top.id));
  ASSERT_THAT(leaves.items(), SizeIs(4));
  ASSERT_OK_AND_ASSIGN(const TreeNode leaf, leaves.Read(2));
  EXPECT_EQ(leaf.entries.front().name, "c");
}

TEST_F(BaseLeavesTest, RefusesALevelThatDoesNotFollow) {
  const NamedChild too_low = Inner(2, {Leaf("a"), Leaf("b")});
  EXPECT_THAT(BaseLeaves::Open(blobs_, too_low.id).status(), StatusIs(StatusCode::kDataLoss));
  const NamedChild too_high = Inner(1, {Inner(1, {Leaf("a"), Leaf("b")}), Leaf("c")});
  ASSERT_OK_AND_ASSIGN(BaseLeaves leaves, BaseLeaves::Open(blobs_, too_high.id));
  EXPECT_THAT(leaves.Read(0), StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace cairn::testing
