// SPDX-License-Identifier: Apache-2.0
// A repository that is open: its journal, its packs, and the index that finds blobs in them.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/blob.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/chunker/chunker.h"
#include "core/index/index.h"
#include "core/repo/frame_cache.h"
#include "core/repo/place_finder.h"
#include "core/repo/reserve.h"
#include "core/repo/snapshot_info.h"
#include "core/repo/snapshot_object.h"
#include "core/repo/whole_index.h"
#include "core/store/config.h"
#include "core/store/journal.h"
#include "core/store/key_ring.h"
#include "core/store/object_store.h"
#include "core/store/pack.h"
#include "core/store/repository_keys.h"
#include "core/store/sessions.h"

namespace cairn {

class IndexSync;
struct LmdbIndexOptions;

struct RepositoryOptions {
  // The index lies in a folder of it that is named after the repository. Empty: the index is kept
  // in memory only and made anew (tests; nothing to keep).
  std::string cache_directory;
  // Where the repository lies, such as an absolute path: what is remembered of this very copy of it
  // is told by that from what holds for every copy. May be empty.
  std::string location;
  const Clock* clock = &SystemClock();
  // More saves hardly a decode: of a restore and a prune after ten deltas, 32 MiB 1 %.
  size_t frame_cache_bytes = 16 * kMiB;
  // Told to people: "the index cannot be written, ...". May be empty.
  std::function<void(const std::string&)> warn;
  // Asked, once, for what opens the repository if it is encrypted. If it is null, none can be
  // given.
  std::function<StatusOr<Credential>()> credential;
  // Somebody has given a password or a key: so a repository that is not encrypted is not the one
  // that is meant, and nothing is written to it.
  bool must_be_encrypted = false;
  // For who only reads: where the configuration or the journal is damaged in both copies, opens
  // what can still be known of it (salvage.h), and says so. Repository::damage() is set then.
  bool beside_damage = false;
};

// A snapshot as the commands see it.
struct SnapshotView {
  SnapshotInfo info;
  SnapshotObject object;
};

// Thread-safe, except where said.
class Repository : public BlobSource, public SnapshotFinder {
 public:
  // Makes a repository in `fs`, which should be empty. ALREADY_EXISTS if there is one.
  static Status Create(FileSystem& fs, const RepositoryConfig& config);
  // An encrypted one, with this credential as its first key.
  static Status CreateEncrypted(FileSystem& fs, const RepositoryConfig& config,
                                const Credential& credential, const PasswordCost& cost);
  // NOT_FOUND if there is none. UNAUTHENTICATED if the credential is wrong, missing, or given for
  // one that is not encrypted. The index is brought up to the journal's head; where it cannot be
  // used or written, one in memory takes its place. `fs` must outlive the repository.
  static StatusOr<std::unique_ptr<Repository>> Open(FileSystem& fs,
                                                    const RepositoryOptions& options);
  ~Repository() override;

  const RepositoryConfig& config() const { return config_; }
  // OK, or what this repository was opened beside; Refresh, and so whatever writes, fails with it.
  // If the configuration is what is damaged, config() has its id and nothing else that is right.
  const Status& damage() const { return damage_; }
  const RepositoryOptions& options() const { return options_; }
  const BlobHasher& hasher() const { return hasher_; }
  // Cuts as everybody does who writes to this repository.
  StatusOr<Chunker> MakeChunker() const;
  const RepositoryKeys& keys() const { return keys_; }
  // The key that opened it, if it is encrypted.
  const std::optional<KeyId>& opened_by() const { return opened_by_; }
  // As Session::Open, saying no more in the file than others may know.
  StatusOr<std::unique_ptr<Session>> OpenSession(std::string command);
  FileSystem& fs() { return fs_; }
  ObjectStore& store() { return *store_; }
  Journal& journal() { return *journal_; }
  // Never half filled, whatever other processes do to it.
  Index& index() { return *current_index_; }

  // Brings the index up to the journal's head and returns it: O(1) if it is there already. An index
  // that is damaged is thrown away and made anew; where there can be none, one in memory takes its
  // place.
  // `footers` are those of packs that the caller has just written, to spare reading them.
  using KnownFooters = std::map<PackName, PackFooter>;
  StatusOr<JournalHead> Refresh(const KnownFooters* footers = nullptr);
  // The same for who only reads. Beside damage there is nothing to follow: the head is number 0.
  StatusOr<JournalHead> RefreshForReading();
  // Makes the index anew from journal and footers.
  Status RebuildIndex();

  // Folds the journal if it has grown enough. For whoever has just committed.
  Status FoldJournalIfDue();
  // Makes the reserve (reserve.h) as large as what is stored now asks for: after a prune, and where
  // that is more than a new repository has.
  Status EnsureReserve(uint64_t min_free = kMinFreeForReserve);
  Status GrowReserve();
  // Replaces an index that has grown to more than twice its content by a compact one; returns
  // whether it did. For whoever has written and is about to end: processes that have the old one
  // open go on with it. Not to be called while other threads use the repository.
  StatusOr<bool> CompactIndexIfGrown(uint64_t min_bytes = 64 * kMiB);

  // As BlobSource says. A pack that has gone makes it refresh the index and look again, three
  // times; of several places any that is whole will do.
  StatusOr<Bytes> ReadBlob(const BlobRef& ref) override;
  // Every place of a blob, live packs first; empty if there is none.
  StatusOr<std::vector<FramedPlace>> Locate(const BlobRef& ref);
  // A decoded frame, through the cache. The blobs in it are not verified: VerifyBlob does.
  StatusOr<FrameCache::Frame> ReadFrame(const PackName& pack, uint32_t frame_number,
                                        const FrameInfo& frame);
  // What a delta frame with these bases is decoded with: their content, verified, one after
  // another; empty without bases. NOT_FOUND if one is in no plain frame, DATA_LOSS if it is
  // damaged, or if all are longer than a prefix may be.
  StatusOr<Bytes> ReadPrefix(std::span<const BaseId> bases);
  Status VerifyBlob(const BlobRef& ref, ByteSpan bytes) const;

  // Live snapshots in the order of their records.
  StatusOr<std::vector<SnapshotView>> Snapshots();
  StatusOr<std::vector<SnapshotInfo>> SnapshotInfos();
  StatusOr<SnapshotView> FindSnapshot(const SnapshotId& id);
  // By time; nothing if none matches.
  StatusOr<std::optional<SnapshotView>> FindNewestSnapshot(Visitor matches);
  Status ForEachSnapshotBefore(const Timestamp& latest, Visitor visit) override;
  Status ForEachSnapshotFrom(const SnapshotId& first, Visitor visit) override;

 private:
  Repository(FileSystem& fs, const RepositoryOptions& options);
  // The configuration, where that could be read without keys.
  StatusOr<std::optional<RepositoryConfig>> OpenKeysIfEncrypted();
  Status OpenConfig(const std::optional<RepositoryConfig>& known);
  Status OpenIndex() ABSL_EXCLUSIVE_LOCKS_REQUIRED(refresh_mutex_);
  void UseIndex(std::unique_ptr<Index> index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(refresh_mutex_);
  void UseMemoryIndex(const Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(refresh_mutex_);
  Status ThrowIndexAway() ABSL_EXCLUSIVE_LOCKS_REQUIRED(refresh_mutex_);
  StatusOr<JournalHead> RefreshLocked(const KnownFooters* footers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(refresh_mutex_);
  // Brings the index there, however often it has to be made anew.
  StatusOr<JournalHead> FollowJournal(const KnownFooters* footers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(refresh_mutex_);
  Status ReadBesideDamage(const Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(refresh_mutex_);
  LmdbIndexOptions IndexOptions() const;
  IndexSync Sync(const KnownFooters* footers);
  uint64_t SeenRecords();
  StatusOr<uint64_t> WantedReserve();  // in blocks
  // A blob in its decoded frame.
  struct BlobInFrame {
    FrameCache::Frame frame;
    ByteSpan bytes;
  };
  // A delta's bases need not be verified to read it, which takes as long as decoding it: its own
  // blobs are, and if one is wrong, its bases are read again, verified, from wherever they are
  // whole.
  enum class Blobs { kVerified, kAsTheyLie };
  // From any of the places that is whole, which are not none.
  StatusOr<BlobInFrame> ReadFromAny(const std::vector<FramedPlace>& places, Blobs as);
  StatusOr<BlobInFrame> ReadFrom(const FramedPlace& place, Blobs as);
  StatusOr<Bytes> ReadBases(std::span<const BaseId> bases, Blobs as);
  StatusOr<std::shared_ptr<Bytes>> DecodeFrame(const PackName& pack, uint32_t frame_number,
                                               const FrameInfo& frame, Blobs bases);
  StatusOr<Bytes> ReadBlobOnce(const BlobRef& ref);

  FileSystem& fs_;
  RepositoryOptions options_;
  RepositoryConfig config_;
  Status damage_;  // set by Open only
  RepositoryKeys keys_;
  std::optional<KeyId> opened_by_;
  BlobHasher hasher_;
  std::unique_ptr<ObjectStore> store_;
  std::unique_ptr<Journal> journal_;
  std::atomic<WholeIndex*> current_index_ = nullptr;
  FrameCache frames_;
  Mutex refresh_mutex_;
  // The last one is current; others were given up while readers may still use them.
  std::vector<std::unique_ptr<WholeIndex>> indexes_ ABSL_GUARDED_BY(refresh_mutex_);
  bool index_in_memory_ ABSL_GUARDED_BY(refresh_mutex_) = false;
};

}  // namespace cairn
