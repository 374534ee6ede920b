// SPDX-License-Identifier: Apache-2.0
// The file of a twin object where the disk itself refuses a part of it, and putting a whole one in
// its place.
#pragma once

#include <string>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/store/object_store.h"

namespace cairn {

// The whole object. A bad sector makes a read of the whole file fail, and the other copy may be
// readable: what cannot be read is zeros then, and DecodeTwin judges. The error of the read if
// nothing can be read at all. DATA_LOSS if it is larger than `max_bytes`: no writer makes it so.
StatusOr<Bytes> ReadTwinFile(ObjectStore& store, const std::string& name, uint64_t max_bytes);

// Whether a twin object, or a journal of them, that failed so to be read is lost: damaged, or
// refused by the disk. Not if it is not there, nor if a newer version wrote it.
bool IsLostObject(const Status& status);

// Puts `whole` in the place of what stands there, in one step; durable after the next
// ObjectStore::SyncNames. `session` is the writer's.
Status ReplaceTwinFile(ObjectStore& store, const std::string& name, ByteSpan whole,
                       const SessionId& session);

}  // namespace cairn
