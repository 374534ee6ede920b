// SPDX-License-Identifier: Apache-2.0
// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), byte for byte what libsodium's
// crypto_aead_xchacha20poly1305_ietf gives, at about twice its speed: libsodium's HChaCha20 makes
// the subkey, OpenSSL's ChaCha20-Poly1305 does the work.
#pragma once

#include <array>

#include "core/base/bytes.h"

namespace cairn {

inline constexpr size_t kAeadKeyBytes = 32;
inline constexpr size_t kAeadTagBytes = 16;
// Large enough to be random. Never used for two plaintexts under one key.
using AeadNonce = std::array<uint8_t, 24>;
// Of part `number` of what has a random name of its own.
AeadNonce MakeAeadNonce(const std::array<uint8_t, 16>& name, uint64_t number);

// Thread-safe. `out` has plain.size() + kAeadTagBytes bytes and overlaps nothing.
// REQUIRES: key.size() == kAeadKeyBytes; under 2 GiB.
void AeadSeal(ByteSpan key, const AeadNonce& nonce, ByteSpan associated, ByteSpan plain,
              MutableByteSpan out);

// False if the key, the nonce, the associated data or a byte of `sealed` is another than when it
// was sealed; what `out` holds then means nothing. `out` has sealed.size() - kAeadTagBytes bytes.
// REQUIRES: sealed.size() >= kAeadTagBytes.
bool AeadOpen(ByteSpan key, const AeadNonce& nonce, ByteSpan associated, ByteSpan sealed,
              MutableByteSpan out);

}  // namespace cairn
