// SPDX-License-Identifier: Apache-2.0
#include "core/base/blake3.h"

#include <blake3.h>
#include <sodium.h>

#include "core/base/secret.h"

namespace cairn {

static_assert(sizeof(Hash256) == BLAKE3_OUT_LEN && sizeof(HashKey) == BLAKE3_KEY_LEN);

struct Blake3::State {
  blake3_hasher hasher;
};

Blake3::Blake3() : state_(std::make_unique<State>()) { blake3_hasher_init(&state_->hasher); }
Blake3::Blake3(const HashKey& key) : state_(std::make_unique<State>()) {
  blake3_hasher_init_keyed(&state_->hasher, key.data());
}
Blake3::Blake3(Blake3&&) noexcept = default;
Blake3& Blake3::operator=(Blake3&&) noexcept = default;
Blake3::~Blake3() = default;

void Blake3::Update(ByteSpan bytes) {
  blake3_hasher_update(&state_->hasher, bytes.data(), bytes.size());
}

Hash256 Blake3::Finish() const {
  Hash256 out;
  blake3_hasher_finalize(&state_->hasher, out.data(), out.size());
  return out;
}

Hash256 Blake3Hash(ByteSpan bytes) {
  blake3_hasher hasher;
  blake3_hasher_init(&hasher);
  blake3_hasher_update(&hasher, bytes.data(), bytes.size());
  Hash256 out;
  blake3_hasher_finalize(&hasher, out.data(), out.size());
  return out;
}

namespace {

// More than its functions have on the stack for one block.
constexpr size_t kLibraryStackBytes = 4096;

// The library finds out what the processor can do when it is first used, without a lock. So that is
// here, before there are threads.
[[maybe_unused]] const Hash256 kOfNothing = Blake3Hash({});

}  // namespace

Hash256 Blake3Keyed(const HashKey& key, ByteSpan bytes) {
  blake3_hasher hasher;
  blake3_hasher_init_keyed(&hasher, key.data());
  blake3_hasher_update(&hasher, bytes.data(), bytes.size());
  Hash256 out;
  blake3_hasher_finalize(&hasher, out.data(), out.size());
  return out;
}

HashKey Blake3DeriveKey(std::string_view context, ByteSpan key_material) {
  blake3_hasher hasher;
  blake3_hasher_init_derive_key_raw(&hasher, context.data(), context.size());
  blake3_hasher_update(&hasher, key_material.data(), key_material.size());
  HashKey out;
  blake3_hasher_finalize(&hasher, out.data(), out.size());
  // The hasher buffers the material, and the library copies that block once more when it ends.
  Wipe({reinterpret_cast<uint8_t*>(&hasher), sizeof(hasher)});
  sodium_stackzero(kLibraryStackBytes);
  return out;
}

}  // namespace cairn
