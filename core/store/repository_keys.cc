// SPDX-License-Identifier: Apache-2.0
#include "core/store/repository_keys.h"

#include <algorithm>
#include <new>
#include <type_traits>

#include "core/base/check.h"

namespace cairn {
namespace {

// What it passes through is wiped.
void Derive(std::string_view context, const HashKey& from, HashKey& key) {
  HashKey derived = Blake3DeriveKey(context, from);
  key = derived;
  Wipe(derived);
}

}  // namespace

RepositoryKeys::RepositoryKeys() : RepositoryKeys(RepositoryId{}) {}

RepositoryKeys::RepositoryKeys(const RepositoryId& id) : id_(id), keys_(KeysOfNobody()) {}

RepositoryKeys::RepositoryKeys(const RepositoryId& id, const SecretBytes& master)
    : id_(id), sealed_(true) {
  static_assert(std::is_trivially_destructible_v<Keys>);
  CHECK(master.size() == sizeof(HashKey));
  auto memory = std::make_shared<SecretBytes>(sizeof(Keys));
  Keys* const keys = new (memory->span().data()) Keys();
  std::ranges::copy(master.span(), keys->master.begin());
  Derive("cairn v1 id key", keys->master, keys->id);
  Derive("cairn v1 twin seal", keys->master, keys->twin_seal);
  Derive("cairn v1 pack seal", keys->master, keys->pack_seal);
  DeriveHashKeys(*keys);
  keys_ = std::shared_ptr<const Keys>(std::move(memory), keys);
}

void RepositoryKeys::DeriveHashKeys(Keys& keys) {
  keys.twin_hash = Blake3DeriveKey("cairn v1 twin", keys.id);
  keys.pack_hash = Blake3DeriveKey("cairn v1 pack", keys.id);
  keys.snapshot_hash = Blake3DeriveKey("cairn v1 snapshot", keys.id);
}

std::shared_ptr<const RepositoryKeys::Keys> RepositoryKeys::KeysOfNobody() {
  static const std::shared_ptr<const Keys> keys = [] {
    auto made = std::make_shared<Keys>();
    DeriveHashKeys(*made);
    return made;
  }();
  return keys;
}

void RepositoryKeys::Seal(Use use, const AeadNonce& nonce, ByteSpan associated, ByteSpan plain,
                          Bytes& out) const {
  CHECK(sealed_);
  const size_t before = out.size();
  out.resize(before + plain.size() + kAeadTagBytes);
  AeadSeal(use == Use::kTwin ? keys_->twin_seal : keys_->pack_seal, nonce, associated, plain,
           MutableByteSpan(out).subspan(before));
}

StatusOr<Bytes> RepositoryKeys::Open(Use use, const AeadNonce& nonce, ByteSpan associated,
                                     ByteSpan sealed) const {
  CHECK(sealed_);
  if (sealed.size() < kAeadTagBytes) return DataLoss("it is too short to have been sealed");
  Bytes plain(sealed.size() - kAeadTagBytes);
  if (!AeadOpen(use == Use::kTwin ? keys_->twin_seal : keys_->pack_seal, nonce, associated, sealed,
                plain)) {
    return DataLoss("it is not what was sealed here: it was changed, or belongs elsewhere");
  }
  return plain;
}

}  // namespace cairn
