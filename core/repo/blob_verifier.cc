// SPDX-License-Identifier: Apache-2.0
#include "core/repo/blob_verifier.h"

#include "core/base/profile.h"

namespace cairn {

void BlobVerifier::Add(const BlobRef& ref, ByteSpan bytes) {
  batch_.Add(ref.kind, bytes);
  wanted_.push_back(ref.id);
}

const std::vector<bool>& BlobVerifier::Verify() {
  const StageTimer timer(Stage::kVerify);
  const std::span<const BlobId> ids = batch_.Hash();
  right_.clear();
  for (size_t i = 0; i < ids.size(); ++i) right_.push_back(ids[i] == wanted_[i]);
  wanted_.clear();
  return right_;
}

}  // namespace cairn
