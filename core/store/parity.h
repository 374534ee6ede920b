// SPDX-License-Identifier: Apache-2.0
// Parity of a pack, in a file of its own beside it: what makes a pack whole again, bit for bit,
// after a lost sector or a burst. docs/format.md, "Parity".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/pack.h"
#include "core/base/status.h"
#include "core/store/object_store.h"
#include "core/store/parity_layout.h"
#include "core/store/parity_table.h"

namespace cairn {

// "packs/3f/3f07....par" of pack 3f07...
std::string ParityObjectName(const PackName& pack);

// Computes the parity of one pack while the pack is written, in at most 3 MiB of memory and 8 bytes
// for each 4 KiB of the pack. Thread-compatible; sticky: after an error everything fails. Dropped
// without Place, nothing stands under the name.
class ParityWriter {
 public:
  // With `replace` it takes the place of what stands under its name.
  static StatusOr<std::unique_ptr<ParityWriter>> Create(ObjectStore& store,
                                                        const RepositoryId& repository,
                                                        const SessionId& session,
                                                        const PackName& pack, bool replace);

  // The bytes of the pack, from the first to the last.
  Status Append(ByteSpan bytes);
  // After them: writes what remains, and frees the memory. `pack` is what the journal will name.
  Status Finish(const PackInfo& pack);
  // After Finish: durable bytes, under their name. Only then, and after a record has named the
  // pack, so that no parity stands there of a pack that nobody knows. The name is not made durable
  // for its own sake: what a power cut takes is made anew by repair.
  Status Place();

 private:
  ParityWriter() = default;

  Status AddShard(ByteSpan shard);
  void Accumulate(uint32_t number, ByteSpan shard);
  Status FinishWindow();
  void EncodeHeld(const ParityWindow& window, Bytes& parity) const;
  void MergeGroups(const ParityWindow& window, Bytes& parity) const;

  std::unique_ptr<ObjectWriter> writer_;
  ParityTable table_;
  Bytes pending_;  // the start of a shard
  bool first_window_ = true;
  uint32_t window_shards_ = 0;
  // The window's shards while they are few: how much parity they get depends on their number.
  Bytes held_;
  // Then sums for the largest number of groups: row by row, group by group.
  Bytes sums_;
  bool finished_ = false;
  bool broken_ = false;
};

}  // namespace cairn
