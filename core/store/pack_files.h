// SPDX-License-Identifier: Apache-2.0
// Which files of packs stand in a store, whatever the journal says.
#pragma once

#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/store/object_store.h"

namespace cairn {

// By their names; those of other files are left out.
struct PackFiles {
  std::vector<PackName> packs;
  std::vector<PackName> parity;
};
StatusOr<PackFiles> ListPackFiles(ObjectStore& store);

}  // namespace cairn
