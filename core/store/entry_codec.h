// SPDX-License-Identifier: Apache-2.0
// The parts that records and folds share (docs/format.md, "Journal").
#pragma once

#include <string>
#include <vector>

#include "core/base/coding.h"
#include "core/base/pack.h"

namespace cairn {

inline constexpr size_t kMinPackInfoBytes = 66;

void EncodePackInfo(Encoder& encoder, const PackInfo& pack);
PackInfo DecodePackInfo(Decoder& decoder);

void EncodeTags(Encoder& encoder, const std::vector<std::string>& tags);
std::vector<std::string> DecodeTags(Decoder& decoder);

// A snapshot object with its length before it.
Bytes DecodeSnapshotObject(Decoder& decoder);

}  // namespace cairn
