// SPDX-License-Identifier: Apache-2.0
#include "core/repo/blob_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(BlobVerifierTest, TellsOfEachBlobWhetherItHasItsId) {
  const BlobHasher hasher;
  BlobVerifier verifier(hasher);
  const Bytes bytes(20'000, 7);
  const ByteSpan all(bytes);
  const BlobRef chunk{BlobKind::kChunk, hasher.Hash(BlobKind::kChunk, all)};
  const BlobRef tree{BlobKind::kTree, hasher.Hash(BlobKind::kTree, all)};

  verifier.Add(chunk, all);
  verifier.Add(chunk, all.first(19'999));
  verifier.Add(tree, all);
  verifier.Add({BlobKind::kTree, chunk.id}, all);
  EXPECT_THAT(verifier.Verify(), ElementsAre(true, false, true, false));

  EXPECT_THAT(verifier.Verify(), IsEmpty());
  verifier.Add(tree, all);
  EXPECT_THAT(verifier.Verify(), ElementsAre(true));
}

}  // namespace
}  // namespace cairn
