// SPDX-License-Identifier: Apache-2.0
// Lower-case hexadecimal text of byte strings.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"

namespace cairn {

std::string HexEncode(ByteSpan bytes);

// Accepts both cases; nothing for an odd length or a character that is no hex digit.
std::optional<Bytes> HexDecode(std::string_view hex);

}  // namespace cairn
