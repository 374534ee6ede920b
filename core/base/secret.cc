// SPDX-License-Identifier: Apache-2.0
#include "core/base/secret.h"

#include <sodium.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace cairn {

SecretBytes::SecretBytes(size_t size) : size_(size) {
  if (size == 0) return;
  CHECK(sodium_init() >= 0);
  // It locks the pages, too, and goes on where that is not permitted.
  data_ = static_cast<uint8_t*>(sodium_malloc(size));
  CHECK(data_ != nullptr);
  std::fill_n(data_, size, uint8_t{0});
}

SecretBytes SecretBytes::CopyOf(ByteSpan bytes) {
  SecretBytes copy(bytes.size());
  std::ranges::copy(bytes, copy.data_);
  return copy;
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SecretBytes::~SecretBytes() { sodium_free(data_); }

void Wipe(MutableByteSpan bytes) { sodium_memzero(bytes.data(), bytes.size()); }

bool EqualSecretly(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

void ForbidCoreDumps() {
  const rlimit none = {0, 0};
  // Neither can fail for a reason that could be mended, and neither is what the secret rests on.
  (void)setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__)
  // Not under ASan, whose search for leaks reads this process's memory from another.
  (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

}  // namespace cairn
