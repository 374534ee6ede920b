// SPDX-License-Identifier: Apache-2.0
// What keys pass through is wiped: of each there is one copy, in locked memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "core/base/blake3.h"
#include "core/base/random.h"
#include "core/store/key_object.h"
#include "core/store/repository_keys.h"
#include "tests/support/memory_search.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

#if defined(CAIRN_CAN_SEARCH_MEMORY)

using ::testing::ElementsAre;
using ::testing::SizeIs;

SecretBytes RandomMaster() {
  SecretBytes master(kMasterKeyBytes);
  FillRandom(master.span());
  return master;
}

TEST(KeyMemoryTest, DerivingAKeyLeavesNothingOfWhatItComesFrom) {
  const SecretBytes master = RandomMaster();
  const MaskedBytes masked(master.span());
  const HashKey key = Blake3DeriveKey("test", master.span());
  EXPECT_THAT(masked.Find(), ElementsAre(master.span().data()));
  EXPECT_NE(key, HashKey{});
}

TEST(KeyMemoryTest, TheKeysOfARepositoryStandInOnePlace) {
  const SecretBytes master = RandomMaster();
  const MaskedBytes masked(master.span());
  std::vector<MaskedBytes> seals;
  for (const char* context : {"cairn v1 twin seal", "cairn v1 pack seal"}) {
    HashKey key = Blake3DeriveKey(context, master.span());
    seals.push_back(MaskedBytes::AndWipe(key));
  }
  std::optional<RepositoryKeys> keys(std::in_place, RepositoryId{}, master);
  // The caller's, and the keys' own.
  EXPECT_THAT(masked.Find(), SizeIs(2));
  for (const MaskedBytes& seal : seals) EXPECT_THAT(seal.Find(), SizeIs(1));
  keys.reset();
  EXPECT_THAT(masked.Find(), SizeIs(1));
  for (const MaskedBytes& seal : seals) EXPECT_THAT(seal.Find(), SizeIs(0));
}

TEST(KeyMemoryTest, WrappingAndUnwrappingLeavesNothing) {
  const SecretBytes master = RandomMaster();
  const MaskedBytes masked(master.span());
  for (const KeyKind kind : {KeyKind::kKeyFile, KeyKind::kPassword}) {
    Credential credential{kind, RandomMaster()};
    const MaskedBytes secret(credential.secret.span());
    ASSERT_OK_AND_ASSIGN(const KeyObject key, WrapMasterKey(RepositoryId{}, credential,
                                                            kLeastPasswordCost, {}, master.span()));
    EXPECT_THAT(masked.Find(), SizeIs(1));
    EXPECT_THAT(secret.Find(), SizeIs(1));
    ASSERT_OK_AND_ASSIGN(const SecretBytes unwrapped, UnwrapMasterKey(key, credential));
    EXPECT_THAT(masked.Find(), SizeIs(2));
    EXPECT_THAT(secret.Find(), SizeIs(1));
  }
}

#endif

}  // namespace
}  // namespace cairn::testing
