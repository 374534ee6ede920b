// SPDX-License-Identifier: Apache-2.0
#include "core/base/password_hash.h"

#include <sodium.h>

#include "absl/strings/str_format.h"
#include "core/base/check.h"

namespace cairn {

static_assert(crypto_pwhash_SALTBYTES == std::tuple_size_v<PasswordSalt>);

bool IsWithinBounds(const PasswordCost& cost) {
  return cost.passes >= kLeastPasswordCost.passes && cost.passes <= kMostPasswordCost.passes &&
         cost.memory_kib >= kLeastPasswordCost.memory_kib &&
         cost.memory_kib <= kMostPasswordCost.memory_kib;
}

StatusOr<SecretBytes> HashPassword(ByteSpan password, const PasswordSalt& salt,
                                   const PasswordCost& cost) {
  CHECK(IsWithinBounds(cost));
  SecretBytes key(32);  // initialises libsodium, too
  // Null, which an empty span may be, is not taken.
  const char* const text = password.empty() ? "" : reinterpret_cast<const char*>(password.data());
  if (crypto_pwhash(key.span().data(), key.size(), text, password.size(), salt.data(), cost.passes,
                    size_t{cost.memory_kib} * kKiB, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return ResourceExhausted(absl::StrFormat(
        "deriving the key from the password takes %d MiB of memory, which cannot be had",
        cost.memory_kib / 1024));
  }
  return key;
}

}  // namespace cairn
