// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check_blobs.h"

#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

TEST(CheckedBlobsTest, TellsWhatIsNowhereFromWhatIsDamaged) {
  TestRepository test;
  const TestBlob whole = test.Chunk(1);
  const TestBlob damaged = test.Chunk(2);
  test.AddPack({{whole}});
  MustBeOk(test.fs().Damage(PackObjectName(test.AddPack({{damaged}})),
                            [](Bytes& bytes) { bytes[kPackHeaderBytes + 5] ^= 1; }));
  Repository& repository = test.repository();
  MustBeOk(repository.Refresh().status());
  const CheckOptions options;
  CheckFindings findings(options);
  KnownDamage damage(findings);
  CheckedBlobs blobs(repository.index(), repository.store(), repository.keys(), repository.hasher(),
                     damage);
  EXPECT_THAT(blobs.ReadBlob(whole.ref), IsOkAndHolds(whole.bytes));
  EXPECT_THAT(blobs.ReadBlob(damaged.ref), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(blobs.ReadBlob(test.Chunk(3).ref), StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace cairn::testing
