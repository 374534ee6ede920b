// SPDX-License-Identifier: Apache-2.0
// The part of a check that looks at packs, and at the index beside them. Private to check.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "core/base/mutex.h"
#include "core/index/index.h"
#include "core/repo/blob_verifier.h"
#include "core/repo/check.h"
#include "core/repo/check_blobs.h"
#include "core/store/frame.h"
#include "core/store/journal_state.h"
#include "core/store/pack.h"

namespace cairn {

// How long packs may be read, counted from the first Start. Used by one thread until it is started,
// then thread-safe.
class ReadBudget {
 public:
  // `options` must outlive it.
  explicit ReadBudget(const CheckOptions& options) : options_(options) {}
  void Start();
  bool IsUsedUp() const;

 private:
  const CheckOptions& options_;
  std::optional<Timestamp> end_;  // by the options' clock
};

// One for each check. Not to be used from two threads at once.
class PackCheck {
 public:
  // All must outlive it.
  PackCheck(Repository& repository, const JournalState& state, const CheckOptions& options,
            ReadBudget& budget, CheckFindings& findings, KnownDamage& damage);

  // The index is not compared, and not used: nothing says what it should be.
  void LeaveIndexOut();

  // Looks at every pack's ends, and compares the index. What is wrong with the repository is a
  // finding; errors are those that end the check.
  Status Run();

  // After Run: the repository's index if it is right, else one that was made from the footers.
  StatusOr<Index*> RightIndex();
  // After RightIndex, with that: reads the packs that the options choose, while there is time, and
  // sees that the bases of all are there. Where there are packs to read, and several threads to do
  // it, one of these calls `beside` before it takes a part in that.
  Status CheckContent(Index& index, absl::FunctionRef<void()> beside);
  // After CheckContent: marks the damage of which every blob stands whole somewhere else too.
  Status MarkHarmless(CheckedBlobs& blobs);
  // After CheckContent: marks the damage that parity mends, or the pack's own name, and fills in
  // what the result says of packs.
  void Report(CheckResult& result);

 private:
  struct Pack {
    const PackEntry* entry = nullptr;
    bool read = false;        // whole
    bool has_parity = false;  // of the right size
    std::optional<Timestamp> last_read;
  };
  struct Reader;
  struct OpenPack;

  void ChoosePacks();
  void ChooseByTime();
  void CheckPack(Pack& pack);
  void CheckParity(Pack& pack);

  Status ReadPacks(Index& index, absl::FunctionRef<void()> beside);
  // The next pack, or one that others read, as long as there is one with parts left; else none.
  std::shared_ptr<OpenPack> TakePack();
  // As long as there are parts that nobody took. Errors are those that end the check.
  Status ReadParts(OpenPack& pack, Reader& reader);
  Status VerifyParity(OpenPack& pack);
  Status ReadFrames(OpenPack& pack, size_t first_frame, Reader& reader);
  bool VerifyBlobs(const PackName& pack, uint32_t frame, std::span<const BlobInfo> blobs,
                   size_t first_ordinal, ByteSpan raw, BlobVerifier& verifier);
  Status CheckBases(Index& index);
  void Keep(Status failure);
  Status TakeFailure();

  // What differs, or nothing.
  StatusOr<std::string> CompareWithIndex(const PackEntry& entry, const PackFooter& footer);
  StatusOr<std::string> CompareWholeIndex();
  void IndexIsWrong(const std::string& what);

  Repository& repository_;
  const JournalState& state_;
  const CheckOptions& options_;
  ReadBudget& budget_;
  CheckFindings& findings_;
  KnownDamage& damage_;

  std::vector<Pack> packs_;          // that are not purged, by name
  std::vector<Pack*> to_read_;       // in this order
  std::vector<const Pack*> recent_;  // would be read, but for read_before
  std::atomic<uint64_t> places_{0};
  std::atomic<uint64_t> bytes_read_{0};
  std::atomic<uint64_t> packs_without_parity_{0};
  std::atomic<bool> index_is_wrong_{false};
  std::atomic<bool> a_footer_is_missing_{false};
  std::unique_ptr<Index> made_index_;

  Mutex open_mutex_;
  size_t next_to_read_ ABSL_GUARDED_BY(open_mutex_) = 0;
  std::vector<std::shared_ptr<OpenPack>> open_packs_ ABSL_GUARDED_BY(open_mutex_);

  Mutex failure_mutex_;
  Status failure_ ABSL_GUARDED_BY(failure_mutex_);
};

}  // namespace cairn
