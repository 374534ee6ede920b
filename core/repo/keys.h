// SPDX-License-Identifier: Apache-2.0
// Who may open an encrypted repository: adding, removing and changing its passwords and key files.
// What is sealed stays as it is: they all give the one master key, which never changes. So somebody
// whose password is removed, and who has kept a copy of his key object, can go on reading.
#pragma once

#include <vector>

#include "core/base/clock.h"
#include "core/base/password_hash.h"
#include "core/base/status.h"
#include "core/repo/repository.h"
#include "core/store/key_object.h"
#include "core/store/key_ring.h"

namespace cairn {

// FAILED_PRECONDITION, from all of these, for a repository that is not encrypted; ABORTED if
// another process changes the keys at this moment. What is changed is durable when they return, and
// at every moment before, the repository opens by what opened it.

// RESOURCE_EXHAUSTED if there are as many as there may be.
StatusOr<KeyId> AddKey(Repository& repository, const Credential& credential,
                       const PasswordCost& cost, Timestamp created);

// NOT_FOUND if there is none of this name. FAILED_PRECONDITION for the one that opened the
// repository: so the last one stays, and it is known to open.
Status RemoveKey(Repository& repository, const KeyId& id);

// Puts another in the place of the one that opened the repository.
StatusOr<KeyId> ReplaceKey(Repository& repository, const Credential& credential,
                           const PasswordCost& cost, Timestamp created);

// The keys as ListKeys has them.
StatusOr<std::vector<StoredKey>> KeysOf(Repository& repository);

}  // namespace cairn
