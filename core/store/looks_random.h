// SPDX-License-Identifier: Apache-2.0
// Whether it is worth trying to compress something. As btrfs does before it compresses (its
// "compression heuristic", Linux 4.15, 2017), a sixteenth of the bytes is looked at.
#pragma once

#include "core/base/bytes.h"

namespace cairn {

// True if all byte values are about equally frequent in every part of 64 KiB (Pearson's chi-squared
// test), and there is no text between them (as there is in archives, which shrink by it): what is
// compressed or encrypted. Repetitions in such bytes are not seen; long ones are chunks, which are
// stored once anyway. Of less than 32 KiB always false. Thread-safe.
bool LooksRandom(ByteSpan bytes);

}  // namespace cairn
