// SPDX-License-Identifier: Apache-2.0
// Whose objects are read and written, and by which keys: what everything that touches the bytes of
// a repository is given. docs/format.md, "Encryption".
#pragma once

#include <memory>

#include "core/base/aead.h"
#include "core/base/blake3.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/secret.h"
#include "core/base/status.h"

namespace cairn {

// Immutable; copies share the keys, which are wiped with the last of them. Thread-safe.
class RepositoryKeys {
 public:
  // Of repositories that are not encrypted, whichever it is.
  RepositoryKeys();
  // Of this one, which is not encrypted.
  explicit RepositoryKeys(const RepositoryId& id);
  // Of this one, which is. REQUIRES: 32 bytes.
  RepositoryKeys(const RepositoryId& id, const SecretBytes& master);

  const RepositoryId& id() const { return id_; }
  // Whether its objects are encrypted.
  bool sealed() const { return sealed_; }

  // K: all zeros if it is not encrypted.
  const HashKey& id_key() const { return keys_->id; }
  // Derived from K.
  const HashKey& twin_hash_key() const { return keys_->twin_hash; }
  const HashKey& pack_hash_key() const { return keys_->pack_hash; }
  const HashKey& snapshot_hash_key() const { return keys_->snapshot_hash; }

  // By how much a frame, a footer or a payload grows when it is sealed.
  size_t seal_bytes() const { return sealed_ ? kAeadTagBytes : 0; }
  // The following need sealed().
  enum class Use { kTwin, kPack };
  // Appends the sealed bytes to `out`.
  void Seal(Use use, const AeadNonce& nonce, ByteSpan associated, ByteSpan plain, Bytes& out) const;
  // DATA_LOSS if they were not sealed so.
  StatusOr<Bytes> Open(Use use, const AeadNonce& nonce, ByteSpan associated, ByteSpan sealed) const;
  // From which all the others come: for another key object.
  ByteSpan master() const { return keys_->master; }

 private:
  struct Keys {
    HashKey master{};
    HashKey id{};
    HashKey twin_hash{};
    HashKey pack_hash{};
    HashKey snapshot_hash{};
    HashKey twin_seal{};
    HashKey pack_seal{};
  };
  static void DeriveHashKeys(Keys& keys);
  static std::shared_ptr<const Keys> KeysOfNobody();

  RepositoryId id_;
  bool sealed_ = false;
  std::shared_ptr<const Keys> keys_;
};

}  // namespace cairn
