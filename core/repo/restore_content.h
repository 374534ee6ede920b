// SPDX-License-Identifier: Apache-2.0
// A file's bytes on their way to the target, and back for comparison.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/fs/target.h"
#include "core/repo/repository.h"
#include "core/tree/entry.h"

namespace cairn {

// Writes a piece of a file, and returns how many bytes were written: in a sparse file what an
// aligned block of 4 KiB has of it is left out if it is all zeros.
StatusOr<uint64_t> WritePiece(TargetFile& file, bool sparse, uint64_t offset, ByteSpan bytes);
StatusOr<uint64_t> WriteZeros(TargetFile& file, uint64_t offset, uint64_t bytes);

// Reads a file of the live file system and compares it, chunk by chunk, with what the entry says.
// DATA_LOSS if it differs.
Status VerifyContent(Repository& repository, const Entry& entry, int descriptor);

}  // namespace cairn
