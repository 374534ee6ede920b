// SPDX-License-Identifier: Apache-2.0
#include "core/base/secret.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <type_traits>
#include <utility>

#include "core/base/password_hash.h"
#include "tests/support/in_child.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

TEST(SecretTest, IsMovedAndNeverCopied) {
  static_assert(!std::is_copy_constructible_v<SecretBytes>);
  static_assert(!std::is_copy_assignable_v<SecretBytes>);
  SecretBytes secret = SecretBytes::CopyOf(AsBytes("secret"));
  SecretBytes moved = std::move(secret);
  EXPECT_EQ(AsText(moved.span()), "secret");
  EXPECT_TRUE(secret.empty());  // NOLINT: what is left is none
  SecretBytes assigned(3);
  assigned = std::move(moved);
  EXPECT_EQ(AsText(assigned.span()), "secret");
}

TEST(SecretTest, BeginsAsZeros) {
  const SecretBytes secret(100);
  for (const uint8_t byte : secret.span()) EXPECT_EQ(byte, 0);
  EXPECT_TRUE(SecretBytes().empty());
  EXPECT_TRUE(SecretBytes(0).empty());
}

TEST(SecretTest, EqualMeansAllBytes) {
  EXPECT_TRUE(EqualSecretly(AsBytes("abc"), AsBytes("abc")));
  EXPECT_FALSE(EqualSecretly(AsBytes("abc"), AsBytes("abd")));
  EXPECT_FALSE(EqualSecretly(AsBytes("abc"), AsBytes("ab")));
}

TEST(PasswordHashTest, DependsOnPasswordSaltAndCost) {
  const PasswordSalt salt = {1, 2, 3};
  const auto hash = [](std::string_view password, const PasswordSalt& with,
                       const PasswordCost& cost) {
    StatusOr<SecretBytes> key = HashPassword(AsBytes(password), with, cost);
    EXPECT_OK(key.status());
    return Bytes(key->span().begin(), key->span().end());
  };
  const Bytes one = hash("password", salt, kLeastPasswordCost);
  EXPECT_EQ(hash("password", salt, kLeastPasswordCost), one);
  EXPECT_NE(hash("passwore", salt, kLeastPasswordCost), one);
  EXPECT_NE(hash("password", PasswordSalt{}, kLeastPasswordCost), one);
  PasswordCost more = kLeastPasswordCost;
  ++more.passes;
  EXPECT_NE(hash("password", salt, more), one);
}

TEST(PasswordHashTest, WithoutTheMemoryThereIsNoKey) {
  testing::InChild([] {
    rlim_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    ASSERT_GT(pages, 0U);
    const rlim_t limit = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + 64 * kMiB;
    const rlimit limits{limit, limit};
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &limits), 0);
    EXPECT_THAT(HashPassword(AsBytes("password"), {}, kMostPasswordCost).status(),
                testing::StatusIs(StatusCode::kResourceExhausted));
  });
}

TEST(PasswordHashTest, CostsAreBoundedBothWays) {
  EXPECT_TRUE(IsWithinBounds(PasswordCost{}));
  EXPECT_TRUE(IsWithinBounds(kLeastPasswordCost));
  EXPECT_TRUE(IsWithinBounds(kMostPasswordCost));
  for (const int64_t change : {-1, 1}) {
    PasswordCost cost = change < 0 ? kLeastPasswordCost : kMostPasswordCost;
    cost.passes = static_cast<uint32_t>(cost.passes + change);
    EXPECT_FALSE(IsWithinBounds(cost));
    cost = change < 0 ? kLeastPasswordCost : kMostPasswordCost;
    cost.memory_kib = static_cast<uint32_t>(cost.memory_kib + change);
    EXPECT_FALSE(IsWithinBounds(cost));
  }
}

}  // namespace
}  // namespace cairn
