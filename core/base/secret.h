// SPDX-License-Identifier: Apache-2.0
// Bytes that must not be left lying about: passwords and keys.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/bytes.h"

namespace cairn {

// Owns its bytes: kept out of swap where the system permits it, between guard pages, wiped when
// they go. Movable, not copyable. Thread-compatible.
class SecretBytes {
 public:
  SecretBytes() = default;  // none
  // Zeros.
  explicit SecretBytes(size_t size);
  static SecretBytes CopyOf(ByteSpan bytes);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  ~SecretBytes();

  ByteSpan span() const { return {data_, size_}; }
  MutableByteSpan span() { return {data_, size_}; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// For what a secret passed through.
void Wipe(MutableByteSpan bytes);

// In a time that does not depend on where they differ.
bool EqualSecretly(ByteSpan a, ByteSpan b);

// From now on no core dump of this process is written, and no other process of the same user can
// read its memory: to be called before a secret is read.
void ForbidCoreDumps();

}  // namespace cairn
