// SPDX-License-Identifier: Apache-2.0
// The part of a check that looks at packs, and at the index beside them. Private to check.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/index/index.h"
#include "core/repo/check.h"
#include "core/repo/check_blobs.h"
#include "core/store/frame.h"
#include "core/store/journal_state.h"
#include "core/store/pack.h"

namespace cairn {

// One for each check. Not to be used from two threads at once.
class PackCheck {
 public:
  // All must outlive it.
  PackCheck(Repository& repository, const JournalState& state, const CheckOptions& options,
            CheckFindings& findings, KnownDamage& damage);

  // The index is not compared, and not used: nothing says what it should be.
  void LeaveIndexOut();

  // Looks at every pack's ends, reads those that the options choose, and compares the index. What
  // is wrong with the repository is a finding; errors are those that end the check.
  Status Run();

  // After Run: the repository's index if it is right, else one that was made from the footers.
  StatusOr<Index*> RightIndex();
  // After RightIndex, with that: that all bases are there; and reads the delta frames, which Run
  // leaves out, of the packs that the options choose.
  Status CheckDeltas(Index& index);
  // After Run: marks the damage of which every blob stands whole somewhere else too.
  Status MarkHarmless(CheckedBlobs& blobs);
  // After CheckDeltas: marks the damage that parity mends, and fills in what the result says of
  // packs.
  void Report(CheckResult& result);

 private:
  struct Pack {
    const PackEntry* entry = nullptr;
    bool read = false;  // whole
  };

  void ChoosePacks();
  Status CheckPack(const Pack& pack, FrameCodecContext& codec);
  void CheckParity(const Pack& pack);
  // Plain frames, or with `bases` the delta frames, whose bases it reads from there.
  Status ReadFrames(const PackInfo& info, const PackFooter& footer, FrameCodecContext& codec,
                    CheckedBlobs* bases);
  Status CheckBases(Index& index);
  void VerifyBlobs(const PackName& pack, uint32_t frame, std::span<const BlobInfo> blobs,
                   size_t first_ordinal, ByteSpan raw);

  // What differs, or nothing.
  StatusOr<std::string> CompareWithIndex(const PackEntry& entry, const PackFooter& footer);
  StatusOr<std::string> CompareWholeIndex();
  void IndexIsWrong(const std::string& what);

  Repository& repository_;
  const JournalState& state_;
  const CheckOptions& options_;
  CheckFindings& findings_;
  KnownDamage& damage_;

  std::vector<Pack> packs_;  // that are not purged, by name
  std::atomic<uint64_t> places_{0};
  std::atomic<uint64_t> bytes_read_{0};
  std::atomic<uint64_t> packs_without_parity_{0};
  std::atomic<bool> index_is_wrong_{false};
  std::atomic<bool> a_footer_is_missing_{false};
  std::unique_ptr<Index> made_index_;

  Mutex failure_mutex_;
  Status failure_ ABSL_GUARDED_BY(failure_mutex_);
};

}  // namespace cairn
