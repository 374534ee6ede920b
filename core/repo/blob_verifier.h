// SPDX-License-Identifier: Apache-2.0
// Whether bytes have the ids that they should have, of many blobs at once.
#pragma once

#include <vector>

#include "core/base/blob.h"

namespace cairn {

// Keeps its memory. Thread-compatible.
class BlobVerifier {
 public:
  // `hasher` must outlive it.
  explicit BlobVerifier(const BlobHasher& hasher) : batch_(hasher) {}

  // `bytes` must be there until Verify.
  void Add(const BlobRef& ref, ByteSpan bytes);
  // Of each that was added since the last time, in that order; valid until the next time.
  const std::vector<bool>& Verify();

 private:
  BlobBatch batch_;
  std::vector<BlobId> wanted_;
  std::vector<bool> right_;
};

}  // namespace cairn
