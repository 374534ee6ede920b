// SPDX-License-Identifier: Apache-2.0
// Reading the file of a twin object where the disk itself refuses a part of it.
#pragma once

#include <string>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/store/object_store.h"

namespace cairn {

// The whole object. A bad sector makes a read of the whole file fail, and the other copy may be
// readable: what cannot be read is zeros then, and DecodeTwin judges. The error of the read if
// nothing can be read at all. DATA_LOSS if it is larger than `max_bytes`: no writer makes it so.
StatusOr<Bytes> ReadTwinFile(ObjectStore& store, const std::string& name, uint64_t max_bytes);

}  // namespace cairn
