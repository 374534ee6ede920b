// SPDX-License-Identifier: Apache-2.0
#include "core/repo/keys.h"

#include <algorithm>
#include <memory>

#include "core/store/sessions.h"

namespace cairn {
namespace {

Status MustBeEncrypted(const Repository& repository) {
  if (repository.keys().sealed()) return OkStatus();
  return FailedPrecondition(
      "the repository is not encrypted, and has no keys; `cairn init --encrypt` makes one that is");
}

// Alone with the keys, and the one that opened the repository still there: another process may have
// removed it, with the right of another key.
StatusOr<std::unique_ptr<FileLock>> TakeKeys(Repository& repository) {
  RETURN_IF_ERROR(MustBeEncrypted(repository));
  ASSIGN_OR_RETURN(std::unique_ptr<FileLock> lock, LockForKeys(repository.fs()));
  const Status own = repository.store().Size(KeyObjectName(*repository.opened_by())).status();
  if (own.code() == StatusCode::kNotFound) {
    return FailedPrecondition("the key that opened the repository was removed meanwhile");
  }
  RETURN_IF_ERROR(own);
  return lock;
}

StatusOr<KeyId> PlaceNewKey(Repository& repository, const Credential& credential,
                            const PasswordCost& cost, Timestamp created) {
  ASSIGN_OR_RETURN(const KeyObject key, WrapMasterKey(repository.keys().id(), credential, cost,
                                                      created, repository.keys().master()));
  RETURN_IF_ERROR(PlaceKey(repository.store(), key, credential));
  return key.id;
}

Status RemoveKeyObject(Repository& repository, const KeyId& id) {
  RETURN_IF_ERROR(repository.store().Delete(KeyObjectName(id)));
  return repository.fs().SyncDirectory(kKeyFolder);
}

}  // namespace

StatusOr<KeyId> AddKey(Repository& repository, const Credential& credential,
                       const PasswordCost& cost, Timestamp created) {
  ASSIGN_OR_RETURN(const auto lock, TakeKeys(repository));
  ASSIGN_OR_RETURN(const std::vector<StoredKey> keys, ListKeys(repository.store()));
  // One less than there may be, so that a password can still be changed.
  if (keys.size() + 1 >= kMaxKeys) {
    return ResourceExhausted("the repository has as many keys as it may have; remove one first");
  }
  return PlaceNewKey(repository, credential, cost, created);
}

Status RemoveKey(Repository& repository, const KeyId& id) {
  ASSIGN_OR_RETURN(const auto lock, TakeKeys(repository));
  if (id == *repository.opened_by()) {
    return FailedPrecondition(
        "this key opened the repository, and is not removed: open it by the key that shall stay");
  }
  return RemoveKeyObject(repository, id);
}

StatusOr<KeyId> ReplaceKey(Repository& repository, const Credential& credential,
                           const PasswordCost& cost, Timestamp created) {
  ASSIGN_OR_RETURN(const auto lock, TakeKeys(repository));
  ASSIGN_OR_RETURN(const KeyId id, PlaceNewKey(repository, credential, cost, created));
  RETURN_IF_ERROR(RemoveKeyObject(repository, *repository.opened_by()));
  return id;
}

StatusOr<std::vector<StoredKey>> KeysOf(Repository& repository) {
  RETURN_IF_ERROR(MustBeEncrypted(repository));
  return ListKeys(repository.store());
}

}  // namespace cairn
