// SPDX-License-Identifier: Apache-2.0
#include "core/repo/parity_bytes.h"

#include "core/store/parity.h"

namespace cairn {

StatusOr<uint64_t> ParityBytesOf(ObjectStore& store, const PackInfo& pack) {
  if ((pack.content & kPackHasParity) == 0) return 0;
  const StatusOr<uint64_t> bytes = store.Size(ParityObjectName(pack.name));
  if (bytes.status().code() == StatusCode::kNotFound) return 0;
  return bytes;
}

}  // namespace cairn
