// SPDX-License-Identifier: Apache-2.0
// Key objects: the master key of an encrypted repository, wrapped by a password or by a key file.
// There is one for each of them, and any one opens the repository. docs/format.md, "Keys".
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "core/base/aead.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/password_hash.h"
#include "core/base/secret.h"
#include "core/base/status.h"

namespace cairn {

using KeyId = StrongId<struct KeyIdTag, 16>;

// Part of the format: values are never changed or reused.
enum class KeyKind : uint8_t { kPassword = 1, kKeyFile = 2 };
// "password", "key file"
const char* KeyKindName(KeyKind kind);

inline constexpr size_t kMasterKeyBytes = 32;
inline constexpr size_t kKeyFileBytes = 32;

// What somebody has who may open the repository: a password, or the 32 bytes of a key file.
struct Credential {
  KeyKind kind = KeyKind::kPassword;
  SecretBytes secret;
};

struct KeyObject {
  RepositoryId repository;
  KeyId id;  // its name
  KeyKind kind = KeyKind::kPassword;
  Timestamp created;
  PasswordSalt salt{};
  PasswordCost cost;  // of a password
  // A hash of the key that `wrapped` is sealed with: no other key fits, though the seal alone would
  // let somebody make a box that two keys open.
  std::array<uint8_t, 32> commitment{};
  std::array<uint8_t, kMasterKeyBytes + kAeadTagBytes> wrapped{};
  friend bool operator==(const KeyObject&, const KeyObject&) = default;
};

// Of the file.
inline constexpr uint64_t kMaxKeyFileBytes = 64 * kKiB;

Bytes EncodeKeyObject(const KeyObject& key);
// DATA_LOSS if anything is wrong, the cost out of its bounds among it: nothing is computed then.
// `damage` (may be null) as in DecodedTwin. `name` is for messages.
StatusOr<KeyObject> DecodeKeyObject(ByteSpan file, std::string_view name, std::string* damage);

// A new key object. `master` has 32 bytes, and `cost` is within bounds. RESOURCE_EXHAUSTED as
// HashPassword.
StatusOr<KeyObject> WrapMasterKey(const RepositoryId& repository, const Credential& credential,
                                  const PasswordCost& cost, Timestamp created, ByteSpan master);
// UNAUTHENTICATED if it is not this object's password or key file; DATA_LOSS if it is, and the
// object was changed nevertheless.
StatusOr<SecretBytes> UnwrapMasterKey(const KeyObject& key, const Credential& credential);

}  // namespace cairn
