// SPDX-License-Identifier: Apache-2.0
#include "core/base/aead.h"

#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "core/base/check.h"
#include "core/base/secret.h"

namespace cairn {
namespace {

constexpr size_t kHChaChaInputBytes = 16;

struct FreeCipherContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }  // wipes, too
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeCipherContext>;

// Looked up once: each look-up takes OpenSSL longer than a small object takes to be sealed.
const EVP_CIPHER* Cipher() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  CHECK(cipher != nullptr);
  return cipher;
}

int Length(ByteSpan bytes) {
  CHECK(bytes.size() <= static_cast<size_t>(std::numeric_limits<int>::max()));
  return static_cast<int>(bytes.size());
}

// Ready for the text, with the associated data taken in.
CipherContext Begin(ByteSpan key, const AeadNonce& nonce, ByteSpan associated, bool seal) {
  CHECK(key.size() == kAeadKeyBytes);
  std::array<uint8_t, kAeadKeyBytes> subkey;
  CHECK(crypto_core_hchacha20(subkey.data(), nonce.data(), key.data(), nullptr) == 0);
  std::array<uint8_t, 12> inner{};  // four zeros, then the rest of the nonce
  std::copy(nonce.begin() + kHChaChaInputBytes, nonce.end(), inner.begin() + 4);

  CipherContext context(EVP_CIPHER_CTX_new());
  CHECK(context != nullptr);
  CHECK(EVP_CipherInit_ex2(context.get(), Cipher(), subkey.data(), inner.data(), seal ? 1 : 0,
                           nullptr) == 1);
  Wipe(subkey);
  int length = 0;
  if (!associated.empty()) {
    CHECK(EVP_CipherUpdate(context.get(), nullptr, &length, associated.data(),
                           Length(associated)) == 1);
  }
  return context;
}

}  // namespace

AeadNonce MakeAeadNonce(const std::array<uint8_t, 16>& name, uint64_t number) {
  AeadNonce nonce;
  uint8_t* out = std::ranges::copy(name, nonce.begin()).out;
  for (int i = 0; i < 8; ++i) *out++ = static_cast<uint8_t>(number >> (8 * i));
  return nonce;
}

void AeadSeal(ByteSpan key, const AeadNonce& nonce, ByteSpan associated, ByteSpan plain,
              MutableByteSpan out) {
  CHECK(out.size() == plain.size() + kAeadTagBytes);
  const CipherContext context = Begin(key, nonce, associated, /*seal=*/true);
  int length = 0;
  if (!plain.empty()) {
    CHECK(EVP_CipherUpdate(context.get(), out.data(), &length, plain.data(), Length(plain)) == 1);
    CHECK(length == Length(plain));
  }
  CHECK(EVP_CipherFinal_ex(context.get(), out.data() + plain.size(), &length) == 1 && length == 0);
  CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes,
                            out.data() + plain.size()) == 1);
}

bool AeadOpen(ByteSpan key, const AeadNonce& nonce, ByteSpan associated, ByteSpan sealed,
              MutableByteSpan out) {
  CHECK(sealed.size() >= kAeadTagBytes && out.size() == sealed.size() - kAeadTagBytes);
  const CipherContext context = Begin(key, nonce, associated, /*seal=*/false);
  std::array<uint8_t, kAeadTagBytes> tag;
  std::ranges::copy(sealed.last(kAeadTagBytes), tag.begin());
  CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes, tag.data()) == 1);
  const ByteSpan text = sealed.first(out.size());
  int length = 0;
  if (!text.empty()) {
    CHECK(EVP_CipherUpdate(context.get(), out.data(), &length, text.data(), Length(text)) == 1);
  }
  uint8_t nothing = 0;
  return EVP_CipherFinal_ex(context.get(), &nothing, &length) == 1;
}

}  // namespace cairn
