// SPDX-License-Identifier: Apache-2.0
// The key objects of a repository, and opening it by one of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/store/config.h"
#include "core/store/key_object.h"
#include "core/store/object_store.h"
#include "core/store/repository_keys.h"

namespace cairn {

inline constexpr char kKeyFolder[] = "keys";
// Each costs a wrong password some tenths of a second.
inline constexpr size_t kMaxKeys = 32;

// "keys/<32 hex digits>"
std::string KeyObjectName(const KeyId& id);

struct StoredKey {
  std::string name;
  KeyId id;                 // of the name: by it a key is removed, whatever is in it
  StatusOr<KeyObject> key;  // or why it is of no use
  std::string damage;       // as in DecodedTwin
  // It is another key than its name says, as when somebody has exchanged two. It opens all the
  // same.
  bool misnamed() const { return key.ok() && key->id != id; }
};
// By time and id; those that are misnamed, perhaps another repository's, behind them, and those of
// no use last. RESOURCE_EXHAUSTED if they are more than kMaxKeys.
StatusOr<std::vector<StoredKey>> ListKeys(ObjectStore& store);

// Durable when it returns, and it was seen to open.
Status PlaceKey(ObjectStore& store, const KeyObject& key, const Credential& credential);

struct OpenedKeys {
  RepositoryKeys keys;
  KeyId by;  // StoredKey::id
};
// By the first key that fits. UNAUTHENTICATED if none does, DATA_LOSS if there is none, or if none
// fits and one is damaged or misnamed.
StatusOr<OpenedKeys> OpenKeys(ObjectStore& store, const Credential& credential);

// What a repository says of itself to one who has no key: nothing of it is certain, but that one
// which is not encrypted has a configuration that says so.
struct RepositoryClaim {
  RepositoryId id;
  std::optional<RepositoryConfig> config;  // of one that is not encrypted, and of no other
  bool encrypted() const { return !config; }
};
// NOT_FOUND if there is no repository. DATA_LOSS if the configuration is damaged and there are no
// keys; or if it is that of a repository that is not encrypted, and there are keys: then it, or
// they, were put there by somebody else.
StatusOr<RepositoryClaim> IdentifyRepository(ObjectStore& store);

}  // namespace cairn
