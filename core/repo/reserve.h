// SPDX-License-Identifier: Apache-2.0
// Files that are given up when a disk is full: forget and prune need room for a record before they
// can make any, and prune has to copy what is live in a pack before the pack can go.
#pragma once

#include <functional>

#include "core/base/bytes.h"
#include "core/base/file_system.h"
#include "core/base/status.h"

namespace cairn {

// What is given up at a time: each record takes one such block at most, so that a few are left
// where others fill what was given up.
inline constexpr uint64_t kReserveBlockBytes = 1 * kMiB;
inline constexpr uint64_t kMinReserveBlocks = 4;
// So much has to be free for another block.
inline constexpr uint64_t kMinFreeForReserve = 8 * kMiB;

// One whole pack: then any pack can be rewritten.
uint64_t MaxReserveBlocks(uint64_t pack_target_bytes);
// A fiftieth of what the packs take, within the limits above.
uint64_t ReserveBlocks(uint64_t packs_bytes, uint64_t pack_target_bytes);

// How many there are, cut short or whole.
StatusOr<uint64_t> CountReserveBlocks(FileSystem& fs);
// Makes the blocks that are missing of so many; where there is no room, that is no error.
Status EnsureReserve(FileSystem& fs, uint64_t blocks = kMinReserveBlocks,
                     uint64_t min_free = kMinFreeForReserve);
// Gives up one block. False if there is none.
StatusOr<bool> GiveUpReserveBlock(FileSystem& fs);
// Gives up all blocks but one, which is left for a record.
Status GiveUpReserve(FileSystem& fs);

// Calls `work`; while the disk is full and there is a block, gives that up and calls it once more.
Status WithReserve(FileSystem& fs, const std::function<Status()>& work);

}  // namespace cairn
