// SPDX-License-Identifier: Apache-2.0
#include "core/base/aead.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <string_view>

#include "core/base/hex.h"
#include "core/base/random.h"

namespace cairn {
namespace {

struct Sealing {
  Bytes key = Bytes(kAeadKeyBytes);
  AeadNonce nonce{};
  Bytes associated;

  Bytes Seal(ByteSpan plain) const {
    Bytes out(plain.size() + kAeadTagBytes);
    AeadSeal(key, nonce, associated, plain, out);
    return out;
  }
  bool Opens(ByteSpan sealed) const {
    Bytes out(sealed.size() - kAeadTagBytes);
    return AeadOpen(key, nonce, associated, sealed, out);
  }
};

// draft-irtf-cfrg-xchacha-03, A.3.1.
TEST(AeadTest, GivesTheDraftsVector) {
  constexpr std::string_view kText =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
      "sunscreen would be it.";
  Sealing sealing;
  for (size_t i = 0; i < sealing.key.size(); ++i) sealing.key[i] = static_cast<uint8_t>(0x80 + i);
  for (size_t i = 0; i < sealing.nonce.size(); ++i) {
    sealing.nonce[i] = static_cast<uint8_t>(0x40 + i);
  }
  sealing.associated = *HexDecode("50515253c0c1c2c3c4c5c6c7");
  EXPECT_EQ(HexEncode(sealing.Seal(AsBytes(kText))),
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
            "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
            "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
            "21f9664c97637da9768812f615c68b13b52e"
            "c0875924c1c7987947deafd8780acf49");
}

TEST(AeadTest, IsByteForByteWhatLibsodiumGives) {
  for (const size_t size : {0, 1, 15, 16, 17, 63, 64, 65, 255, 4096, 100'003}) {
    Sealing sealing;
    FillRandom(sealing.key);
    FillRandom(sealing.nonce);
    sealing.associated.resize(size % 97);
    FillRandom(sealing.associated);
    Bytes plain(size);
    FillRandom(plain);
    Bytes expected(size + kAeadTagBytes);
    unsigned long long length = 0;
    crypto_aead_xchacha20poly1305_ietf_encrypt(expected.data(), &length, plain.data(), plain.size(),
                                               sealing.associated.data(), sealing.associated.size(),
                                               nullptr, sealing.nonce.data(), sealing.key.data());
    const Bytes sealed = sealing.Seal(plain);
    EXPECT_EQ(sealed, expected) << size;
    Bytes opened(size);
    EXPECT_TRUE(AeadOpen(sealing.key, sealing.nonce, sealing.associated, sealed, opened)) << size;
    EXPECT_EQ(opened, plain) << size;
  }
}

TEST(AeadTest, OpensNothingThatIsOtherwise) {
  Sealing sealing;
  FillRandom(sealing.key);
  FillRandom(sealing.nonce);
  sealing.associated = {1, 2, 3};
  const Bytes sealed = sealing.Seal(Bytes(100, 5));
  ASSERT_TRUE(sealing.Opens(sealed));
  for (size_t i = 0; i < sealed.size(); ++i) {
    Bytes changed = sealed;
    changed[i] ^= 1;
    EXPECT_FALSE(sealing.Opens(changed)) << i;
  }
  EXPECT_FALSE(sealing.Opens(ByteSpan(sealed).first(sealed.size() - 1)));
  EXPECT_FALSE(sealing.Opens(ByteSpan(sealed).first(kAeadTagBytes)));
  for (size_t i = 0; i < sealing.nonce.size(); ++i) {
    Sealing other = sealing;
    other.nonce[i] ^= 1;
    EXPECT_FALSE(other.Opens(sealed)) << i;
  }
  Sealing other = sealing;
  other.associated[1] ^= 1;
  EXPECT_FALSE(other.Opens(sealed));
  other = sealing;
  other.associated.clear();
  EXPECT_FALSE(other.Opens(sealed));
  other = sealing;
  other.key[31] ^= 1;
  EXPECT_FALSE(other.Opens(sealed));
}

}  // namespace
}  // namespace cairn
