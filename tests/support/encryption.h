// SPDX-License-Identifier: Apache-2.0
// Tests of a whole repository run twice, the second time with CAIRN_TEST_ENCRYPTED set: then every
// repository that they make is encrypted, and must behave just as the others.
#pragma once

#include <algorithm>
#include <cstdlib>

#include "core/repo/repository.h"

namespace cairn::testing {

inline bool TestsAreEncrypted() { return std::getenv("CAIRN_TEST_ENCRYPTED") != nullptr; }

// A key file of one repeated byte.
inline Credential TestKeyFile(uint8_t byte = 7) {
  Credential credential{KeyKind::kKeyFile, SecretBytes(kKeyFileBytes)};
  std::ranges::fill(credential.secret.span(), byte);
  return credential;
}

inline Credential TestPassword(std::string_view password) {
  return {KeyKind::kPassword, SecretBytes::CopyOf(AsBytes(password))};
}

// As Repository::Create, or encrypted by TestKeyFile().
inline Status CreateTestRepository(FileSystem& fs, const RepositoryConfig& config) {
  if (!TestsAreEncrypted()) return Repository::Create(fs, config);
  return Repository::CreateEncrypted(fs, config, TestKeyFile(), kLeastPasswordCost);
}

// What opens it.
inline RepositoryOptions TestRepositoryOptions() {
  RepositoryOptions options;
  if (TestsAreEncrypted()) {
    options.credential = [] { return StatusOr<Credential>(TestKeyFile()); };
  }
  return options;
}

}  // namespace cairn::testing
