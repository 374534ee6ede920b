// SPDX-License-Identifier: Apache-2.0
#include "core/store/key_object.h"

#include <algorithm>
#include <utility>

#include "core/base/blake3.h"
#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/random.h"
#include "core/store/twin.h"

namespace cairn {
namespace {

constexpr uint32_t kNanosecondsInASecond = 1'000'000'000;

// What a credential comes to with one object's salt.
struct WrappingKey {
  SecretBytes key;
  Hash256 commitment;
};

SecretBytes Derive(std::string_view context, ByteSpan material) {
  HashKey derived = Blake3DeriveKey(context, material);
  SecretBytes key = SecretBytes::CopyOf(derived);
  Wipe(derived);
  return key;
}

StatusOr<WrappingKey> DeriveWrappingKey(const KeyObject& object, const Credential& credential) {
  SecretBytes material;
  if (object.kind == KeyKind::kPassword) {
    ASSIGN_OR_RETURN(material, HashPassword(credential.secret.span(), object.salt, object.cost));
  } else {
    material = SecretBytes(credential.secret.size() + object.salt.size());
    std::ranges::copy(credential.secret.span(), material.span().begin());
    std::ranges::copy(object.salt, material.span().begin() + credential.secret.size());
  }
  WrappingKey wrapping;
  wrapping.key = Derive("cairn v1 key wrap", material.span());
  wrapping.commitment = Blake3DeriveKey("cairn v1 key commitment", material.span());
  return wrapping;
}

// The wrapping key is used for one object only, as it comes from the object's salt.
AeadNonce WrapNonce(const KeyId& id) { return MakeAeadNonce(id.bytes, 0); }

void EncodeUnwrapped(const KeyObject& key, Encoder& encoder) {
  encoder.Fixed8(static_cast<uint8_t>(key.kind));
  encoder.SignedVarint(key.created.seconds);
  encoder.Varint(key.created.nanoseconds);
  encoder.Raw(key.salt);
  if (key.kind == KeyKind::kPassword) {
    encoder.Varint(key.cost.passes);
    encoder.Varint(key.cost.memory_kib);
  }
  encoder.Raw(key.commitment);
}

// All that the object says: what the wrapped key is bound to.
Bytes WrapAssociatedData(const KeyObject& key) {
  Bytes bytes;
  Encoder encoder(bytes);
  encoder.Raw(AsBytes({kKeyMagic.data(), kKeyMagic.size()}));
  encoder.Raw(key.repository.span());
  encoder.Raw(key.id.span());
  EncodeUnwrapped(key, encoder);
  return bytes;
}

PasswordCost DecodeCost(Decoder& decoder) {
  PasswordCost cost;
  cost.passes = static_cast<uint32_t>(decoder.VarintUpTo(kMostPasswordCost.passes));
  cost.memory_kib = static_cast<uint32_t>(decoder.VarintUpTo(kMostPasswordCost.memory_kib));
  if (!IsWithinBounds(cost)) decoder.Fail("the cost of its password is out of bounds");
  return cost;
}

}  // namespace

const char* KeyKindName(KeyKind kind) {
  return kind == KeyKind::kPassword ? "password" : "key file";
}

Bytes EncodeKeyObject(const KeyObject& key) {
  Twin twin;
  twin.magic = kKeyMagic;
  twin.repository = key.repository;
  twin.nonce = key.id.bytes;
  Encoder encoder(twin.payload);
  EncodeUnwrapped(key, encoder);
  encoder.Raw(key.wrapped);
  return EncodeTwin(RepositoryKeys(), twin);
}

StatusOr<KeyObject> DecodeKeyObject(ByteSpan file, std::string_view name, std::string* damage) {
  ASSIGN_OR_RETURN(DecodedTwin decoded, DecodeTwin(RepositoryKeys(), kKeyMagic, file, name));
  const Twin& twin = decoded.twin;
  Decoder decoder(twin.payload);
  if (twin.number != 0 || !twin.predecessor.IsZero() || twin.features != 0) {
    decoder.Fail("its header has what only other objects have");
  }
  KeyObject key;
  key.repository = twin.repository;
  key.id = KeyId{twin.nonce};
  const uint8_t kind = decoder.Fixed8();
  if (kind != static_cast<uint8_t>(KeyKind::kPassword) &&
      kind != static_cast<uint8_t>(KeyKind::kKeyFile)) {
    decoder.Fail("unknown kind of a key");
  }
  key.kind = static_cast<KeyKind>(kind);
  key.created.seconds = decoder.SignedVarint();
  key.created.nanoseconds = static_cast<uint32_t>(decoder.VarintUpTo(kNanosecondsInASecond - 1));
  std::ranges::copy(decoder.Raw(key.salt.size()), key.salt.begin());
  if (key.kind == KeyKind::kPassword) key.cost = DecodeCost(decoder);
  std::ranges::copy(decoder.Raw(key.commitment.size()), key.commitment.begin());
  std::ranges::copy(decoder.Raw(key.wrapped.size()), key.wrapped.begin());
  RETURN_IF_ERROR(decoder.Finish(name));
  if (damage != nullptr) *damage = std::move(decoded.damage);
  return key;
}

StatusOr<KeyObject> WrapMasterKey(const RepositoryId& repository, const Credential& credential,
                                  const PasswordCost& cost, Timestamp created, ByteSpan master) {
  CHECK(master.size() == kMasterKeyBytes);
  KeyObject key;
  key.repository = repository;
  FillRandom(key.id.bytes);
  key.kind = credential.kind;
  key.created = created;
  FillRandom(key.salt);
  if (key.kind == KeyKind::kPassword) key.cost = cost;
  ASSIGN_OR_RETURN(const WrappingKey wrapping, DeriveWrappingKey(key, credential));
  key.commitment = wrapping.commitment;
  AeadSeal(wrapping.key.span(), WrapNonce(key.id), WrapAssociatedData(key), master, key.wrapped);
  return key;
}

StatusOr<SecretBytes> UnwrapMasterKey(const KeyObject& key, const Credential& credential) {
  const auto wrong = [] { return Unauthenticated("wrong password or key file"); };
  if (credential.kind != key.kind) return wrong();
  ASSIGN_OR_RETURN(const WrappingKey wrapping, DeriveWrappingKey(key, credential));
  if (!EqualSecretly(wrapping.commitment, key.commitment)) return wrong();
  SecretBytes master(kMasterKeyBytes);
  if (!AeadOpen(wrapping.key.span(), WrapNonce(key.id), WrapAssociatedData(key), key.wrapped,
                master.span())) {
    return DataLoss("key " + key.id.Hex() + ": it was changed since it was made");
  }
  return master;
}

}  // namespace cairn
