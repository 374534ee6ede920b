// SPDX-License-Identifier: Apache-2.0
// Argon2id: from a password to a key, at a price that whoever guesses pays for each guess.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/secret.h"
#include "core/base/status.h"

namespace cairn {

using PasswordSalt = std::array<uint8_t, 16>;

struct PasswordCost {
  uint32_t passes = 3;
  uint32_t memory_kib = 256 * 1024;
  friend bool operator==(const PasswordCost&, const PasswordCost&) = default;
};

// The least is what OWASP's password storage cheat sheet calls acceptable; the most bounds what a
// file that somebody else has written can make this machine do: 2 GiB, and some twenty seconds.
inline constexpr PasswordCost kLeastPasswordCost{.passes = 2, .memory_kib = 19 * 1024};
inline constexpr PasswordCost kMostPasswordCost{.passes = 16, .memory_kib = 2 * 1024 * 1024};
bool IsWithinBounds(const PasswordCost& cost);

// 32 bytes. RESOURCE_EXHAUSTED if the memory cannot be had.
// REQUIRES: the cost is within bounds.
StatusOr<SecretBytes> HashPassword(ByteSpan password, const PasswordSalt& salt,
                                   const PasswordCost& cost);

}  // namespace cairn
